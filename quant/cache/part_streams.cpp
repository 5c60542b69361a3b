#if WANDER_CUDA
#include "quant/cache/part_streams.hpp"

#include "quant/plain/stream_priority.hpp"

namespace wander::quant {
template <class Work>
void PartStreams::for_all_events(Work&& work) {
    work(begin_);
    for (cudaEvent_t& event : filled_) work(event);
    for (cudaEvent_t& event : attended_) work(event);
    for (cudaEvent_t& event : merged_) work(event);
    for (cudaEvent_t& event : ends_) work(event);
}

PartStreams::PartStreams(c10::DeviceIndex device)
    : device_(device),
      fill_(c10::cuda::getStreamFromPool(true, device)),
      merge_(c10::cuda::getStreamFromPool(true, device)),
      attend_{c10::cuda::getStreamFromPool(pass_priority(), device),
              c10::cuda::getStreamFromPool(pass_priority(), device)} {
    const auto create = [](cudaEvent_t& event) { cudaEventCreateWithFlags(&event, cudaEventDisableTiming); };
    for_all_events(create);
}

PartStreams::~PartStreams() {
    const auto destroy = [](cudaEvent_t& event) { cudaEventDestroy(event); };
    for_all_events(destroy);
}

void PartStreams::begin(std::size_t parts, bool side_by_side) {
    main_ = c10::cuda::getCurrentCUDAStream(device_);
    // A single part has nothing to run beside.
    ahead_ = parts > 1;
    side_by_side_ = side_by_side && ahead_;
    if (!ahead_) return;
    cudaEventRecord(begin_, main_->stream());
    cudaStreamWaitEvent(fill_.stream(), begin_);
    if (!side_by_side_) return;
    for (const c10::cuda::CUDAStream& stream : {attend_[0], attend_[1], merge_})
        cudaStreamWaitEvent(stream.stream(), begin_);
}

c10::cuda::CUDAStream PartStreams::to_fill(std::size_t i) {
    if (!ahead_) return *main_;
    if (i >= kLanes) cudaStreamWaitEvent(fill_.stream(), attended_[(i - kLanes) % kSlots]);
    return fill_;
}

void PartStreams::filled(std::size_t i) {
    if (ahead_) cudaEventRecord(filled_[i % kLanes], fill_.stream());
}

c10::cuda::CUDAStream PartStreams::to_attend(std::size_t i) {
    const c10::cuda::CUDAStream stream = attending(i);
    if (ahead_) cudaStreamWaitEvent(stream.stream(), filled_[i % kLanes]);
    if (side_by_side_ && i >= kSlots) cudaStreamWaitEvent(stream.stream(), merged_[i % kSlots]);
    return stream;
}

void PartStreams::attended(std::size_t i) {
    if (ahead_) cudaEventRecord(attended_[i % kSlots], attending(i).stream());
}

c10::cuda::CUDAStream PartStreams::to_merge(const std::vector<std::size_t>& parts) {
    if (side_by_side_) {
        for (const std::size_t i : parts) cudaStreamWaitEvent(merge_.stream(), attended_[i % kSlots]);
    }
    return merging();
}

void PartStreams::merged(const std::vector<std::size_t>& parts) {
    if (!side_by_side_) return;
    for (const std::size_t i : parts) cudaEventRecord(merged_[i % kSlots], merge_.stream());
}

void PartStreams::end() {
    if (!side_by_side_) return;
    const c10::cuda::CUDAStream streams[] = {attend_[0], attend_[1], merge_};
    for (int i = 0; i < 3; ++i) {
        cudaEventRecord(ends_[i], streams[i].stream());
        cudaStreamWaitEvent(main_->stream(), ends_[i]);
    }
}

} // namespace wander::quant
#endif
