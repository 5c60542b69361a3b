// The page codec on one core: packing the pages of one block of the embedded world (6 layers x K, V), reading a page,
// one page of the 1.3B shape.
#include "quant/qvg/page_encoder.hpp"

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

namespace wander::quant {
namespace {

struct Shape {
    int tokens;
    int heads;
    int head_dim;
};

constexpr Shape kEmbedded{336, 5, 64};
constexpr Shape kLarge{4680, 12, 128};

std::vector<float> rows_of(const Shape& shape) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal(0, 1);
    const auto width = static_cast<std::size_t>(shape.heads) * static_cast<std::size_t>(shape.head_dim);
    std::vector<float> centres(6 * width);
    for (float& value : centres) {
        value = normal(generator);
    }
    std::vector<float> rows(static_cast<std::size_t>(shape.tokens) * width);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i] = centres[i / width % 6 * width + i % width] + 0.5F * normal(generator);
    }
    return rows;
}

QvgPageLayout layout_of(const Shape& shape) {
    return qvg_page_layout(shape.tokens, shape.heads, shape.head_dim, qvg_default_centroids(shape.tokens));
}

void encode(benchmark::State& state, Shape shape, int pages, QvgGrid grid) {
    const auto rows = rows_of(shape);
    const QvgPageLayout layout = layout_of(shape);
    std::vector<std::uint8_t> page(static_cast<std::size_t>(layout.total_bytes));
    for (auto _ : state) {
        for (int i = 0; i < pages; ++i) {
            qvg::encode_page({rows.data(), false}, layout, {grid, true, static_cast<std::uint64_t>(i)}, page.data());
        }
        benchmark::DoNotOptimize(page.data());
    }
}

void decode(benchmark::State& state, Shape shape) {
    const auto rows = rows_of(shape);
    const QvgPageLayout layout = layout_of(shape);
    std::vector<std::uint8_t> page(static_cast<std::size_t>(layout.total_bytes));
    qvg::encode_page({rows.data(), false}, layout, {}, page.data());
    std::vector<float> out(static_cast<std::size_t>(shape.tokens) * static_cast<std::size_t>(shape.head_dim));
    for (auto _ : state) {
        for (int head = 0; head < shape.heads; ++head) {
            qvg::decode_page_rows(page.data(), layout, QvgGrid::four_level, head, 0, shape.tokens, out.data());
            benchmark::DoNotOptimize(out.data());
        }
    }
    state.SetBytesProcessed(state.iterations() * layout.code_bytes() * 16); // of float32 written
}

BENCHMARK_CAPTURE(encode, embedded_12_pages, kEmbedded, 12, QvgGrid::four_level)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, embedded_12_pages_ternary, kEmbedded, 12, QvgGrid::ternary)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, one_large_page, kLarge, 1, QvgGrid::four_level)->Unit(benchmark::kMillisecond)->Iterations(2);
BENCHMARK_CAPTURE(decode, embedded_page, kEmbedded)->Unit(benchmark::kMicrosecond);

} // namespace
} // namespace wander::quant

BENCHMARK_MAIN();
