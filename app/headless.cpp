#include "app/headless.hpp"

#include "app/controls_script.hpp"
#include "app/exit_code.hpp"
#include "app/frame_sinks.hpp"
#include "app/metrics.hpp"
#include "app/paths.hpp"
#include "app/process_clock.hpp"
#include "app/progress.hpp"
#include "app/session_file.hpp"
#include "generator/camera/actions.hpp"
#include "generator/plain/atomic_file.hpp"
#include "generator/walk.hpp"
#include "generator/world/plain/world_folder.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <system_error>
#include <thread>

namespace wander {

namespace {

constexpr std::int64_t kDefaultChunks = 24;
constexpr int kFramesPerLatent = 4;
constexpr auto kPausePoll = std::chrono::milliseconds(20);

const std::vector<quant::LayerFormat> kNoTable;

std::atomic<bool> g_interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

extern "C" void on_interrupt(int signal) {
    g_interrupted = true;
    std::signal(signal, SIG_DFL); // the second time ends the program at once
}

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Before anything slow: everything that will be written can be written.
Result<void> check_outputs(const Options& options) {
    for (const auto* file :
         {&options.out, &options.metrics, &options.session_out, &options.walk_out, &options.path_out}) {
        if (file->empty()) continue;
        if (auto checked = check_writable(*file); !checked) return checked;
    }
    if (!options.frames.empty()) {
        std::error_code error;
        std::filesystem::create_directories(options.frames, error);
        if (error)
            return Error{ErrorCode::bad_input, "cannot write to " + options.frames.string() + ": " + error.message()};
        if (auto checked = check_writable(options.frames / "000000.png"); !checked) return checked;
    }
    return {};
}

class HeadlessRun {
public:
    HeadlessRun(const Options& options, ControlsScript script, Walk& walk)
        : options_(options),
          script_(std::move(script)),
          walk_(walk),
          latents_per_chunk_(std::max(1, walk.info().chunk_frames / kFramesPerLatent)),
          chunks_(options.chunks.value_or(script_chunks())),
          progress_(chunks_) {
        const WalkInfo& info = walk.info();
        session_.model = info.model;
        session_.model_folder = model_path(options.model, assets_folder());
        session_.seed = info.seed;
        session_.start = options.start.empty() && !info.starts.empty() ? info.starts.front().name : options.start;
        session_.start_pose = options.start_pose;
        session_.prompt = info.takes_prompt ? info.prompt : options.prompt;
        session_.camera_words = options.camera_words;
        note_model(session_, info, walk_options(options));
        session_.device = info.device;
        session_.precision = info.precision;
        session_.attention = quant::attention_name(walk_options(options).attention);
        session_.threads = info.threads;
        session_.cache_format = walk_options(options).cache_format;
        session_.cache_rules = walk_options(options).cache_rules;
        for (const std::string& warning : info.warnings) progress_.say(warning);
    }

    // What a script asks for later can be judged only now that the model is there.
    Result<void> check_script() const {
        for (const ControlsEntry& entry : script_.entries()) {
            if (entry.rewind > 0 && !walk_.info().keeps_walks) {
                return Error{ErrorCode::bad_input, script_.where(entry) + "\"rewind\": walks of " + walk_.info().model +
                                                       " cannot be rewound"};
            }
            if (entry.cache) {
                if (auto checked = check_format(entry, *entry.cache); !checked) return checked;
            }
            for (const quant::LayerFormat& layers : entry.cache_rules.layer_formats.value_or(kNoTable)) {
                if (auto checked = check_format(entry, layers.format); !checked) return checked;
                if (layers.last_layer < walk_.info().cache_layers) continue;
                return Error{ErrorCode::bad_input, script_.where(entry) + "\"cache_layers\": there is no layer " +
                                                       std::to_string(layers.last_layer) +
                                                       "; this model's layers are 0 to " +
                                                       std::to_string(walk_.info().cache_layers - 1)};
            }
        }
        return {};
    }

    Result<void> run() {
        const WalkInfo& info = walk_.info();
        auto sinks = FrameSinks::create({.size = {info.width, info.height},
                                         .fps = info.fps,
                                         .out = options_.out,
                                         .frames = options_.frames,
                                         .record_dir = video_folder(options_.record_dir),
                                         .facts = facts()},
                                        [this] { stop_.request_stop(); });
        if (!sinks) return sinks.error();
        sinks_ = std::move(*sinks);
        std::signal(SIGINT, on_interrupt);
        std::signal(SIGTERM, on_interrupt);
        const double begun = steady_seconds();
        const double age_at_begin_ms = process_age_ms();
        auto walked =
            walk_.run([this](std::int64_t index, const std::stop_token& stop) { return controls(index, stop); },
                      *sinks_, [this](const ChunkTelemetry& chunk) { report(chunk); }, stop_.get_token());
        run_seconds_ = steady_seconds() - begun;
        auto written = sinks_->finish({{"controls", controls_json(session_)}});
        progress_.end();
        if (const auto first = sinks_->first_frame_seconds()) start_ms_ = age_at_begin_ms + (*first - begun) * 1000;
        if (!written) return written; // the cause, where the walk was stopped because of it
        if (!walked) return walked;
        return {};
    }

    Result<void> write_files() const {
        if (!options_.metrics.empty()) {
            if (auto written = write_file_atomically(options_.metrics, metrics_json(metrics())); !written)
                return written;
        }
        if (!options_.path_out.empty()) {
            auto path = walk_.pose_json();
            if (!path) return path.error();
            if (auto written = write_file_atomically(options_.path_out, *path); !written) return written;
        }
        if (!options_.walk_out.empty()) {
            if (auto written = walk_.save(options_.walk_out); !written) return written;
        }
        if (options_.session_out.empty()) return {};
        return write_file_atomically(options_.session_out, session_json(session_));
    }

    void summarise() {
        const RunMetrics all = metrics();
        std::printf("%lld frames, %.2f fps, sha256 %s\n", static_cast<long long>(all.frames), all.fps(),
                    all.frames_sha256.c_str());
        for (const auto& file : sinks_->recordings()) std::printf("recorded %s\n", file.c_str());
    }

private:
    Result<void> check_format(const ControlsEntry& entry, const std::string& name) const {
        const auto& formats = walk_.info().formats;
        const auto named = [&](const FormatInfo& format) { return format.name == name; };
        const auto found = std::find_if(formats.begin(), formats.end(), named);
        if (found != formats.end() && found->usable()) return {};
        if (found != formats.end()) return Error{ErrorCode::bad_input, script_.where(entry) + found->refusal};
        std::string names;
        for (const auto& format : formats) {
            if (format.usable()) names += " " + format.name;
        }
        return Error{ErrorCode::bad_input,
                     script_.where(entry) + "unknown cache format \"" + name + "\"; this model has" + names};
    }

    std::int64_t script_chunks() const {
        const std::int64_t chunks = script_.chunks(latents_per_chunk_);
        return chunks > 0 ? chunks : kDefaultChunks;
    }

    std::map<std::string, std::string> facts() const {
        return {{"model", session_.model},         {"seed", std::to_string(session_.seed)},
                {"start", session_.start},         {"cache_format", session_.cache_format},
                {"precision", session_.precision}, {"version", WANDER_VERSION}};
    }

    // Worker thread.
    ChunkControls controls(std::int64_t index, const std::stop_token& stop) {
        ChunkControls controls;
        controls.stop = index >= chunks_ || g_interrupted;
        if (controls.stop) return controls;
        const ControlsEntry entry = script_.at(index, latents_per_chunk_);
        if (entry.pause_seconds) pause(*entry.pause_seconds, stop);
        if (entry.record) sinks_->record_from(index, *entry.record);
        controls.state.held = entry.held.value_or(0);
        controls.state.mouse_yaw_rad = entry.mouse.yaw_rad;
        controls.state.mouse_pitch_rad = entry.mouse.pitch_rad;
        controls.state.sticks = entry.sticks.value_or(StickPosition{});
        controls.cache_format = entry.cache;
        controls.cache_rules = entry.cache_rules;
        controls.prompt = entry.prompt;
        controls.camera_words = entry.camera_words;
        controls.rewind = entry.rewind;
        session_.note(index, {held_names(controls.state), entry.mouse, controls.state.sticks}, entry.cache,
                      entry.prompt, entry.cache_rules, entry.camera_words, entry.rewind);
        return controls;
    }

    static void pause(double seconds, const std::stop_token& stop) {
        const double until = steady_seconds() + seconds;
        while (steady_seconds() < until && !stop.stop_requested() && !g_interrupted)
            std::this_thread::sleep_for(kPausePoll);
    }

    // Whichever thread finishes the chunk.
    void report(const ChunkTelemetry& chunk) {
        std::lock_guard lock(mutex_);
        chunks_done_.push_back(chunk);
        if (!chunks_done_.back().pages.empty())
            chunks_done_.back().pages.clear(); // not part of the metrics, and long walks are long
        if (!chunk.prompt_note.empty() && chunk.prompt_note != prompt_note_)
            progress_.say(prompt_note_ = chunk.prompt_note);
        progress_.chunk(chunk);
    }

    RunMetrics metrics() const {
        const WalkInfo& info = walk_.info();
        const Walk::Peaks peaks = walk_.peaks();
        RunMetrics metrics;
        metrics.model = info.model;
        metrics.device = info.device;
        metrics.device_name = info.device_name;
        metrics.precision = info.precision;
        metrics.attention = session_.attention;
        metrics.threads = info.threads;
        metrics.seed = info.seed;
        metrics.start = session_.start;
        metrics.cache_format = session_.cache_format;
        metrics.cache_rules = session_.cache_rules;
        metrics.width = info.width;
        metrics.height = info.height;
        metrics.frames = sinks_->frames();
        metrics.frames_sha256 = sinks_->sha256();
        metrics.start_ms = start_ms_;
        metrics.run_seconds = run_seconds_;
        metrics.peak_gpu_bytes = peaks.gpu_bytes;
        metrics.peak_host_bytes = peaks.host_bytes;
        metrics.chunks = chunks_done_;
        return metrics;
    }

    const Options& options_;
    const ControlsScript script_;
    Walk& walk_;
    const int latents_per_chunk_;
    const std::int64_t chunks_;
    Progress progress_;
    SessionFile session_;
    std::stop_source stop_;
    std::mutex mutex_;
    std::vector<ChunkTelemetry> chunks_done_;
    std::string prompt_note_; // said last
    double start_ms_ = 0;
    double run_seconds_ = 0;
    std::unique_ptr<FrameSinks> sinks_;
};

void finish_leftovers(const std::filesystem::path& folder) {
    for (const auto& leftover : render::finish_leftovers(folder))
        std::fprintf(stderr, "wander: %s\n", leftover.message.c_str());
}

} // namespace

WalkOptions walk_options(const Options& options) {
    WalkOptions walk;
    walk.model = options.model;
    walk.assets = assets_folder();
    walk.start = options.start;
    walk.start_pose = options.start_pose;
    walk.text_encoder = options.text_encoder;
    walk.decoder = options.decoder;
    walk.keep_rows = options.kept_rows != "none";
    walk.camera_words = options.camera_words;
    walk.camera_phrases = options.camera_phrases;
    walk.rebuild_on_prompt = options.rebuild_on_prompt;
    walk.window = options.window;
    walk.chunk_latents = options.chunk_latents;
    walk.size = options.size;
    walk.context_latents = options.context_latents;
    walk.fast_context = options.fast_context;
    walk.resume = options.resume;
    walk.keep_decoder_state = options.walk_decoder;
    walk.path = options.path;
    walk.prompt = options.prompt;
    walk.seed = options.seed;
    walk.cache_format = options.cache.value_or("bf16");
    options.cache_rules.apply_to(walk.cache_rules);
    walk.attention = options.fp8_attention ? quant::AttentionType::fp8 : quant::AttentionType::bf16;
    walk.fp8_weights = options.fp8_weights;
    walk.device = options.device;
    walk.gpus = options.gpus;
    walk.precision = options.precision;
    walk.threads = options.threads;
    return walk;
}

int run_headless(const Options& options) {
    auto script = ControlsScript::load(options.controls);
    if (!script) return fail_with(script.error());
    if (auto checked = check_outputs(options); !checked) return fail_with(checked.error());
    if (!options.record_dir.empty()) finish_leftovers(options.record_dir);
    if (!options.out.empty()) finish_leftovers(options.out.has_parent_path() ? options.out.parent_path() : ".");

    LoadingLine loading;
    WalkOptions open = walk_options(options);
    open.progress = [&loading](const LoadProgress& progress) { loading.show(progress); };
    auto walk = Walk::open(open);
    loading.end();
    if (!walk) return fail_with(walk.error());
    HeadlessRun run(options, std::move(*script), **walk);
    if (auto checked = run.check_script(); !checked) return fail_with(checked.error());
    if (auto walked = run.run(); !walked) return fail_with(walked.error());
    if (auto written = run.write_files(); !written) return fail_with(written.error());
    run.summarise();
    if (!g_interrupted) return kExitDone;
    return fail_with({ErrorCode::internal, "interrupted; what was walked until then has been written"});
}

} // namespace wander
