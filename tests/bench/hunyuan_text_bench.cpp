// Times of HunyuanVideo 1.5's prompt and picture encoders at full size on this machine's device.
//
//   hunyuan_text_bench [--device cpu|cuda|auto] [--layers 26] [--placement both|resident|streamed] [--rounds 5]
//                      [--type bf16|fp16]
//
// Weights are random, every tensor in host memory of its own, as a mapped file that was read once (13.2 GB for Qwen).
// Prints milliseconds and the device's peak so far; streamed first.

#include "generator/device.hpp"
#include "generator/text/byt5_encoder.hpp"
#include "generator/text/qwen_text_weights.hpp"
#include "generator/vision/siglip.hpp"
#include "tests/bench/figures.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <string>

namespace wander {
namespace {

using bench::now_ms;
using Shapes = CheckpointPart::Shapes;

CheckpointPart::TensorSource random_weights(const Shapes& shapes) {
    const at::Tensor values = (at::rand({1 << 24}) * 0.04 - 0.02).to(at::kBFloat16);
    auto weights = std::make_shared<std::map<std::string, at::Tensor>>();
    for (const auto& [name, shape] : shapes) {
        at::Tensor tensor = at::ones(shape, at::kBFloat16);
        at::Tensor flat = tensor.view(-1);
        for (std::int64_t at = 0; shape.size() > 1 && at < flat.numel(); at += values.numel()) {
            const std::int64_t part = std::min(values.numel(), flat.numel() - at);
            flat.narrow(0, at, part).copy_(values.narrow(0, 0, part));
        }
        weights->emplace(name, tensor);
    }
    return [weights](const std::string& name, const std::vector<std::int64_t>&) -> Result<at::Tensor> {
        return weights->at(name);
    };
}

struct Setting {
    ComputeDevice device;
    TextPlacement placement = TextPlacement::streamed;
    int rounds = 5;

    std::string name() const {
        return fmt::format("{} {}", placement == TextPlacement::resident ? "resident" : "streamed", device.kind());
    }
    void time(const std::string& what, const std::function<void()>& encode) const {
        std::vector<double> times;
        for (int round = 0; round < rounds; ++round) {
            const double begin = now_ms();
            encode();
            times.push_back(now_ms() - begin);
        }
        const double first = times[0];
        std::sort(times.begin(), times.end());
        std::printf("%s, %s: median %.1f ms, first %.1f ms, device peak so far %.2f GB\n", name().c_str(), what.c_str(),
                    times[times.size() / 2], first, static_cast<double>(peak_gpu_bytes(device.device)) * 1e-9);
        std::fflush(stdout);
    }
};

std::vector<int> some_ids(int count, int vocab) {
    std::vector<int> ids;
    for (int i = 0; i < count; ++i) ids.push_back(static_cast<int>(std::int64_t{i} * 7919 % vocab));
    return ids;
}

template <typename Network, typename Config>
Result<Network> load(const Setting& setting, const Config& config, const char* what) {
    const auto source = random_weights(config.tensor_shapes());
    const double begin = now_ms();
    auto network = Network::load(config, source, setting.device.device, setting.device.compute, setting.placement);
    if (network) std::printf("%s, %s: load %.0f ms\n", setting.name().c_str(), what, now_ms() - begin);
    return network;
}

Result<void> time_all(const Setting& setting, int layers) {
    {
        QwenTextConfig config;
        config.layers = layers;
        auto network = load<QwenTextEncoder>(setting, config, "Qwen2.5-VL text");
        if (!network) return network.error();
        for (const int tokens : {150, 300, 850, 1108}) {
            const auto ids = some_ids(tokens, config.vocab);
            setting.time(fmt::format("Qwen2.5-VL text, {} layers, {} tokens", layers, tokens),
                         [&] { network->encode(ids, 108); });
        }
    }
    {
        auto network = load<SiglipVision>(setting, SiglipConfig{}, "SigLIP");
        if (!network) return network.error();
        const at::Tensor pixels = at::rand({1, 3, 384, 384}) * 2 - 1;
        setting.time("SigLIP", [&] { network->encode(pixels); });
    }
    Umt5Config config = byt5_small();
    config.vocab = 1510;
    auto network = load<Umt5Encoder>(setting, config, "byT5");
    if (!network) return network.error();
    const auto ids = some_ids(256, config.vocab);
    setting.time("byT5, 256 tokens", [&] { network->encode(ids); });
    return {};
}

int run(int count, char** words) {
    std::map<std::string, std::string> given = {
        {"--device", "auto"}, {"--layers", "26"}, {"--placement", "both"}, {"--rounds", "5"}, {"--type", "bf16"}};
    for (int i = 1; i + 1 < count; i += 2) given[words[i]] = words[i + 1];
    const auto device = pick_device(given["--device"], "bf16", 0);
    if (!device) {
        std::printf("%s\n", device.error().message.c_str());
        return 2;
    }
    Setting setting{*device, TextPlacement::streamed, std::stoi(given["--rounds"])};
    if (given["--type"] == "fp16") setting.device.compute = at::kHalf;
    std::printf("%s, %s\n", device->name.c_str(), given["--type"].c_str());
    for (const auto placement : {TextPlacement::streamed, TextPlacement::resident}) {
        const bool wanted = given["--placement"] == "both" ||
                            (given["--placement"] == "resident") == (placement == TextPlacement::resident);
        setting.placement = placement;
        if (!wanted) continue;
        if (auto done = time_all(setting, std::stoi(given["--layers"])); !done) {
            std::printf("%s\n", done.error().message.c_str());
            return 2;
        }
    }
    return 0;
}

} // namespace
} // namespace wander

int main(int count, char** words) { return wander::run(count, words); }
