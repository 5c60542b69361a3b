#include "quant/qvg/page_encoder.hpp"

#include "quant/qvg/block_quantiser.hpp"
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_kernels.hpp"
#include "quant/qvg/page_rules.hpp"

#include <cassert>
#include <cstring>

namespace wander::quant::qvg {
namespace {

void gather_head(const PageRows& rows, const QvgPageLayout& layout, int head, float* out) {
    for (int t = 0; t < layout.tokens; ++t) {
        const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(t) * layout.heads + head) * layout.head_dim;
        float* row = out + static_cast<std::ptrdiff_t>(t) * layout.head_dim;
        if (!rows.bf16) {
            std::memcpy(row, static_cast<const float*>(rows.values) + at,
                        sizeof(float) * static_cast<std::size_t>(layout.head_dim));
            continue;
        }
        const std::uint16_t* from = static_cast<const std::uint16_t*>(rows.values) + at;
        for (int c = 0; c < layout.head_dim; ++c) {
            row[c] = bf16_to_float(from[c]);
        }
    }
}

void put_clusters(const HeadClusters& clusters, const QvgPageLayout& layout, int head, std::uint8_t* page) {
    std::uint8_t* centroids = page + layout.centroid_row(head, 0);
    for (std::size_t i = 0; i < clusters.centroids.size(); ++i) {
        const std::uint16_t bits = float_to_bf16(clusters.centroids[i]);
        std::memcpy(centroids + 2 * i, &bits, sizeof bits);
    }
    std::uint8_t* ids = page + layout.ids_at + head * layout.id_head_bytes;
    for (int t = 0; t < layout.tokens; ++t) {
        const std::int64_t bit = static_cast<std::int64_t>(t) * layout.id_bits;
        const unsigned shifted = static_cast<unsigned>(clusters.ids[static_cast<std::size_t>(t)]) << (bit & 7);
        ids[bit >> 3] = static_cast<std::uint8_t>(ids[bit >> 3] | (shifted & 0xFFU));
        if ((bit & 7) + layout.id_bits > 8) {
            ids[(bit >> 3) + 1] = static_cast<std::uint8_t>(ids[(bit >> 3) + 1] | (shifted >> 8));
        }
    }
}

void put_four_level(const float* lanes, const QvgPageLayout& layout, int head, const PageKernels& kernels,
                    std::uint8_t* page) {
    const int blocks = layout.head_dim / layout.block;
    std::uint8_t scales[kLanes];
    std::uint32_t words[64 / 16 * kLanes];
    for (int t = 0; t < layout.tokens; t += kLanes) {
        for (int b = 0; b < blocks; ++b) {
            kernels.quantise(lanes + (static_cast<std::ptrdiff_t>(t) * layout.head_dim + b * layout.block * kLanes),
                             layout.block, scales, words);
            for (int l = 0; l < kLanes && t + l < layout.tokens; ++l) {
                page[layout.scale_row(head, t + l) + b] = scales[l];
                std::uint8_t* codes = page + layout.code_row(head, t + l) + b * layout.block / 4;
                for (int w = 0; w < layout.block / 16; ++w) {
                    std::memcpy(codes + 4 * w, words + w * kLanes + l, 4);
                }
            }
        }
    }
}

// As published: bfloat16 values and residuals, scale from the largest magnitude.
void put_ternary(const float* rows, const HeadClusters& clusters, const QvgPageLayout& layout, int head,
                 std::uint8_t* page) {
    float residual[64];
    std::uint8_t codes[64];
    for (int t = 0; t < layout.tokens; ++t) {
        const float* row = rows + static_cast<std::ptrdiff_t>(t) * layout.head_dim;
        const float* centroid =
            clusters.centroids.data() +
            static_cast<std::ptrdiff_t>(clusters.ids[static_cast<std::size_t>(t)]) * layout.head_dim;
        for (int first = 0; first < layout.head_dim; first += layout.block) {
            for (int c = 0; c < layout.block; ++c) {
                residual[c] = round_bf16(round_bf16(row[first + c]) - centroid[first + c]);
            }
            page[layout.scale_row(head, t) + first / layout.block] =
                quantise_block(residual, layout.block, 2, false, codes).scale;
            std::uint8_t* bytes = page + layout.code_row(head, t) + first / 4;
            for (int c = 0; c < layout.block; ++c) {
                bytes[c / 4] = static_cast<std::uint8_t>(bytes[c / 4] | (codes[c] << (6 - 2 * (c % 4))));
            }
        }
    }
}

void put_header(const QvgPageLayout& layout, const PageOptions& options, std::uint8_t* page) {
    QvgPageHeader header;
    header.grid = static_cast<std::uint8_t>(options.grid);
    header.is_key = options.is_key ? 1 : 0;
    header.tokens = static_cast<std::uint32_t>(layout.tokens);
    header.heads = static_cast<std::uint32_t>(layout.heads);
    header.head_dim = static_cast<std::uint32_t>(layout.head_dim);
    header.block = static_cast<std::uint32_t>(layout.block);
    header.centroids = static_cast<std::uint32_t>(layout.centroids);
    header.id_bits = static_cast<std::uint32_t>(layout.id_bits);
    header.seed = options.seed;
    header.total_bytes = static_cast<std::uint64_t>(layout.total_bytes);
    std::memcpy(page, &header, sizeof header);
}

} // namespace

void encode_page(const PageRows& rows, const QvgPageLayout& layout, const PageOptions& options, std::uint8_t* page,
                 cpu::SimdLevel level) {
    assert(layout.block > 0 && layout.block <= 64 && layout.centroids > 0 && layout.centroids <= kQvgMaxCentroids);
    const PageKernels& kernels = page_kernels(level);
    const auto padded = (static_cast<std::size_t>(layout.tokens) + kLanes - 1) / kLanes * kLanes;
    std::vector<float> head_rows(static_cast<std::size_t>(layout.tokens) * layout.head_dim);
    std::vector<float> lanes(padded * layout.head_dim);
    std::memset(page, 0, static_cast<std::size_t>(layout.total_bytes));
    put_header(layout, options, page);
    for (int head = 0; head < layout.heads; ++head) {
        gather_head(rows, layout, head, head_rows.data());
        const HeadClusters clusters =
            cluster_rows(head_rows.data(), layout.tokens, layout.head_dim, layout.centroids, head, options.seed, level);
        put_clusters(clusters, layout, head, page);
        if (options.grid == QvgGrid::ternary) {
            put_ternary(head_rows.data(), clusters, layout, head, page);
            continue;
        }
        kernels.to_lanes(head_rows.data(), layout.tokens, layout.head_dim, clusters.centroids.data(),
                         clusters.ids.data(), lanes.data());
        put_four_level(lanes.data(), layout, head, kernels, page);
    }
}

void decode_page_rows(const std::uint8_t* page, const QvgPageLayout& layout, QvgGrid grid, int head, int t0, int t1,
                      float* out, cpu::SimdLevel level) {
    const PageKernels& kernels = page_kernels(level);
    const float middle = grid == QvgGrid::four_level ? 1.5F : 1.0F;
    for (int t = t0; t < t1; ++t) {
        const std::uint8_t* centroid = page + layout.centroid_row(head, layout.id(page, head, t));
        kernels.decode_row(page + layout.code_row(head, t), page + layout.scale_row(head, t),
                           reinterpret_cast<const std::uint16_t*>(centroid), layout.head_dim, layout.block, middle,
                           out + static_cast<std::ptrdiff_t>(t - t0) * layout.head_dim);
    }
}

} // namespace wander::quant::qvg
