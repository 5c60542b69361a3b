#include "quant/cache/pack_stream.hpp"

#include <ATen/Functions.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

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
    Turn(PackStream& owner, int layer)
        : owner_(owner), home_(current_stream(owner.side_->device())), guard_(*owner.side_) {
        owner_.begins_->record(home_);
        owner_.begins_->block(*owner_.side_);
        owner_.arena_.begin_beside(home_);
        owner_.layer_ = layer;
    }
    ~Turn() {
        owner_.ends_->record(*owner_.side_);
        owner_.arena_.end_beside();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

private:
    PackStream& owner_;
    c10::Stream home_;
    c10::StreamGuard guard_;
};

PackStream::PackStream(PageArena& arena, at::Device device, bool beside) : arena_(arena), timer_(device) {
    if (!beside || !device.is_cuda()) return;
    // Streams of normal priority have the lowest there is.
    side_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device, false);
    begins_.emplace(device.type());
    ends_.emplace(device.type());
}

void PackStream::pack(int layer, const std::function<void()>& work) {
    const auto timed = [&] {
        timer_.begin();
        work();
        timer_.end();
    };
    join();
    if (!side_) return timed();
    const Turn turn(*this, layer);
    timed();
}

void PackStream::join() {
    if (layer_ == kNone) return;
    ends_->block(current_stream(side_->device()));
    arena_.free_released();
    layer_ = kNone;
}

} // namespace wander::quant
