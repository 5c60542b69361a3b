#include "generator/gpu_streams.hpp"

#include "quant/plain/stream_priority.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <map>
#include <mutex>

#if WANDER_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

namespace wander {

namespace {

c10::Stream new_stream(c10::Device device) {
#if WANDER_CUDA
    return c10::cuda::getStreamFromPool(quant::pass_priority(), device.index());
#else
    return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
#endif
}

// One of a device, for ever.
class DeviceStreams {
public:
    c10::Stream of(c10::Device device) {
        const std::lock_guard lock(mutex_);
        const auto found = streams_.find(device.index());
        return found != streams_.end() ? found->second
                                       : streams_.emplace(device.index(), new_stream(device)).first->second;
    }

private:
    std::mutex mutex_;
    std::map<c10::DeviceIndex, c10::Stream> streams_;
};

c10::Stream walk_stream(c10::Device device) {
    static DeviceStreams streams;
    return streams.of(device);
}

// What `later` is given from now on waits for what `earlier` was given so far.
void let_wait(const c10::Stream& later, const c10::Stream& earlier) {
    c10::Event event(later.device_type());
    event.record(earlier);
    event.block(later);
}

} // namespace

WalkStream::WalkStream(c10::Device device) {
    if (!device.is_cuda()) return;
    const c10::Stream before = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
    const c10::Stream stream = walk_stream(device);
    if (before == stream) return;
    let_wait(stream, before);
    before_ = before;
    stream_ = stream;
    guard_.emplace(stream);
}

WalkStream::~WalkStream() {
    if (!stream_) return;
    guard_.reset();
    try {
        let_wait(*before_, *stream_);
    } catch (...) {
        // The device has failed, and whoever works with it next is told so.
    }
}

c10::Stream decode_stream(c10::Device device) {
    static DeviceStreams streams;
    return streams.of(device);
}

} // namespace wander
