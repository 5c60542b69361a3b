// attend() on an NVIDIA GPU over pictures that are not small, which other kernels read than those of attend_cuda_test:
// cuDNN's, or Hopper's own. Against one dense softmax in double precision, and against the CPU's walk.
#include "tests/support/cuda_runtime.hpp"
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace wander::test {
namespace {

double distance(const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor x = a.to(at::kCPU, at::kDouble), y = b.to(at::kCPU, at::kDouble);
    return ((x - y).norm() / y.norm()).item<double>();
}

class AttendLong : public testing::Test {
protected:
    void SetUp() override {
        if (!open_cuda()) FAIL() << "no CUDA device";
    }

    static CacheSetup setup(const char* format, quant::AttentionType attention, bool prope) {
        CacheSetup setup;
        setup.shape = {.layers = 1,
                       .heads = 2,
                       .head_dim = 128,
                       .tokens_per_latent = 264, // 8 divides it, no tile does
                       .page_latents = 3,
                       .sink_latents = 1,
                       .window_latents = 7};
        setup.time_pairs = 22;
        setup.compute = at::kBFloat16;
        setup.device = at::Device(at::kCUDA, 0);
        setup.policy.format = format;
        setup.policy.attention = attention;
        setup.prope = prope;
        return setup;
    }

    // Largest distance over a walk to the CPU's results, the pages being the same. Each chunk has two passes, the
    // second with larger keys and values, which are written.
    static double worst_distance(const CacheSetup& on_device, int chunks, int latents,
                                 quant::AttentionType host_attention = quant::AttentionType::bf16) {
        CacheSetup on_host = on_device;
        on_host.device = at::kCPU;
        on_host.policy.attention = host_attention;
        const auto device = make_cache(on_device);
        const auto host = make_cache(on_host);
        double worst = 0;
        for (int n = 0; n < chunks; ++n) {
            const auto history = host->visible_history(n * latents);
            const quant::ReadView view =
                random_view(on_host, history, n * latents, latents, static_cast<std::uint64_t>(n + 1));
            device->begin_chunk(view);
            host->begin_chunk(view);
            for (const int pass : {0, 1}) {
                const auto base = static_cast<std::uint64_t>(n * 100 + pass * 10);
                const double size = pass == 0 ? 1 : 1.37;
                const at::Tensor q = random_rows(on_host, latents, base);
                const at::Tensor k = random_rows(on_host, latents, base + 1) * size;
                const at::Tensor v = random_rows(on_host, latents, base + 2) * size;
                const double off = distance(device->attend(0, q.cuda(), k.cuda(), v.cuda()), host->attend(0, q, k, v));
                worst = std::isnan(off) ? 1e9 : std::max(worst, off);
                if (pass == 0) continue;
                device->write(0, k.cuda(), v.cuda());
                host->write(0, k, v);
            }
            device->commit();
            host->commit();
        }
        return worst;
    }

    static bool has_fp8() {
        const CacheSetup wanted = setup("bf16", quant::AttentionType::fp8, false);
        return bool(quant::KvCache::create(wanted.shape, wanted.policy, wanted.device, wanted.compute));
    }
};

TEST_F(AttendLong, Bfloat16StaysNearDenseSoftmax) {
    for (const bool prope : {false, true}) {
        for (const char* format : {"bf16", "int2"}) {
            SCOPED_TRACE(testing::Message() << format << (prope ? ", two branches" : ""));
            const CacheSetup one = setup(format, quant::AttentionType::bf16, prope);
            EXPECT_LT(worst_of_walk(one, 11, 1), 2e-2);
            EXPECT_LT(worst_of_walk(one, 4, 3), 2e-2);
            CacheSetup sliced = one;
            sliced.policy.slice_bytes = 1 << 20; // several slices a layer
            EXPECT_LT(worst_of_walk(sliced, 11, 1), 2e-2);
            sliced.policy.slice_bytes = 1; // less than any slice needs
            EXPECT_LT(worst_of_walk(sliced, 5, 1), 2e-2);
            // Nearly two of Hopper's tiles of 176 keys: uncompressed values are read where they are.
            CacheSetup in_place = one;
            in_place.shape.tokens_per_latent = 350;
            EXPECT_LT(worst_of_walk(in_place, 11, 1), 2e-2);
            EXPECT_LT(worst_of_walk(in_place, 4, 3), 2e-2);
        }
    }
}

// A text's rows stand in front of the first slice; 37 rows fill no tile and no sixteen.
TEST_F(AttendLong, ReadsATextInFront) {
    for (const bool prope : {false, true}) {
        for (const char* format : {"bf16", "int2", "soft4"}) {
            SCOPED_TRACE(testing::Message() << format << (prope ? ", two branches" : ""));
            CacheSetup one = setup(format, quant::AttentionType::bf16, prope);
            for (const int tokens : {37, 850}) {
                one.text_tokens = tokens;
                one.policy.slice_bytes = quant::CachePolicy{}.slice_bytes;
                EXPECT_TRUE(worst_distance(one, 6, 1) < 1e-2) << tokens;
                one.policy.slice_bytes = 2 << 20;
                EXPECT_TRUE(worst_distance(one, 5, 3) < 1e-2) << tokens;
            }
            if (!has_fp8()) continue;
            one.policy.attention = quant::AttentionType::fp8;
            one.policy.slice_bytes = quant::CachePolicy{}.slice_bytes;
            EXPECT_TRUE(worst_distance(one, 6, 1) < 8e-2);
        }
    }
}

// Summary rows (their logits are larger by ln n) and a logit correction among them.
TEST_F(AttendLong, Bfloat16ReadsAsOnTheCpu) {
    for (const bool prope : {false, true}) {
        for (const bool corrected : {false, true}) {
            for (const char* format : {"soft4", "int2", "kivi2"}) {
                SCOPED_TRACE(testing::Message() << format << (prope ? ", two branches" : "") << corrected);
                CacheSetup one = setup(format, quant::AttentionType::bf16, prope);
                one.policy.bias_correction = corrected;
                EXPECT_TRUE(worst_distance(one, 11, 1) < 1e-2);
            }
        }
    }
}

// The emulation rounds what the kernels round: they are nearer to it than to what is not rounded.
TEST_F(AttendLong, Fp8IsWhatIsEmulated) {
    if (!is_hopper()) GTEST_SKIP() << "FP8 attention needs a Hopper GPU";
    for (const bool prope : {false, true}) {
        CacheSetup one = setup("bf16", quant::AttentionType::fp8, prope);
        const double rounded = worst_distance(one, 11, 1, quant::AttentionType::fp8_emulated);
        const double plain = worst_distance(one, 11, 1);
        EXPECT_LT(rounded, plain) << prope;
        RecordProperty(prope ? "two_branches" : "one_branch", std::to_string(rounded) + " " + std::to_string(plain));
    }
}

TEST_F(AttendLong, Fp8ReadsAsOnTheCpu) {
    if (!is_hopper()) GTEST_SKIP() << "FP8 attention needs a Hopper GPU";
    ASSERT_TRUE(has_fp8()) << "a Hopper GPU, and a build without FP8 attention";
    for (const bool prope : {false, true}) {
        for (const char* format : {"bf16", "int2", "soft4"}) {
            SCOPED_TRACE(testing::Message() << format << (prope ? ", two branches" : ""));
            CacheSetup one = setup(format, quant::AttentionType::fp8, prope);
            const double off = worst_distance(one, 11, 1);
            EXPECT_TRUE(off < 8e-2) << off;
            CacheSetup wide = one; // so much may become visible that cuDNN is taken where it is there
            wide.shape.window_latents = 1000;
            const double many = worst_distance(wide, 11, 1);
            EXPECT_TRUE(many < 8e-2) << many;
            one.policy.slice_bytes = 1 << 20;
            const double sliced = worst_distance(one, 5, 3);
            EXPECT_TRUE(sliced < 8e-2) << sliced;
        }
    }
}

} // namespace
} // namespace wander::test
