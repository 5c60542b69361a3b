#pragma once
// Times and bytes of a GPU as worldplay_bench takes them. Needs CUDA.

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace wander::bench {

inline double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

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

inline void check(cudaError_t error) {
    TORCH_CHECK(error == cudaSuccess, "worldplay_bench: ", cudaGetErrorString(error));
}

class Event {
public:
    Event() { check(cudaEventCreate(&event_)); }
    ~Event() { cudaEventDestroy(event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    void record() { check(cudaEventRecord(event_, c10::cuda::getCurrentCUDAStream().stream())); }
    void block(c10::cuda::CUDAStream stream) const { check(cudaStreamWaitEvent(stream.stream(), event_, 0)); }
    double ms_since(const Event& begin) const {
        check(cudaEventSynchronize(event_));
        float ms = 0;
        check(cudaEventElapsedTime(&ms, begin.event_, event_));
        return static_cast<double>(ms);
    }

private:
    cudaEvent_t event_ = nullptr;
};

// Behind one that is not counted.
template <class Work>
double mean_ms(int runs, Work&& work) {
    work();
    Event begin, end;
    begin.record();
    for (int i = 0; i < runs; ++i) work();
    end.record();
    return end.ms_since(begin) / runs;
}

} // namespace wander::bench
