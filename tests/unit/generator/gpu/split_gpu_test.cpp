// A small network split over two GPUs against the whole one on the first: in float32 near the order of sums, in
// bfloat16 near its rounding; format and prompt change in the middle.
#include "generator/device.hpp"
#include "tests/unit/generator/split_walk.hpp"

#include <c10/core/InferenceMode.h>

#include <cstdio>
#include <vector>

namespace wander {
namespace {

using test::relative;
using test::SplitCase;
using test::SplitWalk;

const std::vector<at::Device> kTwo = {at::Device(at::kCUDA, 0), at::Device(at::kCUDA, 1)};

class SplitGpu : public testing::Test {
protected:
    void SetUp() override {
        const auto picked = pick_device("cuda", "fp32", 1);
        ASSERT_TRUE(picked) << picked.error().message;
        if (device_count() < 2) GTEST_SKIP() << "this needs two GPUs; there is one";
    }
    // Heads of 128 channels, as the Hopper kernel takes them, and latents of 64 tokens.
    static HunyuanConfig wide_heads() {
        HunyuanConfig config = test::small_hunyuan();
        config.heads = 4;
        config.head_dim = 128;
        config.dim = 512;
        config.mlp = 1024;
        config.rope_time_channels = 16;
        config.rope_row_channels = 56;
        config.rope_col_channels = 56;
        return config;
    }
    static std::vector<at::Tensor> walk_through(SplitWalk& walk, const SplitCase& net, int chunks) {
        std::vector<at::Tensor> latents;
        for (int chunk = 0; chunk < chunks; ++chunk) {
            if (chunk == 2 || chunk == 4) {
                EXPECT_TRUE(walk.rollout->cache().set_format(chunk == 2 ? "fp8" : "bf16"));
            }
            if (chunk == 3) {
                std::vector<quant::TextRows> text = net.second_text.layers;
                for (quant::TextRows& layer : text) {
                    layer.keys = layer.keys.to(walk.rollout->device());
                    layer.values = layer.values.to(walk.rollout->device());
                }
                walk.rollout->set_text(text);
                walk.rollout->forget_prepared();
            }
            latents.push_back(walk.next().cpu());
            walk.prepare();
        }
        return latents;
    }

    c10::InferenceMode inference_;
};

TEST_F(SplitGpu, TwoWalkAsOne) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
        const SplitCase net(type, wide_heads(), 8, 8);
        for (const bool fast : {false, true}) {
            SplitWalk whole = net.open_whole(fast, kTwo.front()), split = net.open_split(kTwo, fast);
            const int chunks = type == at::kFloat ? 7 : 5;
            const auto wanted = walk_through(whole, net, chunks), got = walk_through(split, net, chunks);
            for (std::size_t chunk = 0; chunk < wanted.size(); ++chunk) {
                const double off = relative(got[chunk], wanted[chunk]);
                std::printf("%s, %s context, chunk %zu: off %.2e\n", type == at::kFloat ? "float32" : "bfloat16",
                            fast ? "fast" : "published", chunk, off);
                // Negated, so that a NaN fails. Products of fewer rows may be summed in another order; in FP8 pages
                // such a difference may become a step of the format.
                EXPECT_TRUE(off < (type == at::kFloat ? 2e-3 : 0.1)) << chunk;
            }
            auto& rollout = dynamic_cast<SplitRollout&>(*split.rollout);
            rollout.with_rank(1, [&](WorldPlayRollout& its, HeadSplit&) {
                EXPECT_EQ(its.device(), kTwo.back());
                EXPECT_TRUE(at::equal(its.history().latents.cpu(), rollout.history().latents.cpu()))
                    << "both hold the same latents, bit for bit";
            });
        }
    }
}

TEST_F(SplitGpu, AWalkIsRepeatable) {
    const SplitCase net(at::kBFloat16, wide_heads(), 8, 8);
    SplitWalk one = net.open_split(kTwo, false), two = net.open_split(kTwo, false);
    for (int chunk = 0; chunk < 4; ++chunk) EXPECT_TRUE(at::equal(one.next().cpu(), two.next().cpu())) << chunk;
}

TEST_F(SplitGpu, RefusesAGpuTwice) {
    EXPECT_FALSE(HeadSplit::open({kTwo.front(), kTwo.front()}));
    EXPECT_FALSE(HeadSplit::open({kTwo.front(), at::kCPU}));
}

} // namespace
} // namespace wander
