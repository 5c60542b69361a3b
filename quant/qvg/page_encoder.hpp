#pragma once
// Packs one page on the CPU: k-means per head, residual, scales, codes. Deterministic: the same bytes for the same
// input and seed, on every instruction set. Any thread; allocates its own scratch.

#include "quant/cpu/tiles.hpp"
#include "quant/formats/qvg_page_layout.hpp"

#include <cstdint>
#include <vector>

namespace wander::quant::qvg {

struct PageRows {
    const void* values = nullptr; // [tokens][heads][head_dim]
    bool bf16 = false;            // else float32
};

struct PageOptions {
    QvgGrid grid = QvgGrid::four_level;
    bool is_key = true;
    std::uint64_t seed = 0;
    const std::uint16_t* codebook =
        nullptr; // bfloat16 [heads][book_centroids][head_dim], its first byte; of layouts with a session codebook
    std::uint32_t codebook_version = 0;
};

// page: layout.total_bytes bytes, every one of them is written.
void encode_page(const PageRows& rows, const QvgPageLayout& layout, const PageOptions& options, std::uint8_t* page,
                 cpu::SimdLevel level = cpu::best_simd());

// Tokens [t0, t1) of one head: out [t1 - t0][head_dim]. book: the session codebook's first byte, null without one.
void decode_page_rows(const std::uint8_t* page, const std::uint8_t* book, const QvgPageLayout& layout, QvgGrid grid,
                      int head, int t0, int t1, float* out, cpu::SimdLevel level = cpu::best_simd());
inline void decode_page_rows(const std::uint8_t* page, const QvgPageLayout& layout, QvgGrid grid, int head, int t0,
                             int t1, float* out, cpu::SimdLevel level = cpu::best_simd()) {
    decode_page_rows(page, nullptr, layout, grid, head, t0, t1, out, level);
}

struct HeadClusters {
    std::vector<float> centroids;  // [count][dim], bfloat16 values
    std::vector<std::int32_t> ids; // tokens, padded with zeros to whole groups of lanes
};

// Rows without their mean need none taken off.
enum class RowsAbout : std::uint8_t { anything, zero };

// The clustering of one head's rows [tokens][dim], as encode_page does it; 16 divides dim. One centroid: the mean.
// rounds: of assignment and update; 0: those of a page.
HeadClusters cluster_rows(const float* rows, int tokens, int dim, int count, int head, std::uint64_t seed,
                          RowsAbout about = RowsAbout::anything, cpu::SimdLevel level = cpu::best_simd(),
                          int rounds = 0);

// Ids of the nearest of given centroids [count][dim], of rows without their mean.
HeadClusters assign_rows(const float* rows, int tokens, int dim, std::vector<float> centroids,
                         cpu::SimdLevel level = cpu::best_simd());

// Rows of one head as float32, [tokens][head_dim].
std::vector<float> gather_head(const PageRows& rows, const QvgPageLayout& layout, int head);

// What clusters leave of the rows, in place, rounded to bfloat16 as published.
void subtract_clusters(const HeadClusters& clusters, const QvgPageLayout& layout, float* rows);

} // namespace wander::quant::qvg
