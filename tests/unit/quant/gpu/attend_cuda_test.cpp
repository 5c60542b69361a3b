// attend() on an NVIDIA GPU against one dense softmax in double precision, slices smaller than the history included.
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
            GTEST_SKIP() << "no CUDA device";
        }
    }

    static CacheSetup setup(at::ScalarType compute) {
        CacheSetup setup = embedded_setup();
        setup.shape.layers = 2;
        setup.shape.window_latents = 12;
        setup.time_pairs = 11; // not a multiple of the four pairs a thread turns
        setup.compute = compute;
        setup.device = at::Device(at::kCUDA, 0);
        setup.policy.max_scratch_bytes = 2 << 20; // several slices a layer, borders inside pages
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

TEST_F(AttendCuda, PackedPagesEqualTheirDecodedValues) {
    for (const char* format : {"int2", "qvg-int2"}) {
        CacheSetup packed = setup(at::kFloat);
        packed.policy.format = format;
        EXPECT_LT(worst_of_walk(packed, 14, 1), 1e-5) << format;
        packed.compute = at::kBFloat16;
        EXPECT_LT(worst_of_walk(packed, 14, 1), 2e-2) << format;
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
