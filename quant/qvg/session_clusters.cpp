#include "quant/qvg/session_clusters.hpp"

#include "quant/qvg/head_points.hpp"
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_rules.hpp"

#include <vector>

namespace wander::quant::qvg {
namespace {

// The rows without their mean: what a codebook is about.
std::vector<float> rows_about_mean(const PageRows& rows, const QvgPageLayout& layout, int head, cpu::SimdLevel level) {
    std::vector<float> values = gather_head(rows, layout, head);
    const HeadClusters mean =
        cluster_rows(values.data(), layout.tokens, layout.head_dim, 1, head, 0, RowsAbout::anything, level);
    subtract_clusters(mean, layout, values.data());
    return values;
}

} // namespace

void train_book(const PageRows& rows, const QvgPageLayout& layout, std::uint64_t seed, const BookView& book,
                cpu::SimdLevel level) {
    const auto count = static_cast<std::size_t>(layout.book_centroids);
    const auto columns = static_cast<std::size_t>(layout.head_dim);
    for (int head = 0; head < layout.heads; ++head) {
        const std::vector<float> values = rows_about_mean(rows, layout, head, level);
        const HeadClusters clusters = cluster_rows(values.data(), layout.tokens, layout.head_dim, layout.book_centroids,
                                                   head, seed, RowsAbout::zero, level, kSessionRounds);
        std::uint16_t* centroids = book.centroids + static_cast<std::size_t>(head) * count * columns;
        for (std::size_t i = 0; i < count * columns; ++i) {
            centroids[i] = float_to_bf16(clusters.centroids[i]);
        }
        std::vector<int> members(count);
        for (std::size_t t = 0; t < static_cast<std::size_t>(layout.tokens); ++t) {
            ++members[static_cast<std::size_t>(clusters.ids[t])];
        }
        for (std::size_t k = 0; k < count; ++k) {
            book.weights[static_cast<std::size_t>(head) * count + k] = static_cast<float>(members[k]);
        }
    }
}

void update_book(const PageRows& rows, const QvgPageLayout& layout, const std::uint8_t* page, const BookView& before,
                 const BookView& after, cpu::SimdLevel level) {
    const auto count = static_cast<std::size_t>(layout.book_centroids);
    const auto columns = static_cast<std::size_t>(layout.head_dim);
    const PageKernels& kernels = page_kernels(level);
    const std::vector<float> nothing(columns);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(layout.tokens));
    for (int head = 0; head < layout.heads; ++head) {
        const std::vector<float> values = rows_about_mean(rows, layout, head, level);
        std::vector<float> places;
        places.reserve(count * columns);
        for (std::size_t i = 0; i < count * columns; ++i) {
            places.push_back(bf16_to_float(before.centroids[static_cast<std::size_t>(head) * count * columns + i]));
        }
        const HeadPoints points(values.data(), layout.tokens, layout.head_dim, nothing,
                                kernels.peak(places.data(), layout.book_centroids, layout.head_dim, nothing.data()),
                                kernels);
        for (int t = 0; t < layout.tokens; ++t) {
            ids[static_cast<std::size_t>(t)] = layout.book_id(page, head, t);
        }
        const Members members = points.members(layout.book_centroids, ids.data());
        for (std::size_t k = 0; k < count; ++k) {
            const std::size_t at = static_cast<std::size_t>(head) * count + k;
            const auto here = static_cast<float>(members.count[k]);
            const float weight = kSessionDecay * before.weights[at] + here;
            const float share = here > 0 ? here / weight : 0.0F;
            after.weights[at] = weight;
            for (std::size_t c = 0; c < columns; ++c) {
                const std::uint16_t old = before.centroids[at * columns + c];
                const float centroid = bf16_to_float(old);
                const float mean = here > 0 ? members.sums[k * columns + c] / here * points.step() : centroid;
                after.centroids[at * columns + c] =
                    here > 0 ? float_to_bf16(centroid + (mean - centroid) * share) : old;
            }
        }
    }
}

} // namespace wander::quant::qvg
