#pragma once
// Every byte that the cache holds for pages passes through here: allocation, release, and the sums of both.
//
// Pages come one by one from torch's allocator of the device (on CUDA it keeps the free list), so a freed page is free
// for everybody and the process shrinks by what the ledger shrinks. Owned by one KvCache, worker thread only.

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace wander::quant {

class PageArena {
public:
    explicit PageArena(at::Device device) : device_(device) {}

    at::Tensor allocate(std::int64_t bytes); // uint8 [bytes], contents undefined
    void release(at::Tensor& page);          // frees; the caller holds the last reference
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
    std::int64_t peak_bytes() const { return peak_bytes_; } // pages, transients and scratch together

private:
    at::Tensor take(std::int64_t bytes);
    void note_peak();

    at::Device device_;
    std::optional<c10::Stream> home_;
    std::vector<at::Tensor> released_;
    std::int64_t page_bytes_ = 0;
    std::int64_t scratch_bytes_ = 0;
    std::int64_t peak_bytes_ = 0;
};

} // namespace wander::quant
