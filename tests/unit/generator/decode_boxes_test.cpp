// Sums that wait for their reader, of a convolution that makes boxes of pixels: against HunyuanVideo's plain way up.

#include "generator/hunyuan/hunyuan_vae_ops.hpp"
#include "generator/rollout/noise.hpp"
#include "generator/wan/decode_ops.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

namespace wander {
namespace {

at::Tensor values(const std::string& name, const std::vector<std::int64_t>& shape) {
    return gaussian_tensor(fnv1a64(name), shape).to(at::kFloat);
}

TEST(DecodeBoxes, AreWhatThePlainWayUpMakes) {
    const c10::InferenceMode inference;
    for (const int time : {1, 2}) {
        for (const std::int64_t in : {16, 32}) {
            const std::int64_t cells = std::int64_t{4} * time, out = 16;
            Unsummed x{values("made", {3, cells * out, 4, 5}), values("bias", {cells * out}), {}};
            x.layout = Unsummed::Layout::boxes;
            x.times = time;
            x.shown = std::int64_t{3} * time;
            x.around = values("input", {3, in, 4, 5});
            EXPECT_EQ(x.frames(), 3 * time);
            EXPECT_EQ(x.channels(), out);
            EXPECT_EQ(x.rows(), 8);
            EXPECT_EQ(x.columns(), 10);
            const at::Tensor want =
                enlarged(x.x + x.bias.view({1, -1, 1, 1}), time, false) + enlarged_shortcut(x.around, out, time, false);
            EXPECT_TRUE(at::equal(x.summed(), want)) << time << " frames of each, from " << in << " channels";
            for (std::int64_t begin = 0; begin + 2 <= x.frames(); ++begin) {
                EXPECT_TRUE(at::equal(x.slice(begin, 2).summed(), want.narrow(0, begin, 2))) << begin;
                EXPECT_TRUE(at::equal(x.slice(begin, 2).slice(1, 1).summed(), want.narrow(0, begin + 1, 1))) << begin;
            }
        }
    }
}

} // namespace
} // namespace wander
