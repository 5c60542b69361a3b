#include "quant/cuda/sdpa_cudnn.hpp"

#if WANDER_CUDA
#include <ATen/Functions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#if WANDER_CUDNN_FP8
#include "quant/cuda/sdpa_plan.hpp"
#endif

namespace wander::quant::cuda {
namespace {

[[maybe_unused]] void check(const SdpaJob& job) {
    TORCH_CHECK(job.heads > 0 && job.head_dim > 0 && job.head_dim % 8 == 0 && job.head_dim <= 128 && job.queries > 0 &&
                    job.keys > 0,
                "cuDNN attention takes head dimensions up to 128 that 8 divides, at least one query and one key");
    TORCH_CHECK(job.type == SdpaType::bfloat16 || (job.head_dim % 16 == 0 && job.lse && job.factors),
                "E4M3 attention needs a head dimension that 16 divides and its factors");
}

} // namespace

bool sdpa_supports([[maybe_unused]] SdpaType type, [[maybe_unused]] int device) {
#if WANDER_CUDNN_FP8
    int major = 0;
    return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
           major >= (type == SdpaType::e4m3 ? 9 : 8);
#else
    return false;
#endif
}

void attend([[maybe_unused]] const SdpaJob& job) {
#if WANDER_CUDNN_FP8
    check(job);
    const auto device = static_cast<c10::DeviceIndex>(job.device);
    const at::Tensor workspace =
        at::empty({sdpa_workspace(job)}, at::TensorOptions().dtype(at::kByte).device(at::Device(at::kCUDA, device)));
    run_sdpa(job, workspace.data_ptr(), c10::cuda::getCurrentCUDAStream(device).stream());
#else
    TORCH_CHECK(false, "this build has no cuDNN attention: cuDNN's headers were not found when it was configured");
#endif
}

std::string prepare([[maybe_unused]] const SdpaJob& job) {
#if WANDER_CUDNN_FP8
    check(job);
    return sdpa_engine(job);
#else
    return "none";
#endif
}

} // namespace wander::quant::cuda
#endif
