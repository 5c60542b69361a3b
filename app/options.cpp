#include "app/options.hpp"

#include <charconv>
#include <cmath>
#include <vector>

#include <CLI/CLI.hpp>

namespace wander {

namespace {

constexpr int kMaxThreads = 1024;
constexpr int kMaxSide = 8192; // pixels

const char* const kFooter =
    "Files: --controls takes a file with one JSON object a line, {\"chunk\": 3, \"hold\": [\"forward\", "
    "\"yaw_right\"], \"cache\": \"int2\"},\n"
    "or a pose string, \"w-8,right-4\". Their format and that of --metrics: docs/formats.md.\n"
    "About model folders (docs/models.md): wander info DIR, wander convert DIR.\n"
    "Places that worlds are trained on (docs/themes.md): wander world list, wander world render.\n"
    "A world of your own (docs/training.md): wander train.\n"
    "How good a world is: wander evaluate --model DIR --out DIR.\n"
    "Exit codes: 0 done, 2 wrong use or bad input, 1 anything else.";

Error wrong_use(const std::string& message) { return {ErrorCode::wrong_use, message}; }

// CLI11 explains some mistakes over several lines.
std::string one_line(std::string text) {
    for (char& c : text) {
        if (c == '\n') c = ' ';
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
    return text;
}

void add_cache_options(CLI::App& app, Options& options, std::string& cache) {
    app.add_option("--cache", cache, "Format of the KV cache")->type_name("bf16|int2|FORMAT");
    app.add_option_function<int>(
           "--keep-recent", [&options](const int& newest) { options.cache_rules.keep_recent = newest; },
           "Newest chunks that stay uncompressed; default: 1")
        ->type_name("N")
        ->check(CLI::Range(0, quant::kMaxKeepRecent));
    app.add_flag_function(
        "--keep-sink,!--no-keep-sink", [&options](std::int64_t on) { options.cache_rules.keep_sink = on > 0; },
        "The start stays uncompressed (as it does by default), or not");
    app.add_option_function<std::string>(
           "--cache-layers",
           [&options](const std::string& text) {
               auto table = quant::parse_layer_formats(text);
               if (!table) throw CLI::ValidationError("--cache-layers", table.error().message);
               options.cache_rules.layer_formats = std::move(*table);
           },
           "Layers with a cache format of their own, for example 0-1:int8,5:bf16")
        ->type_name("TABLE");
    app.add_option_function<std::string>(
           "--attention", [&options](const std::string& type) { options.fp8_attention = type == "fp8"; },
           "What a GPU attends in; fp8 is faster and less exact")
        ->type_name("bf16|fp8")
        ->check(CLI::IsMember({"bf16", "fp8"}));
    app.add_option_function<std::string>(
           "--weights", [&options](const std::string& type) { options.fp8_weights = type == "fp8"; },
           "What a GPU keeps the network's large matrices in; fp8 is faster and less exact")
        ->type_name("bf16|fp8")
        ->check(CLI::IsMember({"bf16", "fp8"}));
    app.add_flag_function(
        "--bias-correction,!--no-bias-correction",
        [&options](std::int64_t on) { options.cache_rules.bias_correction = on > 0; },
        "Take back what packing keys does to attention, or not (as by default)");
}

// For models that are steered by text.
void add_text_options(CLI::App& app, Options& options) {
    app.add_option("--prompt", options.prompt, "Text for models that take one")->type_name("TEXT");
    app.add_flag_function(
        "--camera-words,!--no-camera-words", [&options](std::int64_t on) { options.camera_words = on > 0; },
        "Held keys become words behind the prompt (as by default), or not");
    app.add_option_function<std::string>(
           "--camera-phrases", [&options](const std::string& text) { options.camera_phrases = text; },
           "Those words, as assets/prompts/camera_phrases.json has them")
        ->type_name("FILE");
    app.add_option("--text-encoder", options.text_encoder,
                   "Where a text model reads its prompt: on the GPU, or streamed through it with little memory")
        ->type_name("auto|gpu|streamed")
        ->check(CLI::IsMember({"auto", "gpu", "streamed"}));
    app.add_option("--decoder", options.decoder,
                   "What makes a published model's pictures; tiny is faster and less fine")
        ->type_name("auto|full|tiny")
        ->check(CLI::IsMember({"auto", "full", "tiny"}));
    app.add_option("--kept-rows", options.kept_rows,
                   "HY-WorldPlay on a GPU with memory to spare and an uncompressed cache: its turned keys and values "
                   "stay there while a chunk is made, which is quicker, or none do; the pictures are the same")
        ->type_name("auto|none")
        ->check(CLI::IsMember({"auto", "none"}));
    app.add_flag("--rebuild-history", options.rebuild_on_prompt,
                 "A new prompt also applies to what was made before: its keys and values are made again");
    app.add_option_function<std::string>(
           "--window",
           [&options](const std::string& text) {
               auto window = parse_window(text);
               if (!window) throw CLI::ValidationError(window.error().message);
               options.window = *window;
           },
           "What a text model sees: anchored, rolling, long-live, steady, long-memory, or latents")
        ->type_name("NAME|VIEW[+SINK][:slots]");
    app.add_option_function<int>(
           "--chunk-latents", [&options](const int& latents) { options.chunk_latents = latents; },
           "Latents that a text model makes together; 1: frame by frame")
        ->type_name("N")
        ->check(CLI::Range(1, 64));
}

// "1280x704". False: something else.
bool parse_size(const std::string& text, PictureSize& size) {
    const char* end = text.data() + text.size();
    const auto width = std::from_chars(text.data(), end, size.width);
    if (width.ec != std::errc{} || width.ptr == end || *width.ptr != 'x') return false;
    const auto height = std::from_chars(width.ptr + 1, end, size.height);
    return height.ec == std::errc{} && height.ptr == end && size.width > 0 && size.height > 0 &&
           size.width <= kMaxSide && size.height <= kMaxSide;
}

// For HY-WorldPlay.
void add_worldplay_options(CLI::App& app, Options& options) {
    app.add_option_function<std::string>(
           "--size",
           [&options](const std::string& text) {
               PictureSize size;
               if (!parse_size(text, size))
                   throw CLI::ValidationError("--size", "'" + text + "' is no WIDTHxHEIGHT, such as 832x480");
               options.size = size;
           },
           "Size of HY-WorldPlay's pictures; default: what it was trained at")
        ->type_name("WxH");
    app.add_option_function<int>(
           "--context", [&options](const int& latents) { options.context_latents = latents; },
           "Earlier latents that a chunk of HY-WorldPlay reads; as published 16 (8B: 20), WAN-5B 48 or 56 for a long "
           "memory")
        ->type_name("N")
        ->check(CLI::Range(8, 4096));
    app.add_flag(
        "--fast-context", options.fast_context,
        "Make the keys and values of a chunk of HY-WorldPlay once instead of anew for every later chunk: faster, "
        "and not as published");
    app.add_option("--path", options.path,
                   "A way to walk before the keys take over: a pose string (\"w-31,right-8\") or a pose JSON")
        ->type_name("POSES|FILE.json");
}

void add_options(CLI::App& app, Options& options, std::string& start_pose, std::string& cache, std::int64_t& chunks) {
    const auto path = [&app](const char* name, std::filesystem::path& target, const char* help, const char* type) {
        app.add_option_function<std::string>(
               name, [&target](const std::string& text) { target = text; }, help)
            ->type_name(type);
    };
    app.add_flag("--headless", options.headless, "Run without a window");
    app.add_option("--controls", options.controls, "What is held in which chunk (headless)")->type_name("FILE|POSES");
    app.add_option("--chunks", chunks, "How many chunks; default: as many as the controls have (headless)")
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
    // CLI11 would wrap a negative number around.
    app.add_option_function<std::string>(
           "--seed",
           [&options](const std::string& text) {
               const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), options.seed);
               if (code != std::errc{} || end != text.data() + text.size()) {
                   throw CLI::ValidationError("--seed", "'" + text + "' is not a whole number from 0 to 2^64 - 1");
               }
           },
           "Seed of the noise")
        ->type_name("N");
    app.add_option("--model", options.model,
                   "The world model: 'embedded', a folder that wander train wrote, or a model folder")
        ->type_name("embedded|DIR");
    app.add_option("--start", options.start,
                   "Start point or a picture (in the embedded world with --start-pose); none: the prompt alone")
        ->type_name("NAME|IMAGE|none");
    app.add_option("--start-pose", start_pose, "Where a start picture was taken; radians")
        ->type_name("WORLD,X,Z,YAW,PITCH");
    add_text_options(app, options);
    add_worldplay_options(app, options);
    add_cache_options(app, options, cache);
    app.add_option("--device", options.device, "Where the model runs")
        ->type_name("auto|cpu|cuda")
        ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
    app.add_option("--gpus", options.gpus, "GPUs that HY-WorldPlay's 8B is split over; default: 1")
        ->type_name("N")
        ->check(CLI::Range(1, 64));
    app.add_option("--precision", options.precision, "Arithmetic of the model")
        ->type_name("auto|fp32|bf16")
        ->check(CLI::IsMember({"auto", "fp32", "bf16"}));
    app.add_option("--threads", options.threads, "CPU threads; 0: all cores")
        ->type_name("N")
        ->check(CLI::Range(0, kMaxThreads));
    path("--out", options.out, "Record the walk (headless)", "FILE.mp4");
    path("--frames", options.frames, "Write every frame as %06d.png (headless)", "DIR");
    path("--metrics", options.metrics, "Write what was measured (headless)", "FILE.json");
    path("--walk-out", options.walk_out, "Save the walk at its end, to go on from it later (headless)", "FILE");
    app.add_flag("--walk-decoder", options.walk_decoder,
                 "Keep the decoder's state in --walk-out too: later pictures are the same bits, and the file is large "
                 "(headless)");
    path("--path-out", options.path_out, "Write the cameras of the walk as pose JSON (headless)", "FILE.json");
    path("--resume", options.resume, "Go on from a saved walk", "FILE");
    path("--session-out", options.session_out, "Write down what the session was", "FILE");
    path("--record-dir", options.record_dir, "Folder of recordings and screenshots; default: the user's own", "DIR");
}

// What only the headless run takes would be ignored silently otherwise.
Result<void> check_headless_only(const Options& options) {
    if (options.headless) return {};
    const std::pair<const char*, bool> given[] = {{"--controls", !options.controls.empty()},
                                                  {"--chunks", options.chunks.has_value()},
                                                  {"--out", !options.out.empty()},
                                                  {"--frames", !options.frames.empty()},
                                                  {"--walk-out", !options.walk_out.empty()},
                                                  {"--path-out", !options.path_out.empty()},
                                                  {"--walk-decoder", options.walk_decoder},
                                                  {"--metrics", !options.metrics.empty()},
                                                  {"--cache qvg-published", options.cache == "qvg-published"}};
    for (const auto& [name, is_given] : given) {
        if (is_given) return wrong_use(std::string(name) + " needs --headless");
    }
    return {};
}

} // namespace

Result<Options> parse_options(int argc, const char* const* argv) {
    Options options;
    std::string start_pose;
    std::string cache;
    std::int64_t chunks = 0;
    CLI::App app("Wander: walk through a world that a video model invents while you walk.", "wander");
    app.footer(kFooter);
    app.set_version_flag("--version", std::string("wander ") + WANDER_VERSION);
    app.set_help_flag("-h,--help", "Print this and exit");
    add_options(app, options, start_pose, cache, chunks);
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        options.text = app.help();
        return options;
    } catch (const CLI::CallForVersion&) {
        options.text = std::string("wander ") + WANDER_VERSION + "\n";
        return options;
    } catch (const CLI::Error& error) {
        return wrong_use(one_line(error.what()) + "; see wander --help");
    }
    if (!cache.empty()) options.cache = cache;
    if (chunks > 0) options.chunks = chunks;
    if (!start_pose.empty()) {
        auto pose = parse_start_pose(start_pose);
        if (!pose) return pose.error();
        options.start_pose = *pose;
    }
    if (auto checked = check_headless_only(options); !checked) return checked.error();
    if (options.walk_decoder && options.walk_out.empty())
        return wrong_use("--walk-decoder says what --walk-out FILE holds; give that as well");
    if (!options.out.empty() && options.out.extension() != ".mp4") {
        return wrong_use("--out " + options.out.string() + ": the recording is an MP4, so its name must end in .mp4");
    }
    return options;
}

Result<std::pair<std::string, Pose>> parse_start_pose(const std::string& text) {
    const Error malformed = wrong_use("--start-pose '" + text +
                                      "': write WORLD,X,Z,YAW,PITCH, for example village,8,8,0,0 (angles in radians)");
    std::vector<std::string> fields(1);
    for (const char c : text) {
        if (c == ',') {
            fields.emplace_back();
        } else {
            fields.back() += c;
        }
    }
    if (fields.size() != 5 || fields[0].empty()) return malformed;
    float numbers[4];
    for (std::size_t i = 0; i < 4; ++i) {
        const std::string& field = fields[i + 1];
        const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), numbers[i]);
        if (code != std::errc{} || end != field.data() + field.size() || !std::isfinite(numbers[i])) return malformed;
    }
    return std::pair{fields[0], Pose{numbers[0], numbers[1], numbers[2], numbers[3]}};
}

} // namespace wander
