#include "app/train_command.hpp"

#include "app/exit_code.hpp"
#include "app/parse_command.hpp"
#include "app/paths.hpp"
#include "generator/train/stop_request.hpp"
#include "generator/train/trainer.hpp"
#include "generator/train/worker_processes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <vector>

#include <unistd.h>

namespace wander {

namespace {

namespace fs = std::filesystem;

constexpr double kTerminalSeconds = 0.1;
constexpr double kLogSeconds = 10;
constexpr double kSecondsPerMinute = 60;

const char* const kFooter =
    "DIR gets world/, a folder like assets/world that every option of the program takes (wander --model DIR/world), "
    "checkpoint.safetensors\n"
    "to go on with, portable/ to carry away, training.jsonl, training.png and sheets of pictures. Ctrl+C finishes the "
    "step "
    "and writes everything.\n"
    "Step by step: docs/training.md. How to write a theme: docs/themes.md.";

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string minutes_text(double seconds) {
    if (seconds < kSecondsPerMinute) return fmt::format("{:.0f} s", seconds);
    return fmt::format("{:.0f} min {:02.0f} s", std::floor(seconds / kSecondsPerMinute),
                       std::fmod(seconds, kSecondsPerMinute));
}

// One line that is rewritten on a terminal, else a line every few seconds.
class TrainLine {
public:
    TrainLine() : terminal_(::isatty(STDERR_FILENO) == 1) {}

    void show(const train::TrainReport& report) {
        const double now = steady_seconds();
        if (now - shown_seconds_ < (terminal_ ? kTerminalSeconds : kLogSeconds)) return;
        shown_seconds_ = now;
        std::string line = fmt::format("{}: {:.0f} %", report.doing, report.share * 100);
        if (report.step > 0)
            line += report.steps > 0 ? fmt::format(", step {} of {}", report.step, report.steps)
                                     : fmt::format(", step {}", report.step);
        if (report.loss > 0)
            line += fmt::format(", loss {:.4f}, rate {:.2f}, {:.1f} steps/s", report.loss, report.rate,
                                report.steps_per_second);
        if (report.seconds_left > 0) line += fmt::format(", {} left", minutes_text(report.seconds_left));
        std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n", line.c_str());
        std::fflush(stderr);
        open_ = terminal_;
    }
    void say(const std::string& line) {
        end();
        std::fprintf(stderr, "wander: %s\n", line.c_str());
    }
    void end() {
        if (open_) std::fputc('\n', stderr);
        open_ = false;
    }

private:
    const bool terminal_;
    bool open_ = false;
    double shown_seconds_ = 0;
};

Error wrong_use(const std::string& message) { return {ErrorCode::wrong_use, message}; }

// A file, or the name of a theme that the program came with.
Result<fs::path> theme_file(const std::string& word) {
    std::error_code ignored;
    if (fs::is_regular_file(word, ignored)) return fs::path(word);
    const fs::path known = assets_folder() / "themes" / (word + ".json");
    if (fs::exists(known, ignored)) return known;
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(assets_folder() / "themes", ignored)) {
        if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return wrong_use(fmt::format("--themes {}: is neither a file nor one of {}", word, fmt::join(names, ", ")));
}

// "192x112".
bool read_size(const std::string& text, int& width, int& height) {
    const char* end = text.data() + text.size();
    const auto across = std::from_chars(text.data(), end, width);
    if (across.ec != std::errc{} || across.ptr == end || *across.ptr != 'x') return false;
    const auto down = std::from_chars(across.ptr + 1, end, height);
    return down.ec == std::errc{} && down.ptr == end && width >= 1 && height >= 1;
}

void add_path(CLI::App& app, const char* name, fs::path& path, const char* help) {
    app.add_option_function<std::string>(
           name, [&path](const std::string& text) { path = text; }, help)
        ->type_name("DIR");
}

void add_run_options(CLI::App& app, train::TrainOptions& options, std::vector<std::string>& themes) {
    app.add_option("--themes", themes,
                   "Places of the world, in their order: names that `wander world list` shows, or files")
        ->delimiter(',')
        ->type_name("NAME|FILE,...");
    add_path(app, "--out", options.out, "Folder of the training and its world; with --resume: that one");
    add_path(app, "--resume", options.resume, "Go on with the training in this folder");
    app.add_option(
           "--from", options.from,
           "Weights to begin with: the shipped ones (default), none, or a folder of a world or a training; places "
           "that they know keep their maps")
        ->type_name("embedded|none|DIR");
    app.add_option("--minutes", options.minutes, "How long in all; default: 20")
        ->type_name("N")
        ->check(CLI::Range(0.1, 1e5));
    app.add_option("--stop-after", options.stop_after, "Stop this session after so many minutes; --resume goes on")
        ->type_name("N")
        ->check(CLI::Range(0.05, 1e5));
    app.add_option("--steps", options.steps, "Steps of the transformer in place of the clock")
        ->type_name("N")
        ->check(CLI::Range(1, 100000000));
    app.add_option("--decoder-steps", options.decoder_steps, "With --steps: steps of the decoder; default: 0")
        ->type_name("N")
        ->check(CLI::Range(0, 100000000));
    app.add_option("--vae-steps", options.vae_steps, "With --steps and --new-vae: steps of the autoencoder")
        ->type_name("N")
        ->check(CLI::Range(1, 100000000));
    app.add_option("--decoder-share", options.decoder_share, "Share of the time that the decoder gets; default: 0.17")
        ->type_name("X")
        ->check(CLI::Range(0.0, 0.9));
    app.add_flag("--new-vae", options.new_vae,
                 "Train an autoencoder first, instead of using the shipped one; with --from none");
    app.add_option("--device", options.device, "Where; default: auto")
        ->type_name("auto|cpu|cuda")
        ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
    app.add_option("--precision", options.precision, "Of matrices; default: bf16 on a GPU, fp32 on a CPU")
        ->type_name("auto|fp32|bf16");
    app.add_option("--gpus", options.gpus, "GPUs of this machine, one process each; default: 1")
        ->type_name("N")
        ->check(CLI::Range(1, 64));
    app.add_option("--threads", options.threads, "CPU threads; 0: all cores")
        ->type_name("N")
        ->check(CLI::Range(0, 1024));
    app.add_option("--seed", options.seed, "Of walks, noise and new weights; default: 0")->type_name("N");
}

void add_recipe_options(CLI::App& app, train::TrainOptions& options) {
    app.add_option("--walks", options.walks, "Walks to learn from, a place; default: 280 on a GPU, 12 on a CPU")
        ->type_name("N")
        ->check(CLI::Range(1, 100000));
    app.add_option("--walk-latents", options.walk_latents,
                   "Length of a walk in latents of a quarter of a second; default: 120")
        ->type_name("N")
        ->check(CLI::Range(2, 2000));
    app.add_option("--batch", options.batch, "Clips a step and GPU; default: 12 on a GPU, 2 on a CPU")
        ->type_name("N")
        ->check(CLI::Range(1, 4096));
    app.add_option("--clip-latents", options.clip_latents, "Length of a clip; default: 24, as much as a walk sees")
        ->type_name("N")
        ->check(CLI::Range(1, 500));
    app.add_option("--own-share", options.own_share, "Share of the steps on the model's own walks; default: 0.75")
        ->type_name("X")
        ->check(CLI::Range(0.0, 1.0));
    app.add_option("--context-errors", options.context_errors,
                   "Factor of the errors that are put into true history, so that the model learns to take its own "
                   "back; default: 1")
        ->type_name("X")
        ->check(CLI::Range(0.0, 10.0));
    app.add_option("--own-walks", options.own_walks, "Own walks side by side; default: 128 on a GPU, 4 on a CPU")
        ->type_name("N")
        ->check(CLI::Range(1, 100000));
    app.add_option_function<double>(
           "--rate", [&options](const double& rate) { options.rate = rate; },
           "Factor of the learning rates; default: 1 for new weights, else 0.5")
        ->type_name("X")
        ->check(CLI::Range(1e-6, 100.0));
    app.add_option("--end-rate", options.end_rate, "What it falls to; default: 0")
        ->type_name("X")
        ->check(CLI::Range(0.0, 100.0));
    app.add_option("--fall-from", options.fall_from, "Share of the phase after which it falls; default: 0.4")
        ->type_name("X")
        ->check(CLI::Range(0.0, 1.0));
    app.add_option("--warm-up", options.warm_up, "Steps of its rise; default: 150")
        ->type_name("N")
        ->check(CLI::Range(0, 100000));
    app.add_option("--decoder-sharpness", options.decoder_sharpness,
                   "Factor of the discriminator's weight in the decoder's phase: more looks sharper, less is nearer to "
                   "the truth; default: 1")
        ->type_name("X")
        ->check(CLI::Range(0.0, 100.0));
    app.add_option("--dim", options.dim, "Width of a new network, a multiple of 64; default: 320")
        ->type_name("N")
        ->check(CLI::Range(64, 4096));
    app.add_option("--layers", options.layers, "Layers of a new network; default: 6")
        ->type_name("N")
        ->check(CLI::Range(1, 64));
    app.add_option("--map-cells", options.map_cells,
                   "Cells along a side of a place's map; default: as the weights to begin with have them, 64")
        ->type_name("N")
        ->check(CLI::Range(8, 512));
    app.add_option_function<std::string>(
           "--size",
           [&options](const std::string& text) {
               if (!read_size(text, options.width, options.height))
                   throw CLI::ValidationError("--size", text + " is not WIDTHxHEIGHT, like 192x112");
           },
           "Size of a new network's pictures, multiples of 16; default: 192x112")
        ->type_name("WxH");
    app.add_option("--save-minutes", options.save_minutes, "Minutes between checkpoints; default: 3")
        ->type_name("N")
        ->check(CLI::Range(0.0, 1e5));
    app.add_option("--look-minutes", options.look_minutes,
                   "Minutes between sheets, plots and exports of the world; 0: at the end alone; default: 3")
        ->type_name("N")
        ->check(CLI::Range(0.0, 1e5));
    app.add_option("--look-seconds", options.look_seconds, "Length of the walks on a sheet; 0: none; default: 5")
        ->type_name("N")
        ->check(CLI::Range(0, 60));
    app.add_option("--log-steps", options.log_steps, "Steps between lines of training.jsonl; default: 20")
        ->type_name("N")
        ->check(CLI::Range(1, 100000));
}

// The folders as they are meant. wrong_use where they contradict.
Result<void> settle_folders(train::TrainOptions& options, const CLI::App& app) {
    if (options.resume.empty()) {
        if (options.out.empty())
            return wrong_use("--out DIR says where the training shall lie; or go on with --resume DIR");
        return {};
    }
    for (const char* word :
         {"--from", "--minutes", "--steps", "--decoder-steps", "--vae-steps", "--decoder-share", "--new-vae", "--seed",
          "--walks", "--walk-latents", "--clip-latents", "--own-share", "--context-errors", "--rate", "--end-rate",
          "--fall-from", "--warm-up", "--map-cells", "--size"}) {
        if (app.count(word) > 0)
            return wrong_use(fmt::format(
                "--resume and {}: a training goes on as it began; leave {} out, or begin another with --from", word,
                word));
    }
    if (options.out.empty()) options.out = options.resume;
    return {};
}

int train_here(const train::TrainOptions& options) {
    train::catch_stop_signals();
    TrainLine line;
    train::TrainSink sink;
    sink.progress = [&](const train::TrainReport& report) { line.show(report); };
    sink.say = [&](const std::string& text) { line.say(text); };
    const auto outcome = train::train(options, sink);
    line.end();
    if (!outcome) return fail_with(outcome.error());
    if (train::worker_place().rank == 0) fmt::print("{}\n", outcome->summary);
    return kExitDone;
}

// What the command line says, once it is read.
int run(train::TrainOptions& options, const std::vector<std::string>& themes, const CLI::App& app, int argc,
        const char* const* argv) {
    options.assets = assets_folder();
    if (auto settled = settle_folders(options, app); !settled) return fail_with(settled.error());
    if (themes.empty() && options.resume.empty())
        return fail_with(
            wrong_use("--themes names the places to train on; wander world list shows those that there are"));
    for (const std::string& word : themes) {
        auto found = theme_file(word);
        if (!found) return fail_with(found.error());
        options.themes.push_back(*found);
    }
    if (options.gpus > 1 && !train::worker_place().started) {
        const std::vector<std::string> words(argv + 1, argv + argc);
        const auto code = train::run_workers(options.gpus, words, options.device != "cpu");
        return code ? *code : fail_with(code.error());
    }
    return train_here(options);
}

} // namespace

int run_train_command(int argc, const char* const* argv) {
    train::TrainOptions options;
    std::vector<std::string> themes;
    CLI::App app("Trains a world of your own: places out of theme files, networks like the embedded world's.",
                 "wander train");
    app.set_help_flag("-h,--help", "Print this and exit");
    app.footer(kFooter);
    add_run_options(app, options, themes);
    add_recipe_options(app, options);
    return parse_and_run(app, argc, argv, [&] { return run(options, themes, app, argc, argv); });
}

} // namespace wander
