#pragma once
// Packs pages on the device: the same bytes as qvg::encode_page on the CPU. Deterministic, no atomics, no host
// synchronisation.
//
// One set of launches serves up to kMaxPages pages of one shape, all heads at once. All pointers but `pages` are device
// memory; the work is queued on the stream. Only where WANDER_CUDA is 1.

#include "quant/cuda/expand.hpp"
#include "quant/formats/qvg_page_layout.hpp"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace wander::quant::cuda {

inline constexpr int kMaxPages = 16;

struct EncodePage {
    const void* rows = nullptr;   // [tokens][heads][head_dim]
    std::uint8_t* page = nullptr; // layout.total_bytes, aligned to 64 bytes
    std::uint64_t seed = 0;
    bool is_key = true;
    const std::uint16_t* codebook = nullptr; // of layouts with a session codebook
    std::uint32_t codebook_version = 0;
};

struct EncodeBatch {
    EncodePage pages[kMaxPages];
    int count = 0;
    bool bf16 = false; // rows are bfloat16, else float32
    QvgGrid grid = QvgGrid::four_level;
    QvgPageLayout
        layout; // head_dim at most kQvgMaxHeadDim: centroids of one step of the assignment lie in shared memory
    void* scratch = nullptr;
};

// Whether later steps of the encoder read what the first stage left, kept in the scratch as large as a bfloat16 source.
constexpr bool keeps_residual(const QvgPageLayout& layout) {
    return layout.stages > 1 || layout.book_centroids > 0 || layout.rank > 0;
}

// Bytes of EncodeBatch::scratch for `pages` pages.
std::int64_t encode_scratch_bytes(const QvgPageLayout& layout, int pages);

cudaError_t encode_pages(const EncodeBatch& batch, cudaStream_t stream);

// What lies in the scratch after encode_pages, of the last stage: centroids before they were rounded to bfloat16.
struct EncodeScratch {
    std::uint16_t* residual = nullptr; // bfloat16 [pages][tokens][heads][head_dim], where keeps_residual()
    float* mean = nullptr;             // [pages][heads][head_dim]
    float* centroids = nullptr;        // [pages][heads][clusters][head_dim]
    float* relative = nullptr;         // the same minus the mean, in panels of 16 centroids: [panel][head_dim][16]
    float* half_norms = nullptr;       // [pages][heads][16 * panels]
    std::uint8_t* ids = nullptr;       // [pages][heads][tokens]
    float* basis = nullptr;            // [pages][heads][rank][head_dim]
    float* basis_sums = nullptr;       // [pages][heads][kMeanParts][rank][head_dim]
    float* basis_weights = nullptr;    // [pages][heads][tokens][rank]
};
EncodeScratch scratch_parts(const EncodeBatch& batch);

// A page as a source of the expansion (quant/cuda/expand_rows.cuh). book: the session codebook, null without one.
bool expand_qvg(const ExpandJob& job, const std::uint8_t* book, const QvgPageLayout& layout, QvgGrid grid,
                Stream stream);

// out [tokens][head_dim] float32 of one head, read with page_decode.cuh; page and book in device memory.
cudaError_t decode_head(const std::uint8_t* page, const std::uint8_t* book, const QvgPageLayout& layout, QvgGrid grid,
                        int head, float* out, cudaStream_t stream);

} // namespace wander::quant::cuda
