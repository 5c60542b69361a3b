#pragma once
// A CUDA event, by which benches measure what the GPU spends: time between two of them on the current stream. Needs
// CUDA.

#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <cuda_runtime_api.h>

namespace wander::bench {

inline void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "CUDA: ", cudaGetErrorString(error)); }

class Event {
public:
    Event() { check(cudaEventCreate(&event_)); }
    ~Event() { cudaEventDestroy(event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    void record() { check(cudaEventRecord(event_, c10::cuda::getCurrentCUDAStream().stream())); }
    void block(c10::cuda::CUDAStream stream) const { check(cudaStreamWaitEvent(stream.stream(), event_, 0)); }
    // Waits for this one.
    double ms_since(const Event& begin) const {
        check(cudaEventSynchronize(event_));
        float ms = 0;
        check(cudaEventElapsedTime(&ms, begin.event_, event_));
        return static_cast<double>(ms);
    }

private:
    cudaEvent_t event_ = nullptr;
};

// Of one piece of work between the two events `begin` and `end`; waits.
template <class Work>
double ms_of(Event& begin, Event& end, Work&& work) {
    begin.record();
    work();
    end.record();
    return end.ms_since(begin);
}

// Behind one that is not counted.
template <class Work>
double mean_ms(int runs, Work&& work) {
    work();
    Event begin, end;
    const auto all = [&] {
        for (int i = 0; i < runs; ++i) work();
    };
    return ms_of(begin, end, all) / runs;
}

} // namespace wander::bench
