#include "generator/text/qwen_text.hpp"

#include "generator/nn/encoder_attention.hpp"
#include "generator/nn/rows.hpp"
#include "generator/text/qwen_text_weights.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>

namespace wander {

at::Tensor QwenTextEncoder::Weights::embed(const std::vector<int>& ids) const {
    const at::Tensor index = at::tensor(ids, at::kLong).to(embedding.device());
    return embedding.index_select(0, index).to(compute).to(device, wide); // a table in float32 is rounded like the rest
}

QwenTextEncoder::Weights::Rotation QwenTextEncoder::Weights::rotation(std::int64_t tokens) const {
    const at::TensorOptions options = at::TensorOptions(device).dtype(wide);
    // theta^(-2j / head_dim), j = 0 .. head_dim / 2 - 1. The three position axes are the same for text.
    const at::Tensor exponents = at::arange(0, config.head_dim, 2, options) / static_cast<double>(config.head_dim);
    const at::Tensor frequencies = at::pow(config.rope_theta, exponents).reciprocal();
    const at::Tensor angles = at::outer(at::arange(tokens, options), frequencies).unsqueeze(1);
    return {angles.cos(), angles.sin()};
}

QwenTextEncoder::Weights::Heads QwenTextEncoder::Weights::project(int layer, const at::Tensor& x,
                                                                  const at::Tensor& matrix,
                                                                  const Rotation& rotation) const {
    const QwenTextLayer& small = layers[static_cast<std::size_t>(layer)];
    const at::Tensor rows = at::linear(nn::rms_norm(x, small.norm1, config.eps).to(compute), matrix, small.qkv_bias)
                                .view({x.size(0), config.heads + 2 * config.kv_heads, config.head_dim});
    // Dimension j turns with dimension j + head_dim / 2.
    const std::int64_t half = config.head_dim / 2, turned = config.heads + config.kv_heads;
    const at::Tensor plain = rows.narrow(1, 0, turned).to(wide);
    const at::Tensor a = plain.narrow(2, 0, half), b = plain.narrow(2, half, half);
    const at::Tensor qk = at::cat({a * rotation.cos - b * rotation.sin, b * rotation.cos + a * rotation.sin}, 2)
                              .to(compute)
                              .transpose(0, 1);
    return {qk.narrow(0, 0, config.heads), qk.narrow(0, config.heads, config.kv_heads),
            rows.narrow(1, turned, config.kv_heads).transpose(0, 1)};
}

at::Tensor QwenTextEncoder::Weights::attend(const Heads& heads) const {
    const std::int64_t tokens = heads.q.size(1), group = config.heads / config.kv_heads;
    // Queries of one group are neighbours. At 1,108 tokens the copies are 8 MB each.
    const auto repeated = [&](const at::Tensor& t) {
        return t.unsqueeze(1)
            .expand({config.kv_heads, group, tokens, config.head_dim})
            .reshape({1, config.heads, tokens, config.head_dim});
    };
    const at::Tensor out = nn::encoder_attention(heads.q.unsqueeze(0), repeated(heads.k), repeated(heads.v), true);
    return out.squeeze(0).transpose(0, 1).reshape({tokens, std::int64_t{config.heads} * config.head_dim});
}

void QwenTextEncoder::Weights::run_layer(int layer, at::Tensor& x, const Rotation& rotation,
                                         WeightFeed::Pass& pass) const {
    const auto attention = pass.next();
    x.add_(at::linear(attend(project(layer, x, attention[0], rotation)), attention[1]));
    const at::Tensor normed = nn::rms_norm(x, layers[static_cast<std::size_t>(layer)].norm2, config.eps).to(compute);
    at::Tensor gate = at::linear(normed, pass.next()[0]);
    at::silu_(gate);
    gate.mul_(at::linear(normed, pass.next()[0]));
    x.add_(at::linear(gate, pass.next()[0]));
}

at::Tensor QwenTextEncoder::encode(const std::vector<int>& ids, std::size_t crop) const {
    const c10::InferenceMode inference;
    const Weights& w = *weights_;
    TORCH_CHECK(ids.size() > crop, "Qwen text: ", ids.size(), " tokens, ", crop, " of them to be cropped");
    for (const int id : ids)
        TORCH_CHECK(id >= 0 && id < w.config.vocab, "Qwen text: token id ", id, " of ", w.config.vocab);
    std::optional<c10::StreamGuard> guard;
    if (w.stream) guard.emplace(*w.stream);
    const auto tokens = static_cast<std::int64_t>(ids.size());
    WeightFeed::Pass pass(*w.feed);
    const Weights::Rotation rotation = w.rotation(tokens);
    at::Tensor x = w.embed(ids);
    for (int layer = 0; layer < w.config.layers; ++layer) w.run_layer(layer, x, rotation, pass);
    x = x.narrow(0, static_cast<std::int64_t>(crop), tokens - static_cast<std::int64_t>(crop)).clone();
    if (w.stream) w.stream->synchronize();
    return x;
}

const QwenTextConfig& QwenTextEncoder::config() const { return weights_->config; }

} // namespace wander
