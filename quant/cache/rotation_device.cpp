#include "quant/cache/rotation_device.hpp"

#if WANDER_CUDA
#include <ATen/Functions.h>

namespace wander::quant {
namespace {

// Cosine and sine of every pair, from the signed per-channel tables.
std::vector<float> pairs(const std::vector<float>& cosines, const std::vector<float>& sines) {
    std::vector<float> out(cosines.size());
    for (std::size_t c = 0; c < cosines.size(); c += 2) {
        out[c] = cosines[c];
        out[c + 1] = sines[c + 1];
    }
    return out;
}

} // namespace

at::Tensor DeviceRotation::upload(std::vector<float>& values) const {
    return at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, at::kFloat).to(device_);
}

void DeviceRotation::fill(const ReadView& view, const CacheShape& shape, int history_latents) {
    tables_.fill(view, shape, history_latents);
    if (!space_.defined() || !space_angles_.equal(view.space_angles)) {
        space_angles_ = view.space_angles.clone();
        std::vector<float> space = pairs(tables_.space_cos, tables_.space_sin);
        space_ = upload(space);
    }
    std::vector<float> all = pairs(tables_.time_cos, tables_.time_sin);
    const std::size_t inverse_at = all.size();
    all.insert(all.end(), tables_.inverse.begin(), tables_.inverse.end());
    const std::size_t transposed_at = all.size();
    all.insert(all.end(), tables_.transposed.begin(), tables_.transposed.end());
    const std::size_t projection_at = all.size();
    all.insert(all.end(), tables_.projection.begin(), tables_.projection.end());
    const std::size_t identity_at = all.size();
    for (int i = 0; i < 16; ++i) {
        all.push_back(i % 5 == 0 ? 1.0F : 0.0F);
    }
    packed_ = upload(all);
    const float* base = packed_.const_data_ptr<float>();
    angles_ = {base, space_.const_data_ptr<float>(), tables_.time_channels / 2, shape.tokens_per_latent};
    inverse_ = tables_.prope ? base + inverse_at : nullptr;
    // Queries use the rows of the new chunk; their matrices start at the first of them.
    transposed_ = tables_.prope ? base + transposed_at - static_cast<std::ptrdiff_t>(tables_.history) * 16 : nullptr;
    projection_ = tables_.prope ? base + projection_at : nullptr;
    identity_ = tables_.prope ? base + identity_at : nullptr;
}

std::int64_t DeviceRotation::bytes() const {
    std::int64_t bytes = 0;
    for (const at::Tensor* buffer : {&space_, &packed_}) {
        bytes += buffer->defined() ? static_cast<std::int64_t>(buffer->nbytes()) : 0;
    }
    return bytes;
}

} // namespace wander::quant
#endif
