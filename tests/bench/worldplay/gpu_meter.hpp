#pragma once
// Times and bytes of a GPU as worldplay_bench takes them. Needs CUDA.

#include "tests/bench/figures.hpp"
#include "tests/bench/gpu_event.hpp"

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace wander::bench {

inline c10::CachingDeviceAllocator::Stat allocated(int device = 0) {
    return c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(device))
        .allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
}

inline double mib(std::int64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0); }

inline double in_use_mib(int device = 0) {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
    std::size_t free_bytes = 0, all_bytes = 0;
    cudaMemGetInfo(&free_bytes, &all_bytes);
    return mib(static_cast<std::int64_t>(all_bytes - free_bytes));
}

} // namespace wander::bench
