#pragma once
// Packs pages on the device: the same bytes as qvg::encode_page on the CPU. Deterministic, no floating-point atomics,
// no host synchronisation.
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
    QvgPageLayout layout; // head_dim at most kQvgMaxHeadDim, tokens at most 65,535
    void* scratch = nullptr;
};

// Whether later stages of the encoder read what the ones before left, kept in the scratch as large as a bfloat16
// source.
constexpr bool keeps_residual(const QvgPageLayout& layout) { return layout.stages > 1; }

// Bytes of EncodeBatch::scratch for `pages` pages.
std::int64_t encode_scratch_bytes(const QvgPageLayout& layout, int pages);

cudaError_t encode_pages(const EncodeBatch& batch, cudaStream_t stream);

// Rows of the tensor cores' operands: whole tiles of 8 centroids and 32 channels.
WANDER_HOST_DEVICE constexpr int padded_clusters(int clusters) { return (clusters + 7) / 8 * 8; }
WANDER_HOST_DEVICE constexpr int padded_words(int head_dim) { return (head_dim + 31) / 32 * 8; }

struct StepGrid {
    float inverse = 0; // steps a unit; 0: everything is nothing
    float step = 0;
};

// What lies in the scratch. Heads of pages [pages][heads] come first in every size.
struct EncodeScratch {
    std::uint16_t* residual = nullptr; // bfloat16 [pages][tokens][heads][head_dim], where keeps_residual()
    // Zero at the beginning:
    int* peaks = nullptr;        // [stages][pages][heads], bits of the largest magnitude a stage has to deal with
    int* weight_peaks = nullptr; // [rank], bits of the largest magnitude along each direction
    int* covariance = nullptr;   // [head_dim][head_dim]
    std::int64_t zero_bytes = 0; // of these three
    float* mean = nullptr;       // [head_dim]
    float* lowest = nullptr;     // [head_dim], of the source
    float* highest = nullptr;    // [head_dim]
    StepGrid* grids = nullptr;   // one
    int clusters = 0;            // what the following have room for
    float* centroids = nullptr;  // [clusters][head_dim] before they are rounded to bfloat16
    int* coarse = nullptr;       // [padded_clusters()][padded_words()], four channels a word
    int* norms = nullptr;        // [padded_clusters()], squared lengths of these
    int* sums = nullptr;         // [clusters][head_dim], in steps
    int* members = nullptr;      // [clusters]
    int* candidates = nullptr; // [head_dim / 4][kStartDraws * clusters + 1], coarse rows that centroids may start from
    float* basis = nullptr;    // [rank][head_dim]
    float* basis_weights = nullptr; // [tokens][rank]
    std::uint8_t* ids = nullptr;    // [tokens]
};
EncodeScratch scratch_parts(const EncodeBatch& batch);

// A page as a source of the expansion (quant/cuda/expand_rows.cuh). book: the session codebook, null without one.
bool expand_qvg(const ExpandJob& job, const std::uint8_t* book, const QvgPageLayout& layout, QvgGrid grid,
                Stream stream);

// out [tokens][head_dim] float32 of one head, read with page_decode.cuh; page and book in device memory.
cudaError_t decode_head(const std::uint8_t* page, const std::uint8_t* book, const QvgPageLayout& layout, QvgGrid grid,
                        int head, float* out, cudaStream_t stream);

} // namespace wander::quant::cuda
