#include "generator/text/umt5_encoder.hpp"

#include "generator/nn/encoder_attention.hpp"
#include "generator/nn/rows.hpp"
#include "generator/text/umt5_weights.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

namespace wander {

int umt5_bucket(int distance, int buckets, int max_distance) {
    const int half = buckets / 2;
    const int base = distance > 0 ? half : 0;
    const int exact = half / 2;
    const int size = std::abs(distance);
    if (size < exact) return base + size;
    // In float, as the published code computes it: which side of a border a distance falls on is part of the model.
    const float share = std::log(static_cast<float>(size) / static_cast<float>(exact)) /
                        static_cast<float>(std::log(static_cast<double>(max_distance) / exact));
    return base + std::min(exact + static_cast<int>(share * static_cast<float>(half - exact)), half - 1);
}

at::Tensor Umt5Encoder::Weights::embed(const std::vector<int>& ids) const {
    const at::Tensor index = at::tensor(ids, at::kLong).to(embedding.device());
    return embedding.index_select(0, index).to(compute).to(device, wide); // a table in float32 is rounded like the rest
}

at::Tensor Umt5Encoder::Weights::bias(int layer, std::int64_t tokens) const {
    // Rows padded to 16 values: the fused attention of a GPU reads them in words of that size.
    const std::int64_t padded = (tokens + 15) / 16 * 16;
    std::vector<std::int64_t> buckets;
    for (std::int64_t i = 1 - tokens; i < padded; ++i) {
        buckets.push_back(umt5_bucket(static_cast<int>(i), config.buckets, config.max_distance));
    }
    const at::Tensor& table = layers[static_cast<std::size_t>(layer)].bias_table;
    const at::Tensor by_distance = table.index_select(0, at::tensor(buckets, at::kLong).to(device)).t().to(compute);
    // Row r of the windows begins at distance r - (tokens - 1), which is what the last query but r sees first.
    // (The windows overlap, so torch lays their copy out as it likes: contiguous() puts the keys next to each other.)
    return by_distance.contiguous().unfold(1, padded, 1).flip(1).contiguous().narrow(2, 0, tokens);
}

// qkv: [L, 3 * heads * head_dim]. Scores are not scaled (self-forcing.md 7.2), the softmax is float32.
at::Tensor Umt5Encoder::Weights::attend(int layer, const at::Tensor& qkv) const {
    const std::int64_t tokens = qkv.size(0);
    const at::Tensor parts = qkv.view({tokens, 3, config.heads, config.head_dim}).permute({1, 2, 0, 3}).unsqueeze(1);
    const at::Tensor q = parts[0], k = parts[1], v = parts[2]; // [1, heads, L, head_dim]
    const at::Tensor mask = bias(layer, tokens).unsqueeze(0);
    const at::Tensor out = nn::encoder_attention(q, k, v, false, mask, 1.0);
    return out.squeeze(0).transpose(0, 1).reshape({tokens, qkv.size(1) / 3});
}

void Umt5Encoder::Weights::run_layer(int layer, at::Tensor& x, WeightFeed::Pass& pass) const {
    const Umt5Layer& small = layers[static_cast<std::size_t>(layer)];
    const auto attention = pass.next();
    const at::Tensor qkv = at::linear(nn::rms_norm(x, small.norm1, config.eps).to(compute), attention[0]);
    x.add_(at::linear(attend(layer, qkv), attention[1]));
    const at::Tensor both = at::linear(nn::rms_norm(x, small.norm2, config.eps).to(compute), pass.next()[0]);
    const at::Tensor gate = at::gelu(both.narrow(1, 0, config.ffn), "tanh");
    x.add_(at::linear(gate * both.narrow(1, config.ffn, config.ffn), pass.next()[0]));
}

at::Tensor Umt5Encoder::encode(const std::vector<int>& ids) const {
    const c10::InferenceMode inference;
    const Weights& w = *weights_;
    TORCH_CHECK(!ids.empty(), "umT5: no tokens");
    for (const int id : ids) TORCH_CHECK(id >= 0 && id < w.config.vocab, "umT5: token id ", id, " of ", w.config.vocab);
    std::optional<c10::StreamGuard> guard;
    if (w.stream) guard.emplace(*w.stream);
    WeightFeed::Pass pass(*w.feed);
    at::Tensor x = w.embed(ids);
    for (int layer = 0; layer < w.config.layers; ++layer) w.run_layer(layer, x, pass);
    x = nn::rms_norm(x, w.final_norm, w.config.eps);
    if (w.stream) w.stream->synchronize();
    return x;
}

const Umt5Config& Umt5Encoder::config() const { return weights_->config; }

} // namespace wander
