#include "app/evaluate_command.hpp"

#include "app/exit_code.hpp"
#include "app/parse_command.hpp"
#include "app/paths.hpp"
#include "app/progress.hpp"
#include "generator/device.hpp"
#include "generator/evaluate/evaluate_world.hpp"
#include "generator/evaluate/model_card.hpp"
#include "generator/plain/atomic_file.hpp"
#include "generator/world/plain/world_folder.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <mutex>

namespace wander {

namespace {

namespace fs = std::filesystem;

constexpr int kQuickSeconds = 5;

const char* const kFooter =
    "Walks: the known ones of village, winter and neon, four a place; four random ones of every other place.\n"
    "DIR gets evaluation.md, evaluation.json (docs/formats.md), sheet.png and psnr.png.\n"
    "The whole protocol of a world of six places is 24 walks of 60 s: about a minute on a GPU, a quarter of an hour "
    "on\n"
    "two CPU cores, and half of that again for each cache format.";

struct EvaluateOptions {
    std::string model = "embedded";
    fs::path out;
    std::string device = "auto";
    std::string precision = "auto";
    int threads = 0;
    std::string formats;
    bool quick = false;
    int seconds = 0; // 0: not given
    int walks = 0;
    bool free_walk_only = false;
    bool card = false;
    evaluate::EvaluationOptions evaluation;
};

Error wrong_use(const std::string& message) { return {ErrorCode::wrong_use, message}; }

void add_options(CLI::App& app, EvaluateOptions& options) {
    app.footer(kFooter);
    app.add_option("--model", options.model, "The world: 'embedded', or a folder as `wander train` writes it")
        ->type_name("embedded|DIR");
    app.add_option_function<std::string>(
           "--out", [&options](const std::string& text) { options.out = text; }, "Folder of the tables and pictures")
        ->required()
        ->type_name("DIR");
    app.add_option("--formats", options.formats, "Cache formats to walk in as well; all: every one")
        ->type_name("NAME,...|all");
    app.add_flag(
        "--fp8", options.evaluation.fp8,
        "Walk with weights, attention, and both in FP8 as well; attention is emulated, on the CPU weights too");
    app.add_option("--seconds", options.seconds, "Length of the free walks; default: 60")
        ->type_name("N")
        ->check(CLI::Range(1, 60));
    app.add_option("--walks", options.walks, "Walks of every place; default: 4")
        ->type_name("N")
        ->check(CLI::Range(1, 4));
    app.add_flag("--quick", options.quick, "One walk of every place, 5 s, unless told otherwise");
    app.add_flag("--free-walk-only", options.free_walk_only,
                 "Neither next chunks, nor the autoencoder's ceiling, nor walks that come back");
    app.add_flag("--card", options.card,
                 "Put the figures into the world's own model card as well: README.md and world.json in its folder");
    app.add_option("--seed", options.evaluation.seed, "Seed of the noise")->type_name("N");
    app.add_option("--device", options.device, "Where the model runs")
        ->type_name("auto|cpu|cuda")
        ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
    app.add_option("--precision", options.precision, "Arithmetic of the model")
        ->type_name("auto|fp32|bf16")
        ->check(CLI::IsMember({"auto", "fp32", "bf16"}));
    app.add_option("--threads", options.threads, "CPU threads; 0: all cores")
        ->type_name("N")
        ->check(CLI::Range(0, 1024));
    app.add_option("--workers", options.evaluation.workers, "Walks at one time; 0: one a core, on a GPU one")
        ->type_name("N")
        ->check(CLI::Range(0, 64));
}

// The walks take minutes: whether they can be kept is found out before.
Result<void> prepare_folder(const fs::path& folder) {
    std::error_code failed;
    fs::create_directories(folder, failed);
    if (failed) return Error{ErrorCode::bad_input, "cannot write to " + folder.string() + ": " + failed.message()};
    return check_writable(folder / "evaluation.md");
}

Result<void> evaluate_folder(EvaluateOptions& options) {
    evaluate::EvaluationOptions& evaluation = options.evaluation;
    evaluation.seconds = options.seconds > 0 ? options.seconds : options.quick ? kQuickSeconds : evaluation.seconds;
    evaluation.walks_per_place = options.walks > 0 ? options.walks : options.quick ? 1 : evaluation.walks_per_place;
    evaluation.next_chunk = evaluation.revisits = !options.free_walk_only;
    const fs::path assets = assets_folder();
    if (options.model != "embedded" && !find_world_folder(options.model))
        return wrong_use(
            fmt::format("--model {}: there is no world in it (a world.json); give a folder that wander "
                        "train wrote",
                        options.model));
    if (auto ready = prepare_folder(options.out); !ready) return ready;
    auto device = pick_device(options.device, options.precision, options.threads);
    if (!device) return device.error();
    set_own_thread_count(device->threads);
    const fs::path folder = model_path(options.model, assets);
    auto world = evaluate::open_evaluated_world(folder, assets, *device);
    if (!world) return world.error();
    if (evaluation.fp8) {
        if (auto loaded = evaluate::load_fp8_network(*world); !loaded) return loaded;
    }
    auto formats = evaluate::parse_formats(options.formats, *world);
    if (!formats) return formats.error();
    evaluation.formats = *formats;
    LoadingLine line;
    evaluation.progress = [&line](const LoadProgress& progress) { line.show(progress); };
    auto evaluated = evaluate::evaluate_world(*world, evaluation);
    line.end();
    if (!evaluated) return evaluated.error();
    if (auto written = evaluate::write_evaluation(*evaluated, options.out, assets); !written) return written;
    if (options.card) {
        if (auto done = evaluate::update_model_card(folder, evaluated->report); !done) return done;
    }
    fmt::print("{}\nIn {:.1f} minutes; {} has evaluation.md, evaluation.json, sheet.png and psnr.png.\n",
               report_markdown(evaluated->report), evaluated->report.minutes, options.out.string());
    return {};
}

} // namespace

int run_evaluate_command(int argc, const char* const* argv) {
    EvaluateOptions options;
    CLI::App app("Measures a world against its truth: pictures of its places at the same poses.", "wander evaluate");
    app.set_help_flag("-h,--help", "Print this and exit");
    add_options(app, options);
    return parse_and_run(app, argc, argv, [&] {
        const auto done = evaluate_folder(options);
        return done ? kExitDone : fail_with(done.error());
    });
}

} // namespace wander
