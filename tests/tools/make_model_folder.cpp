// Writes a complete folder of a published model with random values: every file name, tensor name and shape of the real
// one, so that loading, speed and memory can be seen without the real weights. The pictures are noise.
//
//     make_model_folder DIR [--layout official|diffusers] [--small] [--no-text] [--seed N]
//
// Full size: 17.6 GB (transformer 5.68, text encoder 11.36, VAE 0.51). --small: a consistent small model for tests.

#include "tests/support/model_folder_writer.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

int usage() {
    std::fprintf(stderr,
                 "usage: make_model_folder DIR [--layout official|diffusers] [--small] [--no-text] [--seed N]\n");
    return 2;
}

} // namespace

int main(int argc, char** argv) {
    using Recipe = wander::test::ModelFolderRecipe;
    if (argc < 2 || argv[1][0] == '-') return usage();
    Recipe recipe;
    for (int i = 2; i < argc; ++i) {
        if (std::strcmp(argv[i], "--small") == 0) {
            recipe.small = true;
        } else if (std::strcmp(argv[i], "--no-text") == 0) {
            recipe.with_text = false;
        } else if (std::strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            recipe.seed = std::strtoull(argv[++i], nullptr, 10);
        } else if (std::strcmp(argv[i], "--layout") == 0 && i + 1 < argc &&
                   std::strcmp(argv[i + 1], "diffusers") == 0) {
            recipe.layout = Recipe::Layout::diffusers;
            ++i;
        } else if (std::strcmp(argv[i], "--layout") == 0 && i + 1 < argc && std::strcmp(argv[i + 1], "official") == 0) {
            ++i;
        } else {
            return usage();
        }
    }
    const auto begun = std::chrono::steady_clock::now();
    const auto seconds = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    };
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    recipe.say = [&](const std::string& line) { std::printf("%6.1f s  %s\n", seconds(), line.c_str()); };
    const auto written = wander::test::write_model_folder(argv[1], recipe);
    if (!written) {
        std::fprintf(stderr, "make_model_folder: %s\n", written.error().message.c_str());
        return 1;
    }
    std::printf("%6.1f s  done\n", seconds());
    return 0;
}
