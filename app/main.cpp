#include "app/exit_code.hpp"
#include "app/headless.hpp"
#include "app/options.hpp"
#include "app/paths.hpp"
#include "app/process_clock.hpp"
#include "app/subcommand.hpp"
#include "generator/walk.hpp"

#if WANDER_WITH_WINDOW
#include "app/window_app.hpp"
#endif

#include <cstdio>
#include <exception>

namespace {

int run(const wander::Options& options) {
    if (options.headless) return wander::run_headless(options);
#if WANDER_WITH_WINDOW
    wander::WindowRun window;
    window.walk = wander::walk_options(options);
    window.format_given = options.cache.has_value();
    window.correction_given = options.cache_rules.bias_correction.has_value();
    window.fonts = wander::assets_folder() / "fonts";
    window.record_dir = options.record_dir;
    window.session_out = options.session_out;
    return wander::run_window(window);
#else
    return wander::fail_with({wander::ErrorCode::unavailable,
                              "this build has no window; use --headless, or build with WANDER_WITH_WINDOW=ON"});
#endif
}

} // namespace

int main(int argc, char** argv) {
    wander::process_age_ms(); // its clock starts here
    if (const auto code = wander::run_subcommand(argc, argv)) return *code;
    const auto options = wander::parse_options(argc, argv);
    if (!options) return wander::fail_with(options.error());
    if (!options->text.empty()) {
        std::fputs(options->text.c_str(), stdout);
        return wander::kExitDone;
    }
    try {
        return run(*options);
    } catch (const std::exception& error) {
        return wander::fail_with({wander::ErrorCode::internal, std::string("unexpected: ") + error.what()});
    }
}
