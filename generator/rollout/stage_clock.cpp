#include "generator/rollout/stage_clock.hpp"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <array>
#include <chrono>
#include <optional>

namespace wander {

struct StageClock::Impl {
    using Clock = std::chrono::steady_clock;
    c10::Device device;
    std::array<std::optional<Clock::time_point>, kMarks> times;
    std::array<std::optional<c10::Event>, kMarks> events;
};

StageClock::StageClock(c10::Device device) : impl_(new Impl{device, {}, {}}) {}
StageClock::~StageClock() = default;

void StageClock::mark(int index) {
    const auto i = static_cast<std::size_t>(index);
    if (impl_->device.is_cpu()) {
        impl_->times.at(i) = Impl::Clock::now();
        return;
    }
    auto& event = impl_->events.at(i);
    if (!event) event.emplace(impl_->device.type(), c10::EventFlag::BACKEND_DEFAULT);
    event->record(c10::impl::VirtualGuardImpl(impl_->device.type()).getStream(impl_->device));
}

double StageClock::ms_between(int from, int to) const {
    const auto a = static_cast<std::size_t>(from);
    const auto b = static_cast<std::size_t>(to);
    if (impl_->device.is_cpu()) {
        if (!impl_->times.at(a) || !impl_->times.at(b)) return 0;
        return std::chrono::duration<double, std::milli>(*impl_->times[b] - *impl_->times[a]).count();
    }
    if (!impl_->events.at(a) || !impl_->events.at(b)) return 0;
    impl_->events[b]->synchronize();
    return impl_->events[a]->elapsedTime(*impl_->events[b]);
}

} // namespace wander
