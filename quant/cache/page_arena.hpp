#pragma once
// Every byte that the cache holds for pages passes through here: allocation, release, and the sums of both.
//
// Uncompressed pages come one by one from torch's allocator of the device (on CUDA it keeps the free list), so a freed
// one is free for everybody. So do packed ones on the CPU; on a GPU they share slabs (page_slabs.hpp), whose slots that
// nobody has count in the peak. Owned by one KvCache, worker thread only.

#include "quant/cache/page_slabs.hpp"

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace wander::quant {

class PageArena {
public:
    explicit PageArena(at::Device device) : device_(device), slabs_(device) {}

    at::Tensor allocate(std::int64_t bytes); // uint8 [bytes], contents undefined
    at::Tensor allocate_packed(std::int64_t bytes);
    void release(at::Tensor& page); // frees; the caller holds the last reference
    // For what lives while pages change: it belongs to the current stream, and release_transient() frees it at once.
    at::Tensor allocate_transient(std::int64_t bytes);
    void release_transient(at::Tensor& page);

    // Between these two another stream is current: what is allocated belongs to `home`, whose work it is ordered with,
    // and what is released stays until free_released(), for the other stream may still read it.
    void begin_beside(c10::Stream home) { home_ = home; }
    void end_beside() { home_.reset(); }
    void free_released(); // `home` waits for the other stream by now

    void set_scratch(std::int64_t bytes); // memory beside the pages that counts in the peak
    std::int64_t scratch_bytes() const { return scratch_bytes_; }
    std::int64_t page_bytes() const { return page_bytes_; } // released and not yet free included
    std::int64_t slack_bytes() const { return slabs_.slack_bytes(); }
    std::int64_t peak_bytes() const { return peak_bytes_; } // pages, transients, slack and scratch together

private:
    at::Tensor take(std::int64_t bytes);
    at::Tensor counted(at::Tensor page);
    void note_peak();

    at::Device device_;
    PageSlabs slabs_;
    std::optional<c10::Stream> home_;
    std::vector<at::Tensor> released_;
    std::int64_t page_bytes_ = 0;
    std::int64_t scratch_bytes_ = 0;
    std::int64_t peak_bytes_ = 0;
};

} // namespace wander::quant
