#pragma once
// Packs and reads pages of the scalar formats on the device: the same bytes and values as scalar::encode_page and
// scalar::decode_page_rows on the CPU. Deterministic: maxima alone are taken with atomics, on integers.
//
// One set of launches serves up to kMaxScalarPages pages of one layout. All pointers but `pages` are device memory; the
// work is queued on the stream, there is no scratch. Only where WANDER_CUDA is 1.

#include "quant/cuda/expand.hpp"
#include "quant/scalar/page_layout.hpp"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace wander::quant::cuda {

inline constexpr int kMaxScalarPages = 16;

struct ScalarEncodePage {
    const void* rows = nullptr;   // [tokens][heads][head_dim]
    std::uint8_t* page = nullptr; // layout.total_bytes, aligned to 64 bytes
};

struct ScalarEncodeBatch {
    ScalarEncodePage pages[kMaxScalarPages];
    int count = 0;
    bool bf16 = false; // rows are bfloat16, else float32
    scalar::ScalarPageLayout layout;
    scalar::ScalarPageHeader header;
};

cudaError_t encode_scalar_pages(const ScalarEncodeBatch& batch, cudaStream_t stream);

// A page as a source of the expansion (quant/cuda/expand_rows.cuh).
bool expand_scalar(const ExpandJob& job, const scalar::ScalarPageLayout& layout, Stream stream);

} // namespace wander::quant::cuda
