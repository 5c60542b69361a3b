#pragma once
// The rotation tables of a chunk on an NVIDIA GPU. Worker thread; the copies are on the device's current stream.

#include "quant/cache/rotation.hpp"
#include "quant/cuda/expand.hpp"

#include <ATen/core/Tensor.h>

#include <vector>

namespace wander::quant {

class DeviceRotation {
public:
    explicit DeviceRotation(at::Device device) : device_(device) {}

    // Throws as RotationTables::fill.
    void fill(const ReadView& view, const CacheShape& shape, int history_latents);

    int history() const { return tables_.history; }
    int latents() const { return tables_.latents; }
    int branches() const { return tables_.prope ? 2 : 1; }
    const cuda::DeviceTables& angles() const { return angles_; }
    // [latents][16] each; null without PRoPE. Rows of `inverse` count visible history first; so do those of
    // `transposed`, of which the new chunk's alone are there; rows of `projection` begin at the new chunk.
    const float* inverse() const { return inverse_; }
    const float* transposed() const { return transposed_; }
    const float* projection() const { return projection_; }
    const float* identity() const { return identity_; } // [1][16]
    std::int64_t bytes() const;

private:
    at::Tensor upload(std::vector<float>& values) const;

    at::Device device_;
    RotationTables<float> tables_;
    at::Tensor space_angles_; // that space_ was made from
    at::Tensor space_;        // device
    at::Tensor packed_;       // device: time pairs, inverses, transposed, projections, identity
    cuda::DeviceTables angles_;
    const float* inverse_ = nullptr;
    const float* transposed_ = nullptr;
    const float* projection_ = nullptr;
    const float* identity_ = nullptr;
};

} // namespace wander::quant
