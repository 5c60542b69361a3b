#include "quant/cache/page_slabs.hpp"

#include <ATen/Functions.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace wander::quant {

namespace {

constexpr std::int64_t kAlignment = 512; // torch's own

std::int64_t slots_of_slab(std::int64_t slot_bytes) {
    return std::clamp((PageSlabs::kSlabBytes + slot_bytes - 1) / slot_bytes, PageSlabs::kFewestPages,
                      PageSlabs::kMostPages);
}

} // namespace

PageSlabs::Slab& PageSlabs::with_room(std::int64_t slot_bytes) {
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
    // The oldest first: what was made last empties last and should stay small.
    const auto found = std::ranges::find_if(slabs_, [&](const Slab& slab) {
        return slab.slot_bytes == slot_bytes && slab.stream == stream && !slab.free.empty();
    });
    if (found != slabs_.end()) return *found;
    const std::int64_t slots = slots_of_slab(slot_bytes);
    Slab& slab =
        slabs_.emplace_back(at::empty({slots * slot_bytes}, at::TensorOptions().dtype(at::kByte).device(device_)),
                            stream, slot_bytes, std::vector<std::int64_t>(static_cast<std::size_t>(slots)), slots);
    std::iota(slab.free.rbegin(), slab.free.rend(), 0);
    slack_bytes_ += slots * slot_bytes;
    return slab;
}

at::Tensor PageSlabs::take(std::int64_t bytes) {
    const std::int64_t slot_bytes = (std::max<std::int64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
    Slab& slab = with_room(slot_bytes);
    const std::int64_t slot = slab.free.back();
    slab.free.pop_back();
    slack_bytes_ -= bytes;
    return slab.memory.narrow(0, slot * slot_bytes, bytes);
}

bool PageSlabs::give_back(at::Tensor& page) {
    const auto slab = std::ranges::find_if(slabs_, [&](const Slab& each) { return each.memory.is_alias_of(page); });
    if (slab == slabs_.end()) return false;
    slab->free.push_back(page.storage_offset() / slab->slot_bytes);
    slack_bytes_ += page.numel();
    page.reset();
    if (std::ssize(slab->free) == slab->slots) {
        slack_bytes_ -= slab->memory.numel();
        slabs_.erase(slab);
    }
    return true;
}

} // namespace wander::quant
