#pragma once
// Every byte that the cache holds for pages passes through here: allocation, release, and the sums of both.
//
// Pages come one by one from torch's allocator of the device (on CUDA it keeps the free list), so a freed page is free
// for everybody and the process shrinks by what the ledger shrinks. Owned by one KvCache, worker thread only.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace wander::quant {

class PageArena {
public:
    explicit PageArena(at::Device device) : device_(device) {}

    at::Tensor allocate(std::int64_t bytes); // uint8 [bytes], contents undefined
    void release(at::Tensor& page);          // frees; the caller holds the last reference

    void set_scratch(std::int64_t bytes); // memory beside the pages that counts in the peak
    std::int64_t scratch_bytes() const { return scratch_bytes_; }
    std::int64_t page_bytes() const { return page_bytes_; }
    std::int64_t peak_bytes() const { return peak_bytes_; } // pages, transients and scratch together

private:
    void note_peak();

    at::Device device_;
    std::int64_t page_bytes_ = 0;
    std::int64_t scratch_bytes_ = 0;
    std::int64_t peak_bytes_ = 0;
};

} // namespace wander::quant
