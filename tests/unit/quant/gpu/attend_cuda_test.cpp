// attend() on an NVIDIA GPU against one dense softmax in double precision, slices smaller than the history included.
#include "quant/format.hpp"
#include "tests/support/cuda_runtime.hpp"
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace wander::test {
namespace {

class AttendCuda : public testing::Test {
protected:
    void SetUp() override {
        if (!open_cuda()) {
            FAIL() << "no CUDA device";
        }
    }

    static CacheSetup setup(at::ScalarType compute) {
        CacheSetup setup = embedded_setup();
        setup.shape.layers = 2;
        setup.shape.window_latents = 12;
        setup.time_pairs = 11; // not a multiple of the four pairs a thread turns
        setup.compute = compute;
        setup.device = at::Device(at::kCUDA, 0);
        setup.policy.slice_bytes = 2 << 20; // several slices a layer, borders inside pages
        return setup;
    }
};

TEST_F(AttendCuda, FloatEqualsDenseSoftmax) {
    EXPECT_LT(worst_of_walk(setup(at::kFloat), 18, 1), 1e-5);
    EXPECT_LT(worst_of_walk(setup(at::kFloat), 6, 3), 1e-5);
}

TEST_F(AttendCuda, Bfloat16StaysNearDenseSoftmax) { EXPECT_LT(worst_of_walk(setup(at::kBFloat16), 18, 1), 2e-2); }

TEST_F(AttendCuda, WithoutProjectiveBranch) {
    CacheSetup plain = setup(at::kFloat);
    plain.prope = false;
    EXPECT_LT(worst_of_walk(plain, 8, 2), 1e-5);
}

TEST_F(AttendCuda, TextInFrontIsNeverTurned) {
    for (const int tokens : {3, 50, 300}) {
        CacheSetup text = setup(at::kFloat);
        text.text_tokens = tokens;
        EXPECT_LT(worst_of_walk(text, 8, 2), 1e-5) << tokens;
        text.policy.format = "int2";
        EXPECT_LT(worst_of_walk(text, 8, 2), 1e-5) << tokens;
        text.prope = false;
        EXPECT_LT(worst_of_walk(text, 8, 2), 1e-5) << tokens;
        text.compute = at::kBFloat16;
        EXPECT_LT(worst_of_walk(text, 8, 2), 2e-2) << tokens;
        text.prope = true;
        EXPECT_LT(worst_of_walk(text, 8, 2), 2e-2) << tokens;
    }
}

TEST_F(AttendCuda, ReadsTheChosenHistoryAlone) {
    for (const char* format : {"bf16", "int2"}) {
        CacheSetup chosen = setup(at::kFloat);
        chosen.shape.window_latents = 0;
        chosen.text_tokens = 20;
        chosen.policy.format = format;
        EXPECT_LT(error_of_chosen(chosen, 8, {0, 1, 4, 5, 6, 7, 10, 13, 14, 15}), 1e-5) << format;
    }
}

TEST_F(AttendCuda, PackedPagesEqualTheirDecodedValues) {
    for (const char* format : {"int2", "qvg-int2"}) {
        CacheSetup packed = setup(at::kFloat);
        packed.policy.format = format;
        EXPECT_LT(worst_of_walk(packed, 14, 1), 1e-5) << format;
        packed.compute = at::kBFloat16;
        EXPECT_LT(worst_of_walk(packed, 14, 1), 2e-2) << format;
    }
}

TEST_F(AttendCuda, HeadsInPartsGiveTheSame) {
    for (const int together : {1, 2, 5}) {
        CacheSetup parts = setup(at::kFloat);
        parts.policy.heads_together = together;
        EXPECT_LT(worst_of_walk(parts, 14, 1), 1e-5) << together;
    }
}

// Every format, the logit correction included, against the CPU's walk over the same chunks.
TEST_F(AttendCuda, EveryFormatReadsAsOnTheCpu) {
    for (const quant::PageFormat* format : quant::FormatRegistry::instance().formats()) {
        for (const bool corrected : {false, true}) {
            CacheSetup on_device = setup(at::kFloat);
            on_device.policy.format = format->name();
            on_device.policy.bias_correction = corrected;
            CacheSetup on_host = on_device;
            on_host.device = at::kCPU;
            auto device = quant::KvCache::create(on_device.shape, on_device.policy, on_device.device, at::kFloat);
            auto host = quant::KvCache::create(on_host.shape, on_host.policy, on_host.device, at::kFloat);
            ASSERT_TRUE(device && host) << format->name();
            for (int n = 0; n < 12; ++n) {
                const auto history = (*host)->visible_history(n);
                const quant::ReadView view = random_view(on_host, history, n, 1, static_cast<std::uint64_t>(n + 1));
                (*device)->begin_chunk(view);
                (*host)->begin_chunk(view);
                for (int layer = 0; layer < on_host.shape.layers; ++layer) {
                    const std::uint64_t base = static_cast<std::uint64_t>(n * 100 + layer * 10);
                    const at::Tensor q = random_rows(on_host, 1, base);
                    const at::Tensor k = random_rows(on_host, 1, base + 1);
                    const at::Tensor v = random_rows(on_host, 1, base + 2);
                    const at::Tensor expected = (*host)->attend(layer, q, k, v);
                    const at::Tensor got = (*device)->attend(layer, q.cuda(), k.cuda(), v.cuda());
                    // Ties of a page encoder may fall differently; a tie moves one value by one step.
                    EXPECT_LT(relative_error(got, expected), 5e-3) << format->name() << " chunk " << n;
                    (*device)->write(layer, k.cuda(), v.cuda());
                    (*host)->write(layer, k, v);
                }
                (*device)->commit();
                (*host)->commit();
            }
            EXPECT_EQ((*device)->ledger().bytes(), (*host)->ledger().bytes()) << format->name();
        }
    }
}

TEST_F(AttendCuda, PagesAreThoseOfTheCpu) {
    // Uncompressed pages hold the bits that were written; packed ones may differ from the CPU's in rare ties only.
    CacheSetup on_device = setup(at::kFloat);
    on_device.policy.format = "int2";
    CacheSetup on_host = on_device;
    on_host.device = at::kCPU;
    const auto device = make_cache(on_device);
    const auto host = make_cache(on_host);
    for (int n = 0; n < 10; ++n) {
        step_and_compare(*device, on_device, n, 1, static_cast<std::uint64_t>(n + 1));
        step_and_compare(*host, on_host, n, 1, static_cast<std::uint64_t>(n + 1));
    }
    EXPECT_TRUE(device->read_keys(0, 9, 1).cpu().equal(host->read_keys(0, 9, 1)));
    EXPECT_EQ(device->ledger().bytes(), host->ledger().bytes());
    const at::Tensor packed_device = device->read_values(1, 1, 4).cpu();
    const at::Tensor packed_host = host->read_values(1, 1, 4);
    const double differing = packed_device.ne(packed_host).to(at::kFloat).mean().item<double>();
    EXPECT_LT(differing, 0.01);
}

TEST_F(AttendCuda, ToggledWalkStaysExact) {
    CacheSetup toggled = setup(at::kFloat);
    const auto cache = make_cache(toggled);
    const char* formats[] = {"int2", "bf16", "qvg-int2"};
    for (int n = 0; n < 24; ++n) {
        if (n % 4 == 3) {
            ASSERT_TRUE(cache->set_format(formats[n / 4 % 3]));
        }
        EXPECT_LT(step_and_compare(*cache, toggled, n, 1, static_cast<std::uint64_t>(n + 1)), 1e-5);
    }
}

} // namespace
} // namespace wander::test
