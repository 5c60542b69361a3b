// Times of the text side: opening a tokenizer of the published size, and the umT5-XXL encoder on this machine's device.
//
//   text_bench [--device cpu|cuda|auto] [--layers 24] [--placement both|resident|streamed] [--rounds 5]
//
// Weights are random, every tensor in host memory of its own, as a mapped file that was read once. Prints milliseconds.

#include "generator/device.hpp"
#include "generator/text/plain/unigram_tokenizer.hpp"
#include "generator/text/umt5_weights.hpp"
#include "tests/bench/figures.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

namespace wander {
namespace {

using bench::now_ms;

// As many pieces as umT5's, of three to sixteen letters.
std::string large_tokenizer() {
    constexpr int kPieces = 256300;
    nlohmann::json vocab = nlohmann::json::array();
    for (const char* special : {"<pad>", "</s>", "<s>", "<unk>"})
        vocab.push_back(nlohmann::json::array({special, 0.0}));
    std::uint64_t state = 1;
    const auto next = [&] { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33; };
    for (int i = 4; i < kPieces; ++i) {
        std::string piece = next() % 2 ? "\u2581" : "";
        for (std::uint64_t length = 1 + next() % 12; length > 0; --length)
            piece += static_cast<char>('a' + next() % 26);
        vocab.push_back(nlohmann::json::array({piece, -5 - static_cast<double>(i) * 4e-5}));
    }
    nlohmann::json file = {
        {"pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"add_prefix_space", true}}},
        {"model", {{"type", "Unigram"}, {"unk_id", 3}, {"vocab", vocab}}}};
    return file.dump(2); // laid out as the published file is
}

void time_tokenizer() {
    const std::string json = large_tokenizer();
    double begin = now_ms();
    const auto tokenizer = UnigramTokenizer::parse(json, "bench");
    if (!tokenizer) {
        std::printf("%s\n", tokenizer.error().message.c_str());
        return;
    }
    std::printf("tokenizer.json, %zu bytes, %d pieces: open %.0f ms\n", json.size(), (*tokenizer)->size(),
                now_ms() - begin);
    std::string prompt;
    for (int i = 0; prompt.size() < 2000; ++i) prompt += fmt::format("snowy street number {} at night, ", i);
    begin = now_ms();
    const auto tokens = (*tokenizer)->encode(prompt, 512);
    std::printf("%zu characters, %zu tokens: %.2f ms\n", prompt.size(), tokens.all_tokens, now_ms() - begin);
}

void time_encoder(const ComputeDevice& device, const Umt5Config& config, TextPlacement placement, int rounds,
                  const std::map<std::string, at::Tensor>& weights) {
    const char* name = placement == TextPlacement::resident ? "resident" : "streamed";
    const auto source = [&](const std::string& tensor, const std::vector<std::int64_t>&) -> Result<at::Tensor> {
        return weights.at(tensor);
    };
    double begin = now_ms();
    const auto encoder = Umt5Encoder::load(config, source, device.device, device.compute, placement);
    if (!encoder) {
        std::printf("%s\n", encoder.error().message.c_str());
        return;
    }
    std::printf("%s %s: load %.0f ms, buffers of a pass %.2f GB\n", name, device.kind().c_str(), now_ms() - begin,
                static_cast<double>(encoder->weights().feed->pass_bytes()) * 1e-9);
    for (const int tokens : {16, 128, 512}) {
        std::vector<int> ids(static_cast<std::size_t>(tokens));
        for (std::size_t i = 0; i < ids.size(); ++i)
            ids[i] = static_cast<int>(i * 7919 % static_cast<std::size_t>(config.vocab));
        std::vector<double> times;
        for (int round = 0; round < rounds; ++round) {
            begin = now_ms();
            encoder->encode(ids);
            times.push_back(now_ms() - begin);
        }
        const double first = times[0];
        std::sort(times.begin(), times.end());
        std::printf("%s %s, %d tokens: median %.1f ms, first %.1f ms, device peak so far %.2f GB\n", name,
                    device.kind().c_str(), tokens, times[times.size() / 2], first,
                    static_cast<double>(peak_gpu_bytes(device.device)) * 1e-9);
        std::fflush(stdout);
    }
}

int run(int count, char** words) {
    std::map<std::string, std::string> given = {
        {"--device", "auto"}, {"--layers", "24"}, {"--placement", "both"}, {"--rounds", "5"}};
    for (int i = 1; i + 1 < count; i += 2) given[words[i]] = words[i + 1];
    time_tokenizer();
    const auto device = pick_device(given["--device"], "bf16", 0);
    if (!device) {
        std::printf("%s\n", device.error().message.c_str());
        return 2;
    }
    Umt5Config config;
    config.layers = std::stoi(given["--layers"]);
    const at::Tensor values = (at::rand({1 << 24}) * 0.04 - 0.02).to(at::kBFloat16);
    std::map<std::string, at::Tensor> weights;
    for (const auto& [name, shape] : config.tensor_shapes()) {
        at::Tensor tensor = at::ones(shape, at::kBFloat16);
        at::Tensor flat = tensor.view(-1);
        if (shape.size() > 1) {
            for (std::int64_t at = 0; at < flat.numel(); at += values.numel()) {
                const std::int64_t part = std::min(values.numel(), flat.numel() - at);
                flat.narrow(0, at, part).copy_(values.narrow(0, 0, part));
            }
        }
        weights.emplace(name, tensor);
    }
    std::printf("%s, %s, %d layers\n", device->name.c_str(), device->precision().c_str(), config.layers);
    // Streamed first: its peak is not hidden behind the resident one's.
    for (const auto placement : {TextPlacement::streamed, TextPlacement::resident}) {
        const bool wanted = given["--placement"] == "both" ||
                            (given["--placement"] == "resident") == (placement == TextPlacement::resident);
        if (wanted) time_encoder(*device, config, placement, std::stoi(given["--rounds"]), weights);
    }
    return 0;
}

} // namespace
} // namespace wander

int main(int count, char** words) { return wander::run(count, words); }
