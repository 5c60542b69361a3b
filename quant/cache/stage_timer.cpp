#include "quant/cache/stage_timer.hpp"

#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

#if WANDER_CUDA
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#endif

namespace wander::quant {

using Clock = std::chrono::steady_clock;

// Beyond this many open pairs nobody is reading; then the stage is not timed until somebody does.
constexpr std::size_t kMaxPairs = 8192;

struct StageTimer::Impl {
    explicit Impl(at::Device timed_device) : device(timed_device) {}
    at::Device device;
    double host_ms = 0;
    Clock::time_point started;
#if WANDER_CUDA
    std::vector<cudaEvent_t> events; // begin, end, begin, end, ...
    std::size_t used = 0;

    ~Impl() {
        for (cudaEvent_t event : events) {
            cudaEventDestroy(event);
        }
    }
    void record() {
        if (used == 2 * kMaxPairs) {
            return;
        }
        if (used == events.size()) {
            cudaEvent_t event = nullptr;
            cudaEventCreate(&event);
            events.push_back(event);
        }
        cudaEventRecord(events[used++], c10::cuda::getCurrentCUDAStream(device.index()).stream());
    }
#endif
};

StageTimer::StageTimer(at::Device device) : impl_(std::make_unique<Impl>(device)) {}
StageTimer::~StageTimer() = default;

void StageTimer::begin() {
#if WANDER_CUDA
    if (impl_->device.is_cuda()) {
        impl_->record();
        return;
    }
#endif
    impl_->started = Clock::now();
}

void StageTimer::end() {
#if WANDER_CUDA
    if (impl_->device.is_cuda()) {
        impl_->record();
        return;
    }
#endif
    impl_->host_ms += std::chrono::duration<double, std::milli>(Clock::now() - impl_->started).count();
}

double StageTimer::take_ms() {
    double total_ms = std::exchange(impl_->host_ms, 0.0);
#if WANDER_CUDA
    for (std::size_t i = 0; i + 1 < impl_->used; i += 2) {
        float ms = 0;
        cudaEventSynchronize(impl_->events[i + 1]);
        cudaEventElapsedTime(&ms, impl_->events[i], impl_->events[i + 1]);
        total_ms += static_cast<double>(ms);
    }
    impl_->used = 0;
#endif
    return total_ms;
}

} // namespace wander::quant
