#include "quant/cache/page_arena.hpp"

#include <ATen/Functions.h>
#include <c10/core/StreamGuard.h>

#include <algorithm>
#include <utility>

namespace wander::quant {

at::Tensor PageArena::counted(at::Tensor page) {
    page_bytes_ += static_cast<std::int64_t>(page.nbytes());
    note_peak();
    return page;
}

at::Tensor PageArena::take(std::int64_t bytes) {
    return counted(at::empty({bytes}, at::TensorOptions().dtype(at::kByte).device(device_)));
}

at::Tensor PageArena::allocate(std::int64_t bytes) {
    const c10::OptionalStreamGuard guard(home_);
    return take(bytes);
}

at::Tensor PageArena::allocate_packed(std::int64_t bytes) {
    if (!device_.is_cuda()) return allocate(bytes);
    const c10::OptionalStreamGuard guard(home_);
    return counted(slabs_.take(bytes));
}

at::Tensor PageArena::allocate_transient(std::int64_t bytes) { return take(bytes); }

void PageArena::release(at::Tensor& page) {
    if (page.defined() && home_) {
        released_.push_back(std::exchange(page, {}));
        return;
    }
    release_transient(page);
}

void PageArena::release_transient(at::Tensor& page) {
    if (page.defined()) {
        page_bytes_ -= static_cast<std::int64_t>(page.nbytes());
        if (!slabs_.give_back(page)) page.reset();
    }
}

void PageArena::free_released() {
    for (at::Tensor& page : released_) release_transient(page);
    released_.clear();
}

void PageArena::set_scratch(std::int64_t bytes) {
    scratch_bytes_ = bytes;
    note_peak();
}

void PageArena::note_peak() { peak_bytes_ = std::max(peak_bytes_, page_bytes_ + slack_bytes() + scratch_bytes_); }

} // namespace wander::quant
