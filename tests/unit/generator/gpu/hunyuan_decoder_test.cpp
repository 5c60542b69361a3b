// HunyuanVideo's decoder on a GPU: borders that repeat the edge and channels that become pixels and frames, in the
// kernels against torch's plain operations, and the whole against its plain path.

#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/wan/decode_ops.hpp"
#include "generator/wan/vae_ops.hpp"
#include "tests/unit/generator/gpu/decode_case.hpp"

namespace wander {
namespace {

using HunyuanDecoder = DecoderOnGpu;

at::Tensor bordered(const at::Tensor& x) { return at::replication_pad2d(x, {1, 1, 1, 1}).contiguous(kLast); }

CausalInput normed(std::int64_t channels, at::Tensor* past) {
    CausalInput how;
    how.gamma = at::randn({channels}).to(at::kCUDA);
    how.eps = 1e-6;
    how.silu = true;
    how.keep_sum = true;
    how.past = past;
    return how;
}

// Inside, a border changes nothing; outside it is the edge, in the past too, which begins as the first frame.
TEST_F(HunyuanDecoder, CausalInputRepeatsTheEdge) {
    for (const int channels : {8, 24, 128, 1024}) {
        at::Tensor past, twin_past;
        CausalInput how = normed(channels, &past);
        for (const std::int64_t frames : {1, 3, 2, 1}) {
            const Unsummed x{pictures({frames, channels, 5, 7}), floats(channels), pictures({frames, channels, 5, 7})};
            how.past = &past;
            how.replicate = true;
            const CausalInputResult got = causal_input(x, how);
            how.past = nullptr;
            how.replicate = false;
            const CausalInputResult alone = causal_input(x, how);
            EXPECT_TRUE(at::equal(got.sum, alone.sum)) << channels;
            const at::Tensor frame = bordered(alone.frames);
            if (!twin_past.defined()) twin_past = frame.narrow(0, 0, 1).repeat({2, 1, 1, 1});
            const at::Tensor all = at::cat({twin_past, frame});
            twin_past = all.narrow(0, frames, 2);
            const at::Tensor want =
                at::cat({all.narrow(0, 0, frames), all.narrow(0, 1, frames), all.narrow(0, 2, frames)}, 1);
            EXPECT_TRUE(at::equal(got.frames, want)) << channels << " channels, " << frames << " frames";
            EXPECT_TRUE(at::equal(past, twin_past)) << channels << " channels, " << frames << " frames";
        }
    }
}

TEST_F(HunyuanDecoder, CausalInputReadsBoxesAndAddsWhatGoesBesideThem) {
    for (const int channels : {8, 16, 128, 1024}) {
        for (const int times : {1, 2}) {
            for (const int repeat : {1, 2, 4, 8, 16}) {
                if (channels % repeat != 0) continue;
                const std::int64_t cells = std::int64_t{4} * times;
                Unsummed x{pictures({3, cells * channels, 4, 3}), floats(cells * channels), {}};
                x.layout = Unsummed::Layout::boxes;
                x.times = times;
                x.shown = std::int64_t{3} * times;
                x.around = pictures({3, cells * channels / repeat, 4, 3});
                for (const auto& part : {x, x.slice(1, 2), x.slice(1, 2).slice(1, 1)}) {
                    at::Tensor past, twin_past;
                    CausalInput how = normed(channels, &past);
                    how.replicate = true;
                    const CausalInputResult got = causal_input(part, how);
                    how.past = &twin_past;
                    const CausalInputResult want = causal_input({part.summed(), {}, {}}, how);
                    EXPECT_TRUE(at::equal(got.sum, want.sum)) << channels << " channels, repeated " << repeat;
                    EXPECT_TRUE(at::equal(got.frames, want.frames)) << channels << " channels, repeated " << repeat;
                    EXPECT_TRUE(at::equal(past, twin_past)) << channels << " channels, repeated " << repeat;
                }
            }
        }
    }
}

// Every product is rounded to bf16 before the sum: 2 % of the largest value.
TEST_F(HunyuanDecoder, ConvolutionByProductsTakesBorders) {
    const at::Tensor weight = (at::randn({3, 3 * 16, 3, 3}) * 0.1).to(at::kCUDA, at::kBFloat16);
    const at::Tensor bias = floats(3);
    at::Tensor past, twin_past;
    for (const std::int64_t frames : {1, 1, 4, 2, 1}) {
        const at::Tensor x = bordered(pictures({frames, 16, 7, 9}));
        const at::Tensor out = at::empty({frames, 3, 7, 9}, x.options(), kLast);
        conv_by_products(x, tap_weight(weight), bias, past, out, true);
        const at::Tensor wide = x.to(at::kFloat);
        if (!twin_past.defined()) twin_past = wide.narrow(0, 0, 1).repeat({2, 1, 1, 1});
        const at::Tensor all = at::cat({twin_past, wide});
        twin_past = all.narrow(0, frames, 2);
        const at::Tensor want =
            at::conv2d(at::cat({all.narrow(0, 0, frames), all.narrow(0, 1, frames), all.narrow(0, 2, frames)}, 1),
                       weight.to(at::kFloat), bias);
        EXPECT_LE(difference(out, want), 0.02 * largest(want)) << frames << " frames";
        EXPECT_TRUE(at::equal(past, twin_past.to(at::kBFloat16))) << frames << " frames";
    }
}

HunyuanVae random_hunyuan(at::ScalarType compute, const DecodeTuning& tuning) {
    HunyuanVaeConfig config;
    config.z = 8;
    config.widths = {16, 32, 64, 128, 128}; // the published ones, an eighth as wide
    at::manual_seed(7);
    auto vae = HunyuanVae::load(config, random_tensor, at::kCUDA, compute, false, true, tuning);
    EXPECT_TRUE(vae);
    return *vae;
}

TEST_F(HunyuanDecoder, FusedFollowsFloat32AsThePlainOneDoes) {
    at::manual_seed(9);
    expect_fused_follows(random_hunyuan, at::randn({7, 8, 6, 8}).to(at::kCUDA));
}

TEST_F(HunyuanDecoder, ARestoredStreamGivesTheSameBits) {
    at::manual_seed(9);
    expect_restored_goes_on(random_hunyuan, at::randn({5, 8, 6, 8}).to(at::kCUDA));
}

} // namespace
} // namespace wander
