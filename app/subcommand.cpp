#include "app/subcommand.hpp"

#include "app/convert.hpp"
#include "app/exit_code.hpp"
#include "app/info.hpp"

#include <cstdio>
#include <exception>
#include <string>

#include <CLI/CLI.hpp>

namespace wander {

namespace {

int parse_and_run(CLI::App& app, int argc, const char* const* argv, const std::string& help_of,
                  int (*run)(const std::string& model), const std::string& model) {
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        std::fputs(app.help().c_str(), stdout);
        return kExitDone;
    } catch (const CLI::Error& error) {
        std::string text = error.what();
        for (char& c : text) {
            if (c == '\n') c = ' ';
        }
        return fail_with({ErrorCode::wrong_use, text + "; see wander " + help_of + " --help"});
    }
    return run(model);
}

} // namespace

std::optional<int> run_subcommand(int argc, const char* const* argv) {
    const std::string word = argc > 1 ? argv[1] : "";
    if (word != "info" && word != "convert") return std::nullopt;
    std::string model;
    CLI::App app(word == "info"
                     ? "Say what a model folder is, what is missing, and what memory its weights need."
                     : "Convert a model folder once, so that it starts quickly: bf16 safetensors in DIR/wander.",
                 "wander " + word);
    app.add_option("model", model, "A folder with a model's files; docs/models.md says which")
        ->type_name(word == "info" ? "embedded|DIR" : "DIR")
        ->required();
    try {
        return parse_and_run(app, argc - 1, argv + 1, word, word == "info" ? run_info : run_convert, model);
    } catch (const std::exception& error) {
        return fail_with({ErrorCode::internal, std::string("unexpected: ") + error.what()});
    }
}

} // namespace wander
