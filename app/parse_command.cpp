#include "app/parse_command.hpp"

#include "app/exit_code.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

namespace wander {

int parse_and_run(CLI::App& app, int argc, const char* const* argv, const std::function<int()>& run) {
    try {
        app.parse(argc - 1, argv + 1);
    } catch (const CLI::CallForHelp&) {
        std::fputs(app.help().c_str(), stdout);
        return kExitDone;
    } catch (const CLI::Error& error) {
        std::string text = error.what();
        std::replace(text.begin(), text.end(), '\n', ' ');
        return fail_with({ErrorCode::wrong_use, text + "; see " + app.get_name() + " --help"});
    }
    try {
        return run();
    } catch (const std::exception& error) {
        return fail_with({ErrorCode::internal, std::string("unexpected: ") + error.what()});
    }
}

} // namespace wander
