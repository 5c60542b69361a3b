#include "quant/cuda/expand_rows.cuh"
#include "quant/cuda/page_decode.cuh"
#include "quant/cuda/qvg_encode.hpp"
#include "quant/cuda/qvg_fast_rows.cuh"

namespace wander::quant::cuda {
namespace {

template <bool kOneStage>
struct PackedRows {
    const std::uint8_t* page;
    const std::uint8_t* book;
    QvgPageLayout layout;
    float middle; // code that stands for zero
    __device__ Eight load(int row, int head, int channel) const {
        Eight value;
        const int rows[1] = {row};
        float out[1][8];
        decode_rows<8, kOneStage>(page, book, layout, middle, rows, head, channel, out);
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            value.x[c] = out[0][c];
        }
        return value;
    }

    static constexpr int kBlocks = kOneStage ? 3 : 2;
    template <int kRows>
    __device__ void load_rows(const int (&rows)[kRows], int head, int channel, Eight (&values)[kRows]) const {
        float out[kRows][8];
        decode_rows<8, kOneStage>(page, book, layout, middle, rows, head, channel, out);
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
#pragma unroll
            for (int c = 0; c < 8; ++c) {
                values[r].x[c] = out[r][c];
            }
        }
    }
};

void expand_fast(const ExpandJob& job, const QvgPageLayout& layout, QvgGrid grid, Stream stream) {
    FastPages pages;
    pages.codes = static_cast<std::uint32_t>(layout.codes_at);
    pages.scales = static_cast<std::uint32_t>(layout.scales_at);
    pages.ids = static_cast<std::uint32_t>(layout.ids_at);
    pages.centroids = static_cast<std::uint32_t>(layout.centroids_at);
    pages.tokens = static_cast<std::uint32_t>(layout.tokens);
    pages.id_bits = static_cast<std::uint32_t>(layout.id_bits);
    pages.id_head_bytes = static_cast<std::uint32_t>(layout.id_head_bytes);
    pages.centroid_head_bytes = static_cast<std::uint32_t>(layout.centroids * layout.head_dim * 2);
    pages.id_stage_bytes = static_cast<std::uint32_t>(layout.heads * layout.id_head_bytes);
    pages.centroid_stage_bytes = static_cast<std::uint32_t>(layout.heads) * pages.centroid_head_bytes;
    pages.row_scales = static_cast<std::uint32_t>(layout.head_dim / layout.block);
    while ((8 << pages.scale_lanes) < layout.block) {
        ++pages.scale_lanes;
    }
    pages.zero = 1 + qvg_middle(grid) / 4;
    const int rows = most_rows(job);
    const DeviceTables tables = job.tables ? *job.tables : DeviceTables{};
    const auto launch = [&]<class T>(T*) {
        const bool three = rows_of_a_thread(job, rows) == 3;
        if (layout.stages > 1) {
            launch_fast_pages<T, 3, 4>(job, pages, tables, rows, stream);
        } else if (three) {
            launch_fast_pages<T, 3, 1>(job, pages, tables, rows, stream);
        } else {
            launch_fast_pages<T, 4, 1>(job, pages, tables, rows, stream);
        }
    };
    switch (job.element) {
        case Element::float32: launch(static_cast<float*>(nullptr)); return;
        case Element::bfloat16: launch(static_cast<__nv_bfloat16*>(nullptr)); return;
        case Element::e4m3: launch(static_cast<__nv_fp8_e4m3*>(nullptr)); return;
    }
}

// Plain runs apart from packed ones, keys before values in both.
ExpandJob some_runs(const ExpandJob& job, bool plain) {
    ExpandJob some = job;
    some.run_count = some.value_runs = 0;
    for (int i = 0; i < job.run_count; ++i) {
        if (job.runs[i].plain == plain) {
            some.value_runs += i >= job.run_count - job.value_runs ? 1 : 0;
            some.runs[some.run_count++] = job.runs[i];
        }
    }
    return some;
}

bool has_plain_runs(const ExpandJob& job) {
    for (int i = 0; i < job.run_count; ++i) {
        if (job.runs[i].plain) {
            return true;
        }
    }
    return false;
}

} // namespace

bool expand_qvg(const ExpandJob& job, const std::uint8_t* book, const QvgPageLayout& layout, QvgGrid grid,
                Stream stream) {
    const bool mixed = has_plain_runs(job);
    if (fast_pages(job, layout) && (!mixed || job.source_element == Element::bfloat16)) {
        if (most_rows(job) > 0) {
            expand_fast(job, layout, grid, stream);
        }
        return true;
    }
    if (mixed) {
        const ExpandJob plain = some_runs(job, true), packed = some_runs(job, false);
        return expand_plain(plain, stream) && (packed.run_count == 0 || expand_qvg(packed, book, layout, grid, stream));
    }
    if (layout.stages == 1 && layout.book_centroids == 0 && layout.rank == 0) {
        return expand_source(PackedRows<true>{nullptr, book, layout, qvg_middle(grid)}, job, stream);
    }
    return expand_source(PackedRows<false>{nullptr, book, layout, qvg_middle(grid)}, job, stream);
}

} // namespace wander::quant::cuda
