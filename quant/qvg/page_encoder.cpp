#include "quant/qvg/page_encoder.hpp"

#include "quant/qvg/block_quantiser.hpp"
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_basis.hpp"
#include "quant/qvg/page_kernels.hpp"
#include "quant/qvg/page_rules.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>
#include <vector>

namespace wander::quant::qvg {
namespace {

void add_page_basis(const std::uint8_t* page, const QvgPageLayout& layout, int head, int token,
                    const PageKernels& kernels, float* out) {
    const auto* spans = reinterpret_cast<const float*>(page + layout.span_row(head));
    const auto* bytes = reinterpret_cast<const std::int8_t*>(page + layout.weight_row(head, token));
    float weights[kBasisRank];
    for (int k = 0; k < kBasisRank; ++k) {
        weights[k] = spans[k] * static_cast<float>(bytes[k]);
    }
    kernels.add_basis(weights, reinterpret_cast<const std::uint16_t*>(page + layout.basis_row(head, 0)),
                      layout.head_dim, out);
}

void put_ids(const std::vector<std::int32_t>& of, int tokens, int bits, std::uint8_t* ids) {
    for (int t = 0; t < tokens; ++t) {
        const std::int64_t bit = static_cast<std::int64_t>(t) * bits;
        const unsigned shifted = static_cast<unsigned>(of[static_cast<std::size_t>(t)]) << (bit & 7);
        ids[bit >> 3] = static_cast<std::uint8_t>(ids[bit >> 3] | (shifted & 0xFFU));
        if ((bit & 7) + bits > 8) {
            ids[(bit >> 3) + 1] = static_cast<std::uint8_t>(ids[(bit >> 3) + 1] | (shifted >> 8));
        }
    }
}

void put_clusters(const HeadClusters& clusters, const QvgPageLayout& layout, int head, int stage, std::uint8_t* page) {
    std::uint8_t* centroids = page + layout.centroid_row(head, 0, stage);
    for (std::size_t i = 0; i < clusters.centroids.size(); ++i) {
        const std::uint16_t bits = float_to_bf16(clusters.centroids[i]);
        std::memcpy(centroids + 2 * i, &bits, sizeof bits);
    }
    put_ids(clusters.ids, layout.tokens, layout.id_bits, page + layout.id_row(head, stage));
}

std::vector<float> book_of_head(const std::uint16_t* book, const QvgPageLayout& layout, int head) {
    const std::size_t count =
        static_cast<std::size_t>(layout.book_centroids) * static_cast<std::size_t>(layout.head_dim);
    std::vector<float> centroids(count);
    for (std::size_t i = 0; i < count; ++i) {
        centroids[i] = bf16_to_float(book[static_cast<std::size_t>(head) * count + i]);
    }
    return centroids;
}

// Writes the basis and subtracts what it explains from the rows.
void put_basis(const QvgPageLayout& layout, int head, cpu::SimdLevel level, float* rows, std::uint8_t* page) {
    const HeadBasis basis = fit_basis(rows, layout.tokens, layout.head_dim, level);
    std::memcpy(page + layout.basis_row(head, 0), basis.rows.data(), basis.rows.size() * 2);
    std::memcpy(page + layout.span_row(head), basis.spans.data(), basis.spans.size() * 4);
    std::memcpy(page + layout.weight_row(head, 0), basis.weights.data(), basis.weights.size());
    std::vector<float> explained(static_cast<std::size_t>(layout.head_dim));
    for (int t = 0; t < layout.tokens; ++t) {
        std::fill(explained.begin(), explained.end(), 0.0F);
        add_page_basis(page, layout, head, t, page_kernels(level), explained.data());
        float* row = rows + static_cast<std::ptrdiff_t>(t) * layout.head_dim;
        for (std::size_t c = 0; c < explained.size(); ++c) {
            row[c] -= explained[c];
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
    header.more_stages = static_cast<std::uint8_t>(layout.stages - 1);
    header.codebook_version = options.codebook_version;
    header.book_centroids = static_cast<std::uint32_t>(layout.book_centroids);
    header.rank = static_cast<std::uint32_t>(layout.rank);
    std::memcpy(page, &header, sizeof header);
}

} // namespace

std::vector<float> gather_head(const PageRows& rows, const QvgPageLayout& layout, int head) {
    std::vector<float> out(static_cast<std::size_t>(layout.tokens) * static_cast<std::size_t>(layout.head_dim));
    for (int t = 0; t < layout.tokens; ++t) {
        const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(t) * layout.heads + head) * layout.head_dim;
        float* row = out.data() + static_cast<std::ptrdiff_t>(t) * layout.head_dim;
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
    return out;
}

void subtract_clusters(const HeadClusters& clusters, const QvgPageLayout& layout, float* rows) {
    for (int t = 0; t < layout.tokens; ++t) {
        float* row = rows + static_cast<std::ptrdiff_t>(t) * layout.head_dim;
        const float* centroid =
            clusters.centroids.data() +
            static_cast<std::ptrdiff_t>(clusters.ids[static_cast<std::size_t>(t)]) * layout.head_dim;
        for (int c = 0; c < layout.head_dim; ++c) {
            row[c] = round_bf16(round_bf16(row[c]) - centroid[c]);
        }
    }
}

void encode_page(const PageRows& rows, const QvgPageLayout& layout, const PageOptions& options, std::uint8_t* page,
                 cpu::SimdLevel level) {
    assert(layout.block > 0 && layout.block <= 64 && layout.centroids > 0 && layout.centroids <= kQvgMaxCentroids);
    assert(layout.tokens <= kMaxTokens);
    assert(layout.stages > 0 && (layout.book_centroids == 0 || options.codebook != nullptr));
    assert(layout.rank == 0 || (layout.rank == kBasisRank && options.grid == QvgGrid::four_level));
    const PageKernels& kernels = page_kernels(level);
    const std::size_t groups = (static_cast<std::size_t>(layout.tokens) + kLanes - 1) / kLanes;
    std::vector<float> lanes(groups * kLanes * static_cast<std::size_t>(layout.head_dim));
    std::memset(page, 0, static_cast<std::size_t>(layout.total_bytes));
    put_header(layout, options, page);
    for (int head = 0; head < layout.heads; ++head) {
        std::vector<float> left = gather_head(rows, layout, head); // what is not stored yet
        HeadClusters clusters;
        for (int stage = 0; stage < layout.stages; ++stage) {
            if (stage > 0) {
                subtract_clusters(clusters, layout, left.data());
            }
            clusters = cluster_rows(left.data(), layout.tokens, layout.head_dim, layout.centroids, head,
                                    stage_seed(options.seed, stage), stage == 0 ? RowsAbout::anything : RowsAbout::zero,
                                    level);
            put_clusters(clusters, layout, head, stage, page);
        }
        if (layout.book_centroids > 0) {
            subtract_clusters(clusters, layout, left.data());
            clusters = assign_rows(left.data(), layout.tokens, layout.head_dim,
                                   book_of_head(options.codebook, layout, head), level);
            put_ids(clusters.ids, layout.tokens, layout.book_id_bits, page + layout.book_id_row(head));
        }
        if (layout.rank > 0) {
            subtract_clusters(clusters, layout, left.data());
            put_basis(layout, head, level, left.data(), page);
            clusters.centroids.assign(static_cast<std::size_t>(layout.head_dim), 0.0F);
        }
        if (options.grid == QvgGrid::ternary) {
            put_ternary(left.data(), clusters, layout, head, page);
            continue;
        }
        kernels.to_lanes(left.data(), layout.tokens, layout.head_dim, clusters.centroids.data(), clusters.ids.data(),
                         lanes.data());
        put_four_level(lanes.data(), layout, head, kernels, page);
    }
}

void decode_page_rows(const std::uint8_t* page, const std::uint8_t* book, const QvgPageLayout& layout, QvgGrid grid,
                      int head, int t0, int t1, float* out, cpu::SimdLevel level) {
    const PageKernels& kernels = page_kernels(level);
    const float middle = grid == QvgGrid::four_level ? 1.5F : 1.0F;
    const auto centroid = [&](int token, int stage) {
        return reinterpret_cast<const std::uint16_t*>(
            page + layout.centroid_row(head, layout.id(page, head, token, stage), stage));
    };
    for (int t = t0; t < t1; ++t) {
        float* row = out + static_cast<std::ptrdiff_t>(t - t0) * layout.head_dim;
        kernels.decode_row(page + layout.code_row(head, t), page + layout.scale_row(head, t), centroid(t, 0),
                           layout.head_dim, layout.block, middle, row);
        for (int stage = 1; stage < layout.stages; ++stage) {
            kernels.add_centroid(centroid(t, stage), layout.head_dim, row);
        }
        if (layout.book_centroids > 0) {
            kernels.add_centroid(
                reinterpret_cast<const std::uint16_t*>(book + layout.book_row(head, layout.book_id(page, head, t))),
                layout.head_dim, row);
        }
        if (layout.rank > 0) {
            add_page_basis(page, layout, head, t, kernels, row);
        }
    }
}

} // namespace wander::quant::qvg
