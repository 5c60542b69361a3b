#pragma once
// The mean of rows in device memory, in bfloat16; the same bytes as summarise() in quant/formats/soft4_format.cpp.
// Queued on the stream. Only where WANDER_CUDA is 1.

#include <cuda_runtime_api.h>

#include <cstdint>

namespace wander::quant::cuda {

struct SummaryJob {
    const void* rows = nullptr; // [tokens][values]
    bool bf16 = false;          // else float32
    int tokens = 0;
    int values = 0;
    std::uint16_t* out = nullptr; // [values]
};

cudaError_t summarise_rows(const SummaryJob& job, cudaStream_t stream);

} // namespace wander::quant::cuda
