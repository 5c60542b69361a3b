// Which attention a cache gets.
#include "quant/cache/attention.hpp"

#include <c10/util/Exception.h>

namespace wander::quant {

Result<void> check_attention([[maybe_unused]] const CacheShape& shape, const CachePolicy& policy,
                             [[maybe_unused]] at::Device device, [[maybe_unused]] at::ScalarType compute) {
    if (policy.attention == AttentionType::fp8_emulated) {
        if (compute == at::kBFloat16 && !policy.bias_correction) {
            return {};
        }
        return Error{ErrorCode::wrong_use, "emulated FP8 attention needs BF16 precision and no logit correction"};
    }
    bool possible = policy.attention == AttentionType::bf16;
#if WANDER_CUDA
    possible = possible || (device.is_cuda() && cuda_attention_has_fp8(shape, device, compute));
#endif
    if (possible) {
        return {};
    }
    return Error{
        ErrorCode::wrong_use,
        "attention in FP8 needs an NVIDIA GPU of compute capability 9.0 with cuDNN, BF16 precision, heads of up to "
        "128 channels that 16 divides and at least 256 tokens a latent; use bf16"};
}

std::unique_ptr<Attention> make_attention(const CacheShape& shape, const CachePolicy& policy, at::Device device,
                                          at::ScalarType compute) {
    if (policy.attention == AttentionType::fp8_emulated) {
        return make_plain_e4m3_attention(shape, policy, device, compute);
    }
#if WANDER_CUDA
    if (device.is_cuda()) {
        return make_cuda_attention(shape, policy, device, compute);
    }
#endif
    TORCH_CHECK(device.is_cpu(), "KvCache: no attention for device ", device.str());
    return make_cpu_attention(shape, policy, compute);
}

} // namespace wander::quant
