// HY-WorldPlay on an NVIDIA GPU: whole chunks with a full context, steered straight ahead, the full decoder beside, as
// the program runs them. Random weights of the published sizes, made on the GPU, a random text and a random history, so
// no folder is needed. One JSON object a line, one for each run:
//   period_ms           from the end of a chunk's context to the next one's; every chunk, and the median behind the
//                       first, which makes plans
//   denoise_ms, context_ms, decode_ms   medians of the same chunks; they overlap
//   cache               bytes at the end, packed ratio, most at one time
//   peak_mib            torch's allocations at their highest since the weights were there, these included; in_use_mib:
//                       all that the GPU counts as used, at the end
//   off                 each chunk's latents against those of the first run, relative; the noise is the same
// With --gpus N (the 8B) each run is made on one GPU and then with its heads split over N, without a decoder unless it
// says `full` or `plain`, and a third line has their ratio:
//   exchange_ms         of a chunk, GPU 0's: from where an exchange begins to its end, waiting for the others included
//   gpus                peak_mib and in_use_mib of each
//   dit_ms              denoise_ms + context_ms, on one GPU and on N; ratio: the one divided by the other
//
//     worldplay_bench [--model 8b|wan-5b|wan-5b-small] [--gpus N] [--fp8-weights] [--parts] [RUN...]
//
// 8b and wan-5b-small are at 480x832, wan-5b at 704x1280. RUN: words joined by commas: a cache format (bf16),
// fp8-attention, fast (context), rows or no-rows (whether turned rows that have room stay from pass to pass; rows),
// full, plain or none (decoder), slice:MIB (CachePolicy's; the program's), to:FORMAT (the cache's format from chunk
// `at:N` on, back from the next one on), chunks:N (3). Without any: one of the default.
// --parts: what attention (everything counted: turning, expansion) takes alone with scratch of several sizes, and of
// the 8B the products, one layer after the other without a walk, in ms a chunk and TFLOP/s.
#include <cstdio>

#if WANDER_CUDA
#include "tests/bench/worldplay/bench.hpp"
#include "tests/bench/worldplay/gpu_meter.hpp"
#include "tests/bench/worldplay/parts.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/Context.h>
#include <c10/core/InferenceMode.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

using namespace wander;
using namespace wander::bench;
using nlohmann::json;

int main(int argc, char** argv) {
    const c10::InferenceMode inference;
    nn::WeightType weights = nn::WeightType::compute;
    bool parts = false;
    int gpus = 1;
    std::string name = "8b";
    std::vector<Run> runs;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--fp8-weights") {
            weights = nn::WeightType::e4m3;
        } else if (word == "--parts") {
            parts = true;
        } else if (word == "--gpus" && i + 1 < argc) {
            gpus = std::atoi(argv[++i]);
        } else if (word == "--model" && i + 1 < argc) {
            name = argv[++i];
        } else if (auto run = word.starts_with("--") ? std::nullopt : read_run(word)) {
            runs.push_back(*run);
        } else {
            std::fprintf(stderr,
                         "usage: worldplay_bench [--model 8b|wan-5b|wan-5b-small] [--gpus N] [--fp8-weights] [--parts] "
                         "[RUN...]\n");
            return 2;
        }
    }
    if (runs.empty() && !parts) runs.push_back(*read_run("bf16"));
    if (!test::open_cuda()) {
        std::fprintf(stderr, "worldplay_bench: there is no CUDA device\n");
        return 2;
    }
    at::globalContext().lazyInitDevice(at::kCUDA);
    int present = 0;
    check(cudaGetDeviceCount(&present));
    if (gpus < 1 || gpus > present || (gpus > 1 && name != "8b")) {
        std::fprintf(stderr, "worldplay_bench: --gpus: from 1 to the %d that there are, several for the 8b\n", present);
        return 2;
    }
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, 0));
    const double begin = now_ms();
    Bench bench(name == "8b" ? open_8b(weights, gpus) : open_wan_5b(weights, name == "wan-5b-small"));
    std::printf(
        "%s\n",
        json({{"device", properties.name}, {"model", name}, {"weights_made_in_ms", now_ms() - begin}}).dump().c_str());
    const auto print = [](const json& line) {
        std::printf("%s\n", line.dump().c_str());
        std::fflush(stdout);
    };
    for (Run& run : runs) {
        if (run.decoder.empty()) run.decoder = gpus > 1 ? "none" : "full";
        const json one = bench.run(run);
        print(one);
        if (gpus == 1) continue;
        const json several = bench.run(run, gpus);
        print(several);
        const auto dit_ms = [](const json& made) {
            return made.at("denoise_ms").get<double>() + made.at("context_ms").get<double>();
        };
        print({{"run", run.name},
               {"gpus", gpus},
               {"dit_ms", {dit_ms(one), dit_ms(several)}},
               {"ratio", dit_ms(one) / dit_ms(several)},
               {"exchange_share", several.at("exchange_ms").get<double>() / dit_ms(several)}});
    }
    if (parts) std::printf("%s\n", parts_alone(bench.model()).dump().c_str());
    return 0;
}
#else
int main() {
    std::puts("worldplay_bench: built without CUDA");
    return 0;
}
#endif
