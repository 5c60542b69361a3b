#pragma once
// The most that torch's allocator held since this was made, over what it held then: tests before it leave caches
// behind.

#include "generator/device.hpp"

#include <c10/cuda/CUDACachingAllocator.h>

#include <cstddef>
#include <cstdint>

namespace wander::testing {

class GpuPeak {
public:
    explicit GpuPeak(at::Device device) : device_(device) {
        c10::cuda::CUDACachingAllocator::resetPeakStats(device.index());
        at_start_ = peak_gpu_bytes(device); // now what is held
    }
    std::int64_t bytes() const { return peak_gpu_bytes(device_) - at_start_; }

private:
    at::Device device_;
    std::int64_t at_start_ = 0;
};

} // namespace wander::testing
