// Strided copies by the kernel against torch's, bit for bit: also more pieces than one launch takes, and rows that only
// 4 bytes divide.
#include "generator/nn/copy_pieces.hpp"

#include "generator/device.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <vector>

namespace wander {
namespace {

TEST(CopyPieces, CopyAsTorchDoes) {
    const c10::InferenceMode inference;
    const auto picked = pick_device("cuda", "bf16", 1);
    ASSERT_TRUE(picked) << picked.error().message;
    for (const at::ScalarType type : {at::kBFloat16, at::kFloat}) {
        const auto options = at::TensorOptions(type).device(picked->device);
        for (const std::int64_t channels : {8, 2, 128}) {
            const at::Tensor from = at::randn({333, 3, 12, channels}, at::TensorOptions(picked->device)).to(type);
            const at::Tensor got = at::zeros({700, 12, channels}, options), wanted = at::zeros_like(got);
            std::vector<nn::CopyPiece> pieces;
            for (std::int64_t i = 0; i < 3; ++i) {
                for (std::int64_t head = 0; head < 12; head += 2) { // 18 pieces
                    const auto part = [&](const at::Tensor& to) {
                        return to.narrow(0, 100 * i, 200).narrow(1, (head + 2 * i) % 12, 2);
                    };
                    const at::Tensor rows = from.select(1, i).narrow(0, 7, 200).narrow(1, head, 2);
                    // Pieces of one call do not overlap.
                    if (i == 1) continue;
                    pieces.push_back({rows, part(got)});
                    part(wanted).copy_(rows);
                }
            }
            for (std::int64_t row = 500; row < 520; ++row) {
                pieces.push_back({from.select(1, 1).narrow(0, row - 400, 1), got.narrow(0, row, 1)});
                wanted.narrow(0, row, 1).copy_(from.select(1, 1).narrow(0, row - 400, 1));
            }
            nn::copy_pieces(pieces);
            EXPECT_TRUE(at::equal(got, wanted)) << channels;
            EXPECT_GT(got.abs().sum().item<double>(), 0);
        }
    }
}

TEST(CopyPieces, RefuseRowsThatAreNotDense) {
    const c10::InferenceMode inference;
    const auto picked = pick_device("cuda", "bf16", 1);
    ASSERT_TRUE(picked) << picked.error().message;
    const at::Tensor rows = at::zeros({4, 6, 8}, at::TensorOptions(picked->device));
    EXPECT_THROW(nn::copy_pieces({{rows.transpose(1, 2), rows.view({4, 8, 6})}}), c10::Error);
    EXPECT_THROW(nn::copy_pieces({{rows, rows.narrow(0, 0, 3)}}), c10::Error);
}

} // namespace
} // namespace wander
