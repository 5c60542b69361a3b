#pragma once
// The order in time of the parts of one attention on an NVIDIA GPU: expanded into a lane, attended to, merged.
//
// One kernel of a part leaves multiprocessors idle at its end, so two parts are attended to at a time, on streams of
// their own, while a third is expanded. Expansion has priority: it is short, and attention would never leave it a
// multiprocessor. Merging has a stream, too, since it waits for both. Everything happens between begin() and end() of
// the caller's current stream. Worker thread; no synchronisation with the host.

#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace wander::quant {

class PartStreams {
public:
    static constexpr int kLanes = 3;
    static constexpr int kSlots = 6; // results of parts that may wait to be merged

    explicit PartStreams(c10::DeviceIndex device);
    ~PartStreams();
    PartStreams(const PartStreams&) = delete;
    PartStreams& operator=(const PartStreams&) = delete;

    // side_by_side: several parts at a time; otherwise attention and merging stay on the current stream, whose
    // allocator then owns what they allocate.
    void begin(std::size_t parts, bool side_by_side);
    // The stream for a step of part `i`, which waits for what that step needs.
    c10::cuda::CUDAStream to_fill(std::size_t i);
    c10::cuda::CUDAStream to_attend(std::size_t i);
    c10::cuda::CUDAStream to_merge(const std::vector<std::size_t>& parts);
    c10::cuda::CUDAStream merging() const { return side_by_side_ ? merge_ : *main_; }
    // The step was handed over.
    void filled(std::size_t i);
    void attended(std::size_t i);
    void merged(const std::vector<std::size_t>& parts);
    // The current stream waits for all.
    void end();

private:
    c10::cuda::CUDAStream attending(std::size_t i) const { return side_by_side_ ? attend_[i % 2] : *main_; }

    template <class Work>
    void for_all_events(Work&& work);

    c10::DeviceIndex device_;
    c10::cuda::CUDAStream fill_, merge_;
    c10::cuda::CUDAStream attend_[2];
    std::optional<c10::cuda::CUDAStream> main_;
    bool ahead_ = false;
    bool side_by_side_ = false;
    cudaEvent_t begin_ = nullptr;
    cudaEvent_t filled_[kLanes] = {};
    cudaEvent_t attended_[kSlots] = {}; // the result is there, the lane may be filled again
    cudaEvent_t merged_[kSlots] = {};   // the result's memory is free
    cudaEvent_t ends_[3] = {};
};

} // namespace wander::quant
