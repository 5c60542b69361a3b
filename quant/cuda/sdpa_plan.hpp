#pragma once
// cuDNN plans of E4M3 attention, one for each shape, through cudnn-frontend. Only in builds with WANDER_CUDNN_FP8.

#include "quant/cuda/sdpa_cudnn.hpp"
#include "quant/cuda/sdpa_e4m3.hpp"

namespace wander::quant::cuda {

struct SdpaE4m3Call {
    E4m3Factors* factors = nullptr;
    void* stored_out = nullptr; // E4M3 [queries][heads][head_dim]
    Stream stream = nullptr;
};

// Bytes of workspace that the job's plan needs; makes the plan if it is not there yet.
std::int64_t sdpa_e4m3_workspace(const SdpaJob& job);
void run_sdpa_e4m3(const SdpaJob& job, const SdpaE4m3Call& call, void* workspace);

} // namespace wander::quant::cuda
