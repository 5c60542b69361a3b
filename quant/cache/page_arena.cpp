#include "quant/cache/page_arena.hpp"

#include <ATen/Functions.h>

#include <algorithm>

namespace wander::quant {

at::Tensor PageArena::allocate(std::int64_t bytes) {
    at::Tensor page = at::empty({bytes}, at::TensorOptions().dtype(at::kByte).device(device_));
    page_bytes_ += static_cast<std::int64_t>(page.nbytes());
    note_peak();
    return page;
}

void PageArena::release(at::Tensor& page) {
    if (page.defined()) {
        page_bytes_ -= static_cast<std::int64_t>(page.nbytes());
        page.reset();
    }
}

void PageArena::set_scratch(std::int64_t bytes) {
    scratch_bytes_ = bytes;
    note_peak();
}

void PageArena::note_peak() { peak_bytes_ = std::max(peak_bytes_, page_bytes_ + scratch_bytes_); }

} // namespace wander::quant
