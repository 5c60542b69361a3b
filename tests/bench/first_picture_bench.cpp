// A clip of 21 latents from a new prompt on, with everything warm. First picture: the text is encoded, the first chunk
// denoised, its first latent decoded. Clip: (end of decoding chunk 7 - end of decoding chunk 1) / 6.
//
//     first_picture_bench MODEL_DIR [--decoder tiny|full] [--weights fp8] [--attention fp8] [--cache FORMAT] [--repeats
//     5]
//
// The first clip of the process warms up and is not counted. Every clip has a prompt that no cache knows.

#include "generator/walk.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace wander;

constexpr std::int64_t kChunks = 7;

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Keeps when the first frame came.
class FirstFrame : public FrameSink {
public:
    FirstFrame(int width, int height)
        : pixels_(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 4) {}
    FrameSlot acquire(const std::stop_token&) override { return {.slot = 0, .host = pixels_.data()}; }
    void publish(const FrameTicket& ticket, void*) override {
        if (ticket.frame_index == 0) at_seconds = steady_seconds();
    }
    double at_seconds = 0; // decode thread; read after the walk

private:
    std::vector<std::uint8_t> pixels_;
};

int run(int argc, char** argv) {
    WalkOptions options;
    int repeats = 5;
    for (int i = 1; i < argc; ++i) {
        const auto next = [&] { return i + 1 < argc ? argv[++i] : ""; };
        if (std::strcmp(argv[i], "--decoder") == 0) {
            options.decoder = next();
        } else if (std::strcmp(argv[i], "--weights") == 0) {
            options.fp8_weights = std::strcmp(next(), "fp8") == 0;
        } else if (std::strcmp(argv[i], "--attention") == 0) {
            if (std::strcmp(next(), "fp8") == 0) options.attention = quant::AttentionType::fp8;
        } else if (std::strcmp(argv[i], "--cache") == 0) {
            options.cache_format = next();
        } else if (std::strcmp(argv[i], "--repeats") == 0) {
            repeats = std::max(1, std::atoi(next()));
        } else {
            options.model = argv[i];
        }
    }
    options.assets = WANDER_BENCH_ASSETS;
    options.device = "cuda";
    options.text_encoder = "gpu";
    auto walk = Walk::open(options);
    if (!walk) {
        std::fprintf(stderr, "first_picture_bench: %s\n", walk.error().message.c_str());
        return 2;
    }
    const WalkInfo& info = (*walk)->info();
    std::printf("%s, %s, decoder %s, weights %s, attention %s\n", info.device_name.c_str(), info.precision.c_str(),
                options.decoder.c_str(), options.fp8_weights ? "fp8" : "bf16",
                quant::attention_name(options.attention));
    const unsigned once = std::random_device{}();
    std::vector<double> first_ms, clip_ms;
    for (int i = 0; i <= repeats; ++i) {
        if (auto again = (*walk)->restart({}); !again) return 2;
        FirstFrame sink(info.width, info.height);
        const std::string prompt = "Street number " + std::to_string(once) + " of town " + std::to_string(i) + ".";
        const double begun = steady_seconds();
        const auto source = [&](std::int64_t index, const std::stop_token&) {
            ChunkControls controls;
            controls.stop = index >= kChunks;
            if (index == 0) controls.prompt = prompt;
            return controls;
        };
        ChunkTelemetry first;
        double clip = 0;
        const auto report = [&](const ChunkTelemetry& chunk) {
            if (chunk.index == 0) first = chunk;
            if (chunk.index > 0) clip += chunk.ms.period / (kChunks - 1);
        };
        if (auto done = (*walk)->run(source, sink, report, {}); !done) {
            std::fprintf(stderr, "first_picture_bench: %s\n", done.error().message.c_str());
            return 1;
        }
        const double ms = (sink.at_seconds - begun) * 1000;
        std::printf(
            "%s %.1f ms, clip %.1f ms a chunk; of the first chunk: four passes %.1f, decoding everything %.1f\n",
            i == 0 ? "warm-up" : "first picture after", ms, clip, first.ms.denoise, first.ms.decode);
        if (i > 0) {
            first_ms.push_back(ms);
            clip_ms.push_back(clip);
        }
    }
    std::sort(first_ms.begin(), first_ms.end());
    std::sort(clip_ms.begin(), clip_ms.end());
    std::printf("first picture: median %.1f ms, worst %.1f; clip: median %.1f ms, worst %.1f\n",
                first_ms[first_ms.size() / 2], first_ms.back(), clip_ms[clip_ms.size() / 2], clip_ms.back());
    return 0;
}

} // namespace

int main(int argc, char** argv) { return run(argc, argv); }
