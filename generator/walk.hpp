#pragma once
// A walk: model, cache, decoder, start, seed and controls; the one way in which window and headless twin drive the
// generator. No torch here.
//
// Walk::open loads and is slow; afterwards run() is the generator worker's loop: sample controls, generate a chunk,
// hand its latents to the decode thread, report. Frames leave through the FrameSink, in order, from the decode
// thread. Commands may be called from any thread; they act at the next chunk border. A failure ends as state
// `failed` with a message; nothing throws out of here.

#include "generator/plain/control_state.hpp"
#include "generator/plain/frame_sink.hpp"
#include "generator/plain/load_progress.hpp"
#include "generator/plain/picture_size.hpp"
#include "generator/plain/result.hpp"
#include "generator/plain/telemetry.hpp"
#include "generator/rollout/plain/window_choice.hpp"
#include "quant/plain/cache_rules.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace wander {

struct WalkOptions {
    std::string model = "embedded"; // or a model folder
    std::filesystem::path assets;   // folder that holds world/ (the embedded world)
    std::string start; // start point's name, a picture, or "none": from the prompt alone; empty: the model's first
    std::optional<std::pair<std::string, Pose>> start_pose; // world name and pose, for a picture
    std::filesystem::path
        resume;       // a saved walk to go on from: its start, seed, context and, unless one is given, prompt
    std::string path; // HY-WorldPlay: a way to walk before the controls count, a pose string or a pose JSON's file
    std::string prompt;
    std::string text_encoder = "auto";    // a text model: gpu, streamed through it layer by layer, or by what is free
    std::string decoder = "auto";         // a published model: full, tiny, or full where there is one
    bool camera_words = true;             // a text model: held keys become words behind the prompt
    std::filesystem::path camera_phrases; // those words; empty: the file in assets
    bool rebuild_on_prompt = false;       // a text model: history is made again under a new prompt
    std::optional<WindowChoice> window;   // a text model: what it sees; absent: what its folder says
    std::optional<int> chunk_latents;     // a text model: latents made together; absent: what it was trained for
    std::optional<PictureSize> size;      // HY-WorldPlay: of its pictures; absent: what it was trained at
    bool fast_context = false;            // HY-WorldPlay: keys and values of a chunk are made once; not as published
    std::optional<int> context_latents;   // HY-WorldPlay: earlier latents that a chunk reads; absent: as published
    bool keep_decoder_state = false;      // save() after a run keeps the decoder's state; see --walk-decoder
    std::uint64_t seed = 0;
    std::string cache_format = "bf16";
    quant::CacheRules cache_rules;
    int cache_centroids = 0; // per head and page, of formats that have them; 0: the format's own choice
    quant::AttentionType attention = quant::AttentionType::bf16;
    bool keep_rows = true;          // HY-WorldPlay: a chunk's expanded rows stay on a GPU with room
    bool fp8_weights = false;       // the transformer's large matrices, on a GPU in bf16
    std::string device = "auto";    // auto, cpu, cuda
    int gpus = 1;                   // HY-WorldPlay's 8B: its heads are split among so many, from the first on
    std::string precision = "auto"; // auto, fp32, bf16
    int threads = 0;                // 0: all cores
    LoadProgressSink progress;      // how opening comes along; empty: nobody wants to know
    // Attention over history cut into other pieces: the same numbers, summed in another order. For benches that ask
    // how much that alone changes. 0: chosen for the shape.
    int twin_tile_tokens = 0;          // CPU
    std::int64_t twin_slice_bytes = 0; // GPU
};

// How HY-WorldPlay reads what was walked before.
struct ContextSettings {
    int latents = 0;   // earlier ones that a chunk reads; 0: not known
    bool fast = false; // WalkOptions::fast_context
    bool operator==(const ContextSettings&) const = default;
};
// "--context 16", "--context 48 --fast-context".
std::string context_text(const ContextSettings& context);

struct StartPoint {
    std::string name;
    std::string world;
    std::filesystem::path picture;
    Pose pose;
};

// A cache format, in menu order.
struct FormatInfo {
    std::string name;      // registry name, as --cache takes it
    std::string label;     // "INT2 four-level"
    double bits = 16;      // per value, codes only
    double ratio = 1;      // BF16 against a page's real bytes at this model's page shape, K and V together; 0: refused
    bool lossless = false; // nothing is lost that BF16 holds
    std::string refusal;   // why this model cannot use it; empty: it can
    bool usable() const { return refusal.empty(); }
};

struct WalkInfo {
    std::string model;
    std::uint64_t seed = 0; // at the start: a resumed walk's is its own
    std::string device;     // "cpu" or "cuda"
    std::string device_name;
    std::array<std::uint8_t, 16> device_uuid{}; // of the CUDA device, zeros on the CPU
    std::string precision;                      // "fp32" or "bf16"
    int threads = 0;
    int width = 0;
    int height = 0;
    double fps = 16;
    int chunk_frames = 4;
    bool camera_steering = true;       // false: a text model, keys become words of its prompt
    bool takes_prompt = false;         // the prompt can change while it runs
    std::string prompt;                // at the start
    WindowChoice window;               // what it sees, sink and chunk included
    std::string decoder;               // "full" or "tiny"
    std::vector<std::string> decoders; // of those the model has; empty: it has one of its own
    std::vector<StartPoint> starts;
    std::string place;                 // KeptWalk's, where it was opened to go on from a saved walk
    bool keeps_walks = false;          // they can be saved, resumed and rewound
    ContextSettings context;           // HY-WorldPlay; no latents: another model
    int published_context = 0;         // its latents
    std::vector<int> contexts;         // what latents a person may be offered, ascending
    bool takes_pictures = false;       // any picture can be a start, without a pose
    std::vector<FormatInfo> formats;   // the refused ones too
    int cache_layers = 0;              // as a layer table counts them
    std::vector<std::string> warnings; // for the terminal or the log (say, an ignored prompt)
};

// What a saved or resumed walk is made under.
struct KeptWalk {
    std::string prompt;
    std::uint64_t seed = 0;
    std::string place; // of a resumed walk in a world: where it stands
};

// What a saved walk was walked with; it goes on with nothing else.
struct SavedSettings {
    std::string model;
    ContextSettings context;            // no latents: saved before walks told, or not of HY-WorldPlay
    std::optional<WindowChoice> window; // of a text model
    int chunk_latents = 0;              // likewise; 0: another model
};
// Reads the file's head alone. bad_input as for resuming. Any thread.
Result<SavedSettings> saved_walk_settings(const std::filesystem::path& file);

// What a chunk is given. From the keyboard, or from a script.
struct ChunkControls {
    ControlState state;
    std::optional<std::string> cache_format; // change before this chunk
    quant::CacheRulesChange cache_rules;     // likewise
    std::optional<std::string> prompt;
    std::optional<bool> camera_words;
    bool wait_for_prompt = true;                       // false: go on under the old prompt until the new one is encoded
    int rewind = 0;                                    // chunks to be forgotten first; see WalkInfo::keeps_walks
    std::filesystem::path save;                        // where to write the walk as it is then; empty: nowhere
    std::filesystem::path resume;                      // a saved walk of this model to go on from; empty: none
    std::function<void(const Result<KeptWalk>&)> kept; // what came of save or resume, on the worker thread
    bool make_chunk = true; // false: only the above, and controls are asked for again under the same index
    bool stop = false;      // no further chunk
};
// Called on the worker thread right before chunk `index`; may block (pause, pacing) until `stop`.
using ControlSource = std::function<ChunkControls(std::int64_t index, const std::stop_token& stop)>;

class Walk {
public:
    static Result<std::unique_ptr<Walk>> open(const WalkOptions& options);
    ~Walk();

    const WalkInfo& info() const;

    // Runs until the source says stop, stop is requested or something fails. Emits the start picture first.
    // Blocks the calling thread (which becomes the worker) and joins its own decode thread before returning.
    using Report = std::function<void(const ChunkTelemetry&)>;
    Result<void> run(const ControlSource& source, FrameSink& sink, const Report& report, std::stop_token stop);

    // Writes the walk as the last run left it. Between runs only; wrong_use where the model keeps none.
    Result<void> save(const std::filesystem::path& file) const;
    // The cameras of that walk as HY-WorldPlay's pose JSON; likewise.
    Result<std::string> pose_json() const;

    // Forget the history and begin at a start point (empty: the same again). Between runs only.
    Result<void> restart(const std::string& start, std::optional<std::uint64_t> seed = {});

    struct Peaks {
        std::int64_t gpu_bytes = 0;  // torch's allocator and our arena
        std::int64_t host_bytes = 0; // high-water mark of resident memory
    };
    Peaks peaks() const;

private:
    struct Impl;
    explicit Walk(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace wander
