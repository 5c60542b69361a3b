// The device's page encoder and page reader against the CPU's: the same bytes, the same values. No tolerance.
#include "quant/cuda/qvg_encode.hpp"
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_encoder.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace wander::quant {
namespace {

// Device memory of one test.
class DeviceBytes {
public:
    explicit DeviceBytes(std::size_t bytes) : bytes_(bytes) { EXPECT_EQ(cudaMalloc(&data_, bytes), cudaSuccess); }
    DeviceBytes(const void* from, std::size_t bytes) : DeviceBytes(bytes) {
        EXPECT_EQ(cudaMemcpy(data_, from, bytes, cudaMemcpyHostToDevice), cudaSuccess);
    }
    ~DeviceBytes() { cudaFree(data_); }
    DeviceBytes(const DeviceBytes&) = delete;
    DeviceBytes& operator=(const DeviceBytes&) = delete;

    void* get() const { return data_; }
    std::uint8_t* bytes() const { return static_cast<std::uint8_t*>(data_); }
    template <class T>
    std::vector<T> read() const {
        std::vector<T> out(bytes_ / sizeof(T));
        EXPECT_EQ(cudaMemcpy(out.data(), data_, bytes_, cudaMemcpyDeviceToHost), cudaSuccess);
        return out;
    }

private:
    std::size_t bytes_;
    void* data_ = nullptr;
};

struct Shape {
    int tokens;
    int heads;
    int head_dim;
    int centroids;
};

const Shape kShapes[] = {{336, 5, 64, 4}, {84, 5, 64, 1},     {97, 2, 128, 64},   {33, 3, 16, 3},
                         {50, 1, 96, 5},  {300, 2, 256, 256}, {4680, 2, 128, 64}, {2000, 1, 64, 200}};

std::vector<float> clustered_rows(const Shape& shape, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0, 1);
    const auto width = static_cast<std::size_t>(shape.heads) * static_cast<std::size_t>(shape.head_dim);
    std::vector<float> middle(7 * width);
    for (float& value : middle) {
        value = 1.5F * normal(generator);
    }
    std::vector<float> rows(static_cast<std::size_t>(shape.tokens) * width);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i] = middle[i / width % 7 * width + i % width] + 0.4F * normal(generator);
    }
    return rows;
}

bool has_gpu() {
    int devices = 0;
    return cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
}

class QvgEncodeGpu : public testing::Test {
protected:
    void SetUp() override {
        if (!has_gpu()) {
            FAIL() << "no NVIDIA GPU";
        }
    }
};

TEST_F(QvgEncodeGpu, PagesAreThoseOfTheCpu) {
    for (const Shape& shape : kShapes) {
        const QvgPageLayout layout = qvg_page_layout(shape.tokens, shape.heads, shape.head_dim, shape.centroids);
        for (const QvgGrid grid : {QvgGrid::four_level, QvgGrid::ternary}) {
            for (const bool bf16 : {false, true}) {
                const auto rows = clustered_rows(shape, 5);
                std::vector<std::uint16_t> narrow;
                for (const float value : rows) {
                    narrow.push_back(qvg::float_to_bf16(value));
                }
                const DeviceBytes source(bf16 ? static_cast<const void*>(narrow.data()) : rows.data(),
                                         rows.size() * (bf16 ? 2 : 4));
                const auto page_bytes = static_cast<std::size_t>(layout.total_bytes);
                const DeviceBytes first(page_bytes);
                const DeviceBytes second(page_bytes);
                const DeviceBytes scratch(static_cast<std::size_t>(cuda::encode_scratch_bytes(layout, 2)));
                cuda::EncodeBatch batch;
                batch.pages[0] = {source.get(), first.bytes(), 77, true};
                batch.pages[1] = {source.get(), second.bytes(), 78, false};
                batch.count = 2;
                batch.bf16 = bf16;
                batch.grid = grid;
                batch.layout = layout;
                batch.scratch = scratch.get();
                ASSERT_EQ(cuda::encode_pages(batch, nullptr), cudaSuccess);
                ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
                for (const bool is_key : {true, false}) {
                    std::vector<std::uint8_t> wanted(page_bytes);
                    const qvg::PageRows from{bf16 ? static_cast<const void*>(narrow.data()) : rows.data(), bf16};
                    qvg::encode_page(from, layout, {grid, is_key, is_key ? 77U : 78U}, wanted.data());
                    const auto got = (is_key ? first : second).read<std::uint8_t>();
                    std::size_t differ = 0;
                    for (std::size_t i = 0; i < page_bytes; ++i) {
                        differ += got[i] != wanted[i] ? 1 : 0;
                    }
                    EXPECT_EQ(differ, 0U) << shape.tokens << " x " << shape.head_dim << " grid "
                                          << static_cast<int>(grid) << " bf16 " << bf16;
                }
            }
        }
    }
}

TEST_F(QvgEncodeGpu, RowsAreReadAsOnTheCpu) {
    for (const Shape& shape : kShapes) {
        const QvgPageLayout layout = qvg_page_layout(shape.tokens, shape.heads, shape.head_dim, shape.centroids);
        const auto rows = clustered_rows(shape, 6);
        for (const QvgGrid grid : {QvgGrid::four_level, QvgGrid::ternary}) {
            std::vector<std::uint8_t> page(static_cast<std::size_t>(layout.total_bytes));
            qvg::encode_page({rows.data(), false}, layout, {grid, true, 3}, page.data());
            const DeviceBytes on_device(page.data(), page.size());
            const auto head_values = static_cast<std::size_t>(shape.tokens) * static_cast<std::size_t>(shape.head_dim);
            const DeviceBytes out(head_values * sizeof(float));
            std::vector<float> wanted(head_values);
            for (int head = 0; head < shape.heads; ++head) {
                ASSERT_EQ(cuda::decode_head(on_device.bytes(), nullptr, layout, grid, head,
                                            static_cast<float*>(out.get()), nullptr),
                          cudaSuccess);
                qvg::decode_page_rows(page.data(), layout, grid, head, 0, shape.tokens, wanted.data());
                EXPECT_EQ(out.read<float>(), wanted) << shape.tokens << " x " << shape.head_dim;
            }
        }
    }
}

} // namespace
} // namespace wander::quant
