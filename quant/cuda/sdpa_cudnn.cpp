#include "quant/cuda/sdpa_cudnn.hpp"

#if WANDER_CUDA
#include "quant/cuda/sdpa_e4m3.hpp"

#include <ATen/Functions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <tuple>

#if WANDER_CUDNN_FP8
#include "quant/cuda/sdpa_plan.hpp"
#endif

namespace wander::quant::cuda {
namespace {

at::Device device_of(const SdpaJob& job) { return {at::kCUDA, static_cast<c10::DeviceIndex>(job.device)}; }

// [1, heads, tokens, head_dim] over [tokens][heads][head_dim]
at::Tensor as_heads(const SdpaJob& job, const void* rows, std::int64_t tokens, at::ScalarType type) {
    const auto options = at::TensorOptions().dtype(type).device(device_of(job));
    return at::from_blob(const_cast<void*>(rows), {1, tokens, job.heads, job.head_dim}, options).transpose(1, 2);
}

at::ScalarType type_of(Element element) { return element == Element::float32 ? at::kFloat : at::kBFloat16; }

void attend_bf16(const SdpaJob& job) {
    const auto part = at::_scaled_dot_product_cudnn_attention(
        as_heads(job, job.q, job.queries, at::kBFloat16), as_heads(job, job.k, job.keys, at::kBFloat16),
        as_heads(job, job.v, job.keys, at::kBFloat16), std::nullopt, true, 0.0, false, false, job.scale);
    as_heads(job, job.out, job.queries, type_of(job.out_element)).copy_(std::get<0>(part));
    at::from_blob(job.lse, {job.heads, job.queries}, at::TensorOptions().dtype(at::kFloat).device(device_of(job)))
        .copy_(std::get<1>(part).reshape({job.heads, job.queries}));
}

void attend_e4m3([[maybe_unused]] const SdpaJob& job) {
#if WANDER_CUDNN_FP8
    TORCH_CHECK(job.head_dim % 16 == 0 && job.descale_q && job.descale_k && job.descale_v,
                "E4M3 attention needs a head dimension that 16 divides and three factors");
    const auto bytes = [&](std::int64_t count) {
        return at::empty({count}, at::TensorOptions().dtype(at::kByte).device(device_of(job)));
    };
    const at::Tensor workspace = bytes(sdpa_e4m3_workspace(job));
    const bool widen = job.out_element != Element::e4m3;
    const at::Tensor stored = widen ? bytes(sdpa_e4m3_output_bytes(job)) : at::Tensor();
    const at::Tensor factors = bytes(sizeof(E4m3Factors));
    SdpaE4m3Call call;
    call.factors = reinterpret_cast<E4m3Factors*>(factors.data_ptr());
    call.stored_out = widen ? stored.data_ptr() : job.out;
    call.stream = c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(job.device)).stream();
    launch_e4m3_factors(job.descale_v, call.factors, call.stream);
    run_sdpa_e4m3(job, call, workspace.data_ptr());
    if (widen) {
        launch_widen_e4m3(call.stored_out, job.descale_v, sdpa_e4m3_output_bytes(job), job.out_element, job.out,
                          call.stream);
    }
#else
    TORCH_CHECK(false, "this build has no E4M3 attention: cuDNN's headers were not found when it was configured");
#endif
}

} // namespace

bool sdpa_supports(SdpaType type, [[maybe_unused]] int device) {
    if (type == SdpaType::bfloat16) return true;
#if WANDER_CUDNN_FP8
    int major = 0;
    return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 9;
#else
    return false;
#endif
}

void attend(const SdpaJob& job) {
    TORCH_CHECK(job.heads > 0 && job.head_dim > 0 && job.head_dim % 8 == 0 && job.head_dim <= 128 && job.queries > 0 &&
                    job.keys > 0,
                "cuDNN attention takes head dimensions up to 128 that 8 divides, at least one query and one key");
    if (job.type == SdpaType::bfloat16) {
        attend_bf16(job);
    } else {
        attend_e4m3(job);
    }
}

} // namespace wander::quant::cuda
#endif
