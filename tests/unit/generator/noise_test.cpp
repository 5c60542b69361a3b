#include "generator/rollout/noise.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace wander {
namespace {

TEST(Noise, HashesHaveTheirPublishedValues) {
    EXPECT_EQ(fnv1a64(""), 0xcbf29ce484222325ULL);
    EXPECT_EQ(fnv1a64("a"), 0xaf63dc4c8601ec8cULL);
    EXPECT_EQ(splitmix64(0), 0xe220a8397b1dcdafULL);
}

// The values of the reference's check vector (name "check", seed 7).
TEST(Noise, GaussianFollowsTheFormula) {
    const float expected[] = {0.8719559907913208f,  -0.4426748752593994f, -0.29707393050193787f,
                              -0.6305893063545227f, 0.47963863611221313f, 0.6448934078216553f};
    const at::Tensor values = gaussian_tensor(fnv1a64("check") ^ 7, {6});
    for (int i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(values[i].item<float>(), expected[i]);
}

TEST(Noise, IsStandardNormal) {
    const at::Tensor values = keyed_noise(5)(3, 1, {400, 500}).to(at::kDouble);
    EXPECT_NEAR(values.mean().item<double>(), 0, 0.01);
    EXPECT_NEAR(values.std().item<double>(), 1, 0.01);
    EXPECT_NEAR(values.pow(4).mean().item<double>(), 3, 0.1);
}

TEST(Noise, EveryPartOfTheKeyMatters) {
    const std::vector<std::int64_t> shape = {16, 14, 24};
    const at::Tensor base = keyed_noise(1)(2, 3, shape);
    EXPECT_TRUE(at::equal(base, keyed_noise(1)(2, 3, shape)));
    for (const at::Tensor& other :
         {keyed_noise(2)(2, 3, shape), keyed_noise(1)(3, 3, shape), keyed_noise(1)(2, 2, shape)}) {
        const double correlation = (base * other).mean().item<double>();
        EXPECT_LT(std::abs(correlation), 0.06);
    }
}

} // namespace
} // namespace wander
