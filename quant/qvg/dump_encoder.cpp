#include "quant/qvg/dump_encoder.hpp"

#include "quant/qvg/dump_kmeans.hpp"
#include "quant/qvg/page_rules.hpp"

#include <cstddef>
#include <utility>

namespace wander::quant::qvg {
namespace {

constexpr double kFewChanges = 1e-4; // of all ids: then clustering stops

} // namespace

std::vector<std::uint32_t> drawn_starts(const DumpShape& shape, std::uint64_t seed, int stage) {
    std::vector<std::uint32_t> starts;
    for (int head = 0; head < shape.heads; ++head) {
        for (int k = 0; k < shape.clusters; ++k)
            starts.push_back(
                static_cast<std::uint32_t>(drawn_token(stage_seed(seed, stage), head, k, 0, shape.tokens)));
    }
    return starts;
}

Dump pack_dump(std::vector<std::uint16_t> values, const DumpShape& shape,
               const std::vector<std::vector<std::uint32_t>>& starts, int iterations) {
    Dump dump;
    for (int stage = 0; stage < shape.stages; ++stage) {
        const std::vector<std::uint32_t>& tokens = starts[static_cast<std::size_t>(stage)];
        std::vector<std::uint16_t> start;
        start.reserve(tokens.size() * static_cast<std::size_t>(shape.dim));
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const std::size_t head = i / static_cast<std::size_t>(shape.clusters);
            const std::size_t row = head * static_cast<std::size_t>(shape.tokens) + tokens[i];
            const auto from = values.begin() + static_cast<std::ptrdiff_t>(row) * shape.dim;
            start.insert(start.end(), from, from + shape.dim);
        }
        KmeansResult clusters =
            run_kmeans({shape.heads, shape.tokens, shape.dim, shape.clusters}, values, start, iterations, kFewChanges);
        subtract_stage(values, shape, clusters.ids, clusters.centroids);
        dump.ids.push_back(std::move(clusters.ids));
        dump.centroids.push_back(std::move(clusters.centroids));
    }
    quantise_residual(values, shape, dump);
    return dump;
}

} // namespace wander::quant::qvg
