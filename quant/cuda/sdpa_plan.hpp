#pragma once
// cuDNN plans of attention, one for each shape, through cudnn-frontend. Only in builds with WANDER_CUDNN_FP8.

#include "quant/cuda/sdpa_cudnn.hpp"

namespace wander::quant::cuda {

// Bytes of workspace that the job's plan needs; makes the plan if it is not there yet.
std::int64_t sdpa_workspace(const SdpaJob& job);
void run_sdpa(const SdpaJob& job, void* workspace, Stream stream);
std::string sdpa_engine(const SdpaJob& job);

} // namespace wander::quant::cuda
