#pragma once
// Which kernels attend on an NVIDIA GPU: our own for Hopper, or slice by slice those of cuDNN or torch. Any thread.

#include "quant/kv_cache.hpp"

namespace wander::quant {

// What a slice is multiplied in, where Hopper's own attention is not taken.
enum class Arithmetic { torch_kernels, cudnn_bf16, cudnn_e4m3 };

Arithmetic arithmetic_for(const CacheShape& shape, const CachePolicy& policy, at::ScalarType compute, int device);
bool hopper_is_taken(const CacheShape& shape, const CachePolicy& policy, at::ScalarType compute, int device);

} // namespace wander::quant
