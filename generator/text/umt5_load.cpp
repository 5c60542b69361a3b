// Umt5Encoder::load and the names of its tensors.

#include "generator/text/umt5_weights.hpp"
#include "generator/wan/strict_load.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace wander {

std::map<std::string, std::vector<std::int64_t>> Umt5Config::tensor_shapes() const {
    const std::int64_t inner = std::int64_t{heads} * head_dim;
    std::map<std::string, std::vector<std::int64_t>> shapes;
    shapes["token_embedding.weight"] = {vocab, dim};
    for (int layer = 0; layer < layers; ++layer) {
        const std::string block = "blocks." + std::to_string(layer) + ".";
        shapes[block + "norm1.weight"] = {dim};
        for (const char* part : {"q", "k", "v"}) shapes[block + "attn." + part + ".weight"] = {inner, dim};
        shapes[block + "attn.o.weight"] = {dim, inner};
        if (layer == 0 || !shared_bias) shapes[block + "pos_embedding.embedding.weight"] = {buckets, heads};
        shapes[block + "norm2.weight"] = {dim};
        shapes[block + "ffn.gate.0.weight"] = {ffn, dim};
        shapes[block + "ffn.fc1.weight"] = {ffn, dim};
        shapes[block + "ffn.fc2.weight"] = {dim, ffn};
    }
    shapes["norm.weight"] = {dim};
    return shapes;
}

Result<Umt5Encoder> Umt5Encoder::load(const Umt5Config& config, const TensorSource& source, at::Device device,
                                      at::ScalarType compute, TextPlacement placement,
                                      const std::function<void(double)>& progress) {
    const c10::InferenceMode inference;
    TORCH_CHECK(config.buckets % 4 == 0 && config.buckets / 4 < config.max_distance, "umT5: buckets");
    auto tensors = load_strictly(config.tensor_shapes(), source, "text encoder");
    if (!tensors) return tensors.error();

    auto weights = std::make_shared<Weights>();
    Weights& w = *weights;
    w.config = config;
    w.device = device;
    w.compute = compute;
    w.wide = compute == at::kDouble ? at::kDouble : at::kFloat;
    if (device.is_cuda()) w.stream = c10::impl::VirtualGuardImpl(at::kCUDA).getStreamFromGlobalPool(device);
    std::optional<c10::StreamGuard> guard;
    if (w.stream) guard.emplace(*w.stream);

    const auto wide = [&](const std::string& name) { return tensors->at(name).to(device, w.wide).contiguous(); };
    std::vector<WeightFeed::Unit> units;
    for (int layer = 0; layer < config.layers; ++layer) {
        const std::string block = "blocks." + std::to_string(layer) + ".";
        const auto matrix = [&](const char* name) { return tensors->at(block + name + ".weight"); };
        const bool own_bias = layer == 0 || !config.shared_bias;
        w.layers.push_back({wide(block + "norm1.weight"), wide(block + "norm2.weight"),
                            own_bias ? wide(block + "pos_embedding.embedding.weight") : w.layers[0].bias_table});
        units.push_back({{matrix("attn.q"), matrix("attn.k"), matrix("attn.v")}, {matrix("attn.o")}});
        units.push_back({{matrix("ffn.gate.0"), matrix("ffn.fc1")}});
        units.push_back({{matrix("ffn.fc2")}});
    }
    w.final_norm = wide("norm.weight");
    w.embedding = tensors->at("token_embedding.weight");
    const bool resident = placement == TextPlacement::resident;
    if (resident) w.embedding = w.embedding.to(device, compute).contiguous();
    tensors->clear();
    w.feed = std::make_unique<WeightFeed>(std::move(units), device, compute, resident, progress);
    if (w.stream) w.stream->synchronize();

    Umt5Encoder encoder;
    encoder.weights_ = std::move(weights);
    return encoder;
}

} // namespace wander
