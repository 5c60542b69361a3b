#include "quant/cache/cuda_arithmetic.hpp"

#if WANDER_CUDA
#include "quant/cache/attention.hpp"
#include "quant/cache/slices.hpp"
#include "quant/cuda/hopper_attend.hpp"
#include "quant/cuda/sdpa_cudnn.hpp"

#include <cstdint>

namespace wander::quant {
namespace {

// Small pictures: one slice of any length; other kernels than torch's gain nothing there, and cuDNN would make a plan
// for each length.
constexpr int kLongTokens = 256;

bool hopper_fits(const CacheShape& shape, at::ScalarType compute) {
    return compute == at::kBFloat16 && shape.head_dim == cuda::kHopperHeadDim && shape.tokens_per_latent >= kLongTokens;
}

// Of rows that do not fit Hopper's scratch for several heads, E4M3 attention is faster where expansion runs beside it,
// if less exact (docs/performance.md).
constexpr std::int64_t kLongHistoryRows = 50000;

bool cudnn_is_faster(const CacheShape& shape, const CachePolicy& policy, int device) {
    return policy.attention == AttentionType::fp8 && most_history_rows(shape, policy) > kLongHistoryRows &&
           cuda::sdpa_supports(cuda::SdpaType::e4m3, device);
}

} // namespace

Arithmetic arithmetic_for(const CacheShape& shape, const CachePolicy& policy, at::ScalarType compute, int device) {
    if (compute != at::kBFloat16 || shape.head_dim > 128 || shape.tokens_per_latent < kLongTokens) {
        return Arithmetic::torch_kernels;
    }
    if (policy.attention == AttentionType::fp8) {
        return Arithmetic::cudnn_e4m3;
    }
    return cuda::sdpa_supports(cuda::SdpaType::bfloat16, device) ? Arithmetic::cudnn_bf16 : Arithmetic::torch_kernels;
}

bool hopper_is_taken(const CacheShape& shape, const CachePolicy& policy, at::ScalarType compute, int device) {
    return hopper_fits(shape, compute) && cuda::hopper_supports(device) && !cudnn_is_faster(shape, policy, device);
}

bool cuda_attention_has_fp8(const CacheShape& shape, at::Device device, at::ScalarType compute) {
    if (hopper_fits(shape, compute) && cuda::hopper_supports(device.index())) {
        return true;
    }
    return compute == at::kBFloat16 && shape.head_dim <= 128 && shape.head_dim % 16 == 0 &&
           shape.tokens_per_latent >= kLongTokens && cuda::sdpa_supports(cuda::SdpaType::e4m3, device.index());
}

} // namespace wander::quant
#endif
