// Rows cut out of a wider product, or dense, come to their place bit for bit; what lies beside it is left alone.
#include "quant/cache/row_writer.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdint>

namespace wander::test {
namespace {

TEST(RowWriter, CopiesRowsThatLieApart) {
    if (!open_cuda()) FAIL() << "no CUDA device";
    at::manual_seed(3);
    constexpr std::int64_t kRows = 301, kHeads = 5;
    for (const at::ScalarType type : {at::kBFloat16, at::kFloat}) {
        for (const std::int64_t head_dim : {128, 24}) {
            for (const std::int64_t apart : {0, 8, 3}) { // 3: not by sixteen bytes
                const std::int64_t dim = kHeads * head_dim;
                const auto options = at::TensorOptions().device(at::Device(at::kCUDA, 0)).dtype(type);
                const at::Tensor product = at::randn({kRows, 3 * dim + apart}, options);
                const auto operand = [&](std::int64_t index) {
                    return product.narrow(1, index * dim + apart, dim).unflatten(1, {kHeads, head_dim});
                };
                const at::Tensor pages = at::zeros({2, kRows + 7, kHeads, head_dim}, options);
                const quant::RowPair places{pages[0].narrow(0, 4, kRows), pages[1].narrow(0, 4, kRows)};
                quant::write_rows({operand(1), operand(2)}, places);
                EXPECT_TRUE(places.keys.equal(operand(1))) << head_dim << ", " << apart;
                EXPECT_TRUE(places.values.equal(operand(2))) << head_dim << ", " << apart;
                EXPECT_EQ(pages.narrow(1, 0, 4).count_nonzero().item<std::int64_t>(), 0);
                EXPECT_EQ(pages.narrow(1, kRows + 4, 3).count_nonzero().item<std::int64_t>(), 0);
            }
        }
    }
}

} // namespace
} // namespace wander::test
