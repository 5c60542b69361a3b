#pragma once
// The CUDA streams of walks: for each GPU one for the worker and one for the decoder, the same in all runs, so that
// torch's allocator finds the memory of the last run again. Both have priority over packing
// (quant/plain/stream_priority.hpp), neither over the other. On the CPU there are none.

#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>

#include <optional>

namespace wander {

// While it lives the worker's stream is current in this thread. It begins behind all that the stream before it was
// given, and that one goes on behind all that it was given, so tensors may cross both borders as if there were one
// stream. Whatever loads, walks or frees a model does it inside of one: memory belongs to the stream it was allocated
// in. Inside of another one it does nothing.
class WalkStream {
public:
    explicit WalkStream(c10::Device device);
    ~WalkStream();
    WalkStream(const WalkStream&) = delete;
    WalkStream& operator=(const WalkStream&) = delete;

private:
    std::optional<c10::Stream> before_;
    std::optional<c10::Stream> stream_;
    std::optional<c10::StreamGuard> guard_;
};

// The decode threads' stream on a CUDA device.
c10::Stream decode_stream(c10::Device device);

} // namespace wander
