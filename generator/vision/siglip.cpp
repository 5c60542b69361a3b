#include "generator/vision/siglip.hpp"

#include "generator/nn/encoder_attention.hpp"
#include "generator/nn/rows.hpp"
#include "generator/vision/siglip_weights.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>

namespace wander {

at::Tensor siglip_pixels(const Picture& picture, int image) {
    const Picture bucket = cover_and_crop(picture, nearest_bucket(picture.size, picture_buckets()));
    Picture square = scale_picture(bucket, {image, image}, PictureFilter::bicubic);
    const at::Tensor levels = at::from_blob(square.rgb.data(), {1, image, image, 3}, at::kByte);
    return (levels.permute({0, 3, 1, 2}).to(at::kFloat, false, false, at::MemoryFormat::Contiguous) / 255.0 - 0.5) /
           0.5;
}

at::Tensor SiglipVision::Weights::embed(const at::Tensor& pixels) const {
    // A convolution whose steps are as wide as its window is a product with the patches as rows.
    const std::int64_t side = config.image / config.patch, patch = config.patch;
    const at::Tensor rows = pixels.to(device, compute)
                                .narrow(2, 0, side * patch)
                                .narrow(3, 0, side * patch)
                                .reshape({3, side, patch, side, patch})
                                .permute({1, 3, 0, 2, 4})
                                .reshape({side * side, 3 * patch * patch});
    return at::linear(rows, patch_weight, patch_bias).to(wide) + positions;
}

at::Tensor SiglipVision::Weights::norm(const at::Tensor& x, const SiglipNorm& norm, at::ScalarType out) const {
    return nn::modulated_norm(x, norm.bias, norm.weight, config.eps, out);
}

void SiglipVision::Weights::run_layer(int layer, at::Tensor& x, WeightFeed::Pass& pass) const {
    const SiglipLayer& small = layers[static_cast<std::size_t>(layer)];
    const std::int64_t tokens = x.size(0), width = config.dim / config.heads;
    const auto attention = pass.next();
    const at::Tensor heads = at::linear(norm(x, small.norm1, compute), attention[0], small.qkv_bias)
                                 .view({tokens, 3, config.heads, width})
                                 .permute({1, 2, 0, 3})
                                 .unsqueeze(1);
    const at::Tensor attended = nn::encoder_attention(heads[0], heads[1], heads[2], false);
    x.add_(at::linear(attended.squeeze(0).transpose(0, 1).reshape({tokens, config.dim}), attention[1], small.out_bias));
    const auto mlp = pass.next();
    const at::Tensor inner = at::gelu(at::linear(norm(x, small.norm2, compute), mlp[0], small.fc1_bias), "tanh");
    x.add_(at::linear(inner, mlp[1], small.fc2_bias));
}

at::Tensor SiglipVision::encode(const at::Tensor& pixels) const {
    const c10::InferenceMode inference;
    const Weights& w = *weights_;
    TORCH_CHECK(pixels.sizes() == at::IntArrayRef({1, 3, w.config.image, w.config.image}), "SigLIP: pixels of ",
                pixels.sizes());
    std::optional<c10::StreamGuard> guard;
    if (w.stream) guard.emplace(*w.stream);
    WeightFeed::Pass pass(*w.feed);
    at::Tensor x = w.embed(pixels);
    for (int layer = 0; layer < w.config.layers; ++layer) w.run_layer(layer, x, pass);
    x = w.norm(x, w.last_norm, w.wide);
    if (w.stream) w.stream->synchronize();
    return x;
}

const SiglipConfig& SiglipVision::config() const { return weights_->config; }

} // namespace wander
