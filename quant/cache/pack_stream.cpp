#include "quant/cache/pack_stream.hpp"

#include "quant/plain/stream_priority.hpp"

#include <ATen/Functions.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#if WANDER_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

namespace wander::quant {
namespace {

c10::Stream current_stream(at::Device device) { return c10::impl::VirtualGuardImpl(device.type()).getStream(device); }

} // namespace

HostCopy::HostCopy(const at::Tensor& values) : values_(values) {
    if (values.is_cpu()) return;
    values_ = at::empty(values.sizes(), values.options().device(at::kCPU).pinned_memory(true));
    values_.copy_(values, true);
    arrives_.emplace(values.device().type());
    arrives_->record(current_stream(values.device()));
}

const at::Tensor& HostCopy::wait() {
    if (arrives_) arrives_->synchronize();
    return values_;
}

// The side stream is current while it lives. What was handed over counts as under way even if the work threw.
class PackStream::Turn {
public:
    Turn(PackStream& owner, int layer) : owner_(owner), guard_(*owner.side_) {
        owner_.begins_->record(*owner_.home_);
        owner_.begins_->block(*owner_.side_);
        owner_.arena_.begin_beside(*owner_.home_);
        owner_.layer_ = layer;
        ++owner_.newest_;
    }
    ~Turn() {
        owner_.end_of(owner_.newest_).record(*owner_.side_);
        owner_.arena_.end_beside();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

private:
    PackStream& owner_;
    c10::StreamGuard guard_;
};

PackStream::PackStream(PageArena& arena, at::Device device, bool beside) : arena_(arena), timer_(device) {
    if (!beside || !device.is_cuda()) return;
#if WANDER_CUDA
    side_ = c10::cuda::getStreamFromPool(kPackPriority, device.index());
#endif
    begins_.emplace(device.type());
    for (std::optional<c10::Event>& end : ends_) end.emplace(device.type());
}

PackStream::Ticket PackStream::pack(int layer, const std::function<void()>& work) {
    const auto timed = [&] {
        timer_.begin();
        work();
        timer_.end();
    };
    if (!side_) {
        timed();
        return 0;
    }
    if (layer != kNoPages || layer_ != kNoPages) join();
    join_turn(newest_ + 1 - kUnderWay);
    home_ = current_stream(side_->device());
    const Turn turn(*this, layer);
    timed();
    return newest_;
}

void PackStream::wait_for(Ticket turn) {
    const c10::Stream current = current_stream(side_->device());
    end_of(turn).block(current);
    // A cache may go in another stream than it was filled in.
    if (*home_ != current) end_of(turn).block(*home_);
    joined_ = turn;
}

void PackStream::join() {
    if (layer_ == kNone) return;
    wait_for(newest_);
    arena_.free_released();
    layer_ = kNone;
}

void PackStream::join_turn(Ticket turn) {
    if (turn <= joined_) return;
    if (turn == newest_) return join();
    wait_for(turn);
}

} // namespace wander::quant
