// The page codec on one core: packing the pages of one block of the embedded world (6 layers x K, V), reading a page,
// one page of the 1.3B shape. Where an NVIDIA GPU is, packing pages of that shape there as well, in the GPU's own time.
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_encoder.hpp"
#if WANDER_CUDA
#include "quant/cuda/qvg_encode.hpp"
#endif

#include <benchmark/benchmark.h>

#include <cstdint>

#include <random>
#include <string>
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

#if WANDER_CUDA

struct DeviceBytes {
    explicit DeviceBytes(std::int64_t bytes) {
        if (cudaMalloc(&data, static_cast<std::size_t>(bytes)) != cudaSuccess) data = nullptr;
    }
    ~DeviceBytes() { cudaFree(data); }
    DeviceBytes(const DeviceBytes&) = delete;
    DeviceBytes& operator=(const DeviceBytes&) = delete;

    void* data = nullptr;
};

struct DeviceStopwatch {
    DeviceStopwatch() {
        cudaEventCreate(&begin);
        cudaEventCreate(&end);
    }
    ~DeviceStopwatch() {
        cudaEventDestroy(begin);
        cudaEventDestroy(end);
    }
    DeviceStopwatch(const DeviceStopwatch&) = delete;
    DeviceStopwatch& operator=(const DeviceStopwatch&) = delete;

    cudaEvent_t begin = nullptr;
    cudaEvent_t end = nullptr;
};

struct DeviceKind {
    const char* name;
    QvgGrid grid;
    QvgStages stages;
    int centroids; // 0: the default for the shape
};
const DeviceKind kDeviceKinds[] = {{"int2", QvgGrid::four_level, {}, 0},
                                   {"pca2", QvgGrid::four_level, {.rank = 4}, 0},
                                   {"qvg-stream", QvgGrid::four_level, {.session = true}, 128},
                                   {"qvg-pro", QvgGrid::ternary, {.stages = 4, .block = 16}, 0}};

// Time of one set of launches that packs `pages` pages of bfloat16 rows; the counter divides it by the pages.
void encode_on_device(benchmark::State& state, Shape shape, const DeviceKind& kind, int pages) {
    const int centroids = kind.centroids > 0 ? kind.centroids : qvg_default_centroids(shape.tokens);
    const QvgPageLayout layout = qvg_page_layout(shape.tokens, shape.heads, shape.head_dim, centroids, kind.stages);
    std::vector<std::uint16_t> rows;
    for (const float value : rows_of(shape)) rows.push_back(qvg::float_to_bf16(value));
    const DeviceBytes source(static_cast<std::int64_t>(rows.size() * sizeof(rows[0])));
    const DeviceBytes packed(layout.total_bytes * pages);
    const DeviceBytes scratch(cuda::encode_scratch_bytes(layout, pages));
    const std::int64_t book_values = static_cast<std::int64_t>(layout.book_centroids) * shape.heads * shape.head_dim;
    const DeviceBytes book(book_values * 2 + 2);
    const bool ready =
        source.data && packed.data && scratch.data && book.data &&
        cudaMemcpy(book.data, rows.data(), static_cast<std::size_t>(book_values) * 2, cudaMemcpyHostToDevice) ==
            cudaSuccess &&
        cudaMemcpy(source.data, rows.data(), rows.size() * sizeof(rows[0]), cudaMemcpyHostToDevice) == cudaSuccess;
    if (!ready) {
        state.SkipWithError("the GPU has no memory for the pages");
        return;
    }
    cuda::EncodeBatch batch;
    for (int i = 0; i < pages; ++i) {
        batch.pages[i] = {source.data,
                          static_cast<std::uint8_t*>(packed.data) + i * layout.total_bytes,
                          static_cast<std::uint64_t>(i),
                          true,
                          static_cast<const std::uint16_t*>(book.data),
                          1};
    }
    batch.count = pages;
    batch.bf16 = true;
    batch.grid = kind.grid;
    batch.layout = layout;
    batch.scratch = scratch.data;
    const DeviceStopwatch watch;
    double seconds = 0;
    for (auto _ : state) {
        cudaEventRecord(watch.begin);
        const cudaError_t launched = cuda::encode_pages(batch, nullptr);
        cudaEventRecord(watch.end);
        if (launched != cudaSuccess || cudaEventSynchronize(watch.end) != cudaSuccess) {
            state.SkipWithError("packing failed on the GPU");
            return;
        }
        float ms = 0;
        cudaEventElapsedTime(&ms, watch.begin, watch.end);
        state.SetIterationTime(static_cast<double>(ms) / 1000);
        seconds += static_cast<double>(ms) / 1000;
    }
    state.counters["ms_a_page"] = seconds * 1000 / static_cast<double>(state.iterations() * pages);
}

void register_device_benches() {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return;
    for (const DeviceKind& kind : kDeviceKinds) {
        for (const int pages : {1, 2, 4, 6, 8, cuda::kMaxPages}) {
            const std::string name = "encode_on_device/" + std::string(kind.name) + "/pages:" + std::to_string(pages);
            benchmark::RegisterBenchmark(name.c_str(), encode_on_device, kLarge, kind, pages)
                ->UseManualTime()
                ->Unit(benchmark::kMillisecond)
                ->Iterations(20);
        }
    }
}

#else

void register_device_benches() {}

#endif

BENCHMARK_CAPTURE(encode, embedded_12_pages, kEmbedded, 12, QvgGrid::four_level)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, embedded_12_pages_ternary, kEmbedded, 12, QvgGrid::ternary)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, one_large_page, kLarge, 1, QvgGrid::four_level)->Unit(benchmark::kMillisecond)->Iterations(2);
BENCHMARK_CAPTURE(decode, embedded_page, kEmbedded)->Unit(benchmark::kMicrosecond);

} // namespace

int run_benches(int argc, char** argv) {
    register_device_benches();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

} // namespace wander::quant

int main(int argc, char** argv) { return wander::quant::run_benches(argc, argv); }
