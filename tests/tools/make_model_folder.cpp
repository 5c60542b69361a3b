// Writes a complete folder of a published model with random values: every file name, tensor name and shape of the real
// one, so that loading, speed and memory can be seen without the real weights. The pictures are noise.
//
//     make_model_folder DIR [--model self-forcing|wan-5b|worldplay-8b] [--layout official|diffusers] [--small]
//                           [--no-text] [--scaffolding] [--seed N]
//
// self-forcing, full size: 17.6 GB (transformer 5.68, text encoder 11.36, VAE 0.51), layout official unless said.
// wan-5b, full size: 35.4 GB (transformer 21.17, text encoder 11.36, VAE 2.82), layout diffusers unless said;
// --scaffolding adds the 20 GB of wan_transformer/ that have no use.
// worldplay-8b, full size: 38.6 GB in the places that public scripts use. Its text encoder's instruction is made up as
// well: wander convert DIR --system-prompt-from DIR/code/text_encoders.py. --small: a consistent small model for tests.

#include "tests/support/hunyuan_folder_writer.hpp"
#include "tests/support/model_folder_writer.hpp"
#include "tests/support/worldplay_folder_writer.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

int usage() {
    std::fprintf(stderr,
                 "usage: make_model_folder DIR [--model self-forcing|wan-5b|worldplay-8b] "
                 "[--layout official|diffusers] [--small] [--no-text] [--scaffolding] [--seed N]\n");
    return 2;
}

struct Options {
    std::string model = "self-forcing";
    std::string layout;
    bool small = false;
    bool with_text = true;
    bool scaffolding = false;
    std::uint64_t seed = 1;
};

bool read(int argc, char** argv, Options& options) {
    for (int i = 2; i < argc; ++i) {
        const std::string_view word = argv[i];
        const char* value = i + 1 < argc ? argv[i + 1] : "";
        if (word == "--small") {
            options.small = true;
        } else if (word == "--no-text") {
            options.with_text = false;
        } else if (word == "--scaffolding") {
            options.scaffolding = true;
        } else if (word == "--seed" && *value) {
            options.seed = std::strtoull(argv[++i], nullptr, 10);
        } else if (word == "--layout") {
            options.layout = argv[++i] ? value : "";
            if (options.layout != "official" && options.layout != "diffusers") return false;
        } else if (word == "--model") {
            options.model = argv[++i] ? value : "";
            if (options.model != "self-forcing" && options.model != "wan-5b" && options.model != "worldplay-8b")
                return false;
        } else {
            return false;
        }
    }
    return true;
}

} // namespace

int main(int argc, char** argv) {
    using namespace wander::test;
    Options options;
    if (argc < 2 || argv[1][0] == '-' || !read(argc, argv, options)) return usage();
    const auto begun = std::chrono::steady_clock::now();
    const auto seconds = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    };
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const auto say = [&](const std::string& line) { std::printf("%6.1f s  %s\n", seconds(), line.c_str()); };
    const auto write = [&]() -> wander::Result<void> {
        if (options.model == "wan-5b") {
            WorldPlayRecipe recipe;
            if (options.layout == "official") recipe.layout = WorldPlayRecipe::Layout::official;
            recipe.small = options.small;
            recipe.with_text = options.with_text;
            recipe.scaffolding = options.scaffolding;
            recipe.seed = options.seed;
            recipe.say = say;
            return write_worldplay_folder(argv[1], recipe);
        }
        if (options.model == "worldplay-8b") {
            HunyuanRecipe recipe;
            recipe.small = options.small;
            recipe.with_text = options.with_text;
            recipe.seed = options.seed;
            recipe.say = say;
            return write_hunyuan_folder(argv[1], recipe);
        }
        ModelFolderRecipe recipe;
        if (options.layout == "diffusers") recipe.layout = ModelFolderRecipe::Layout::diffusers;
        recipe.small = options.small;
        recipe.with_text = options.with_text;
        recipe.seed = options.seed;
        recipe.say = say;
        return write_model_folder(argv[1], recipe);
    };
    const auto written = write();
    if (!written) {
        std::fprintf(stderr, "make_model_folder: %s\n", written.error().message.c_str());
        return 1;
    }
    say("done");
    return 0;
}
