#include "app/subcommand.hpp"

#include "app/convert.hpp"
#include "app/evaluate_command.hpp"
#include "app/info.hpp"
#include "app/parse_command.hpp"
#include "app/train_command.hpp"
#include "app/world_command.hpp"

#include <string>

#include <CLI/CLI.hpp>

namespace wander {

std::optional<int> run_subcommand(int argc, const char* const* argv) {
    const std::string word = argc > 1 ? argv[1] : "";
    if (word == "evaluate") return run_evaluate_command(argc, argv);
    if (word == "world") return run_world_command(argc, argv);
    if (word == "train") return run_train_command(argc, argv);
    if (word != "info" && word != "convert") return std::nullopt;
    std::string model;
    CLI::App app(word == "info"
                     ? "Say what a model folder is, what is missing, and what memory its weights need."
                     : "Convert a model folder once, so that it starts quickly: bf16 safetensors in DIR/wander.",
                 "wander " + word);
    app.add_option("model", model, "A folder with a model's files (docs/models.md says which), or with a world")
        ->type_name(word == "info" ? "embedded|DIR" : "DIR")
        ->required();
    std::string system_prompt_from;
    if (word == "convert")
        app.add_option("--system-prompt-from", system_prompt_from,
                       "HY-WorldPlay 8B: the file of its own code with the instruction for its text encoder")
            ->type_name("FILE.py");
    return parse_and_run(app, argc, argv,
                         [&] { return word == "info" ? run_info(model) : run_convert(model, system_prompt_from); });
}

} // namespace wander
