// Decoding on an NVIDIA GPU: milliseconds for a chunk (3 latents; 4 of the Wan 2.2 and HunyuanVideo 1.5 VAEs), for the
// first picture of a video, and memory, of the full VAEs and the tiny decoder, against the same in torch's plain
// operations (norms and sums one by one), in one run. Random weights at the published sizes. One JSON object a line;
// floors beside (arithmetic at 790 TFLOP/s). The Wan 2.2 VAE at 704x1280 and 480x832, and its encoder on one picture.
//
//     decode_bench [--rows 60] [--cols 104] [--chunks 12] [--parts] [--only WORD]
//
// --rows and --cols: latents of the Wan 2.1 decoders. --parts: the pieces of a chunk one by one as well.
#include <cstdio>

#if WANDER_CUDA
#include "generator/device.hpp"
#include "tests/bench/decode/decoders.hpp"
#include "tests/bench/decode/parts.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cstdlib>
#include <cstring>

namespace {

using namespace wander;
using namespace wander::bench;

int run(const Options& options) {
    const c10::InferenceMode inference;
    const auto device = pick_device("cuda", "bf16", 0);
    if (!device) {
        std::fprintf(stderr, "%s\n", device.error().message.c_str());
        return 1;
    }
    std::printf("{\"device\": \"%s\", \"rows\": %lld, \"cols\": %lld}\n", device->name.c_str(),
                static_cast<long long>(options.rows), static_cast<long long>(options.cols));
    at::manual_seed(1);
    if (options.parts && wanted(options, "full")) bench_full_parts(options);
    if (options.parts && wanted(options, "wan22")) bench_wan22_parts(44, 80);
    if (options.parts && wanted(options, "hunyuan")) bench_hunyuan_parts(30, 52);
    if (options.parts && wanted(options, "tiny")) bench_tiny_parts();
    bench_wan22(options);
    bench_hunyuan(options);
    bench_wan21(options);
    bench_tiny_worldplay(options);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const auto value = [&](const char* name) { return std::strcmp(argv[i], name) == 0 && i + 1 < argc; };
        if (value("--rows")) {
            options.rows = std::atoi(argv[++i]);
        } else if (value("--cols")) {
            options.cols = std::atoi(argv[++i]);
        } else if (value("--chunks")) {
            options.chunks = std::atoi(argv[++i]);
        } else if (value("--only")) {
            options.only = argv[++i];
        } else if (std::strcmp(argv[i], "--parts") == 0) {
            options.parts = true;
        } else {
            std::fprintf(stderr, "usage: decode_bench [--rows N] [--cols N] [--chunks N] [--parts] [--only WORD]\n");
            return 2;
        }
    }
    return run(options);
}

#else

int main() {
    std::fprintf(stderr, "this program was built without CUDA\n");
    return 1;
}

#endif
