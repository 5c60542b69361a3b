// The 8B transformer's roll-out on the GPU: float32 near the CPU's tolerance, bfloat16 near what the CPU's is.

#include "generator/device.hpp"
#include "tests/support/hunyuan_case.hpp"

#include <c10/core/InferenceMode.h>

namespace wander::testing {
namespace {

// Another order of summation in every product; the reference itself ran on a CPU.
constexpr double kFloatTolerance = 1e-4;
constexpr double kBfloat16Tolerance = 0.05;

class HunyuanGpu : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(HunyuanGpu, TenChunksFromAPicture) {
    const c10::InferenceMode inference;
    const bool wide = GetParam() == at::kFloat;
    const auto device = unwrap(pick_device("cuda", wide ? "fp32" : "bf16", 0));
    for (const auto& folder : golden_folders("hy-rollout")) {
        const GoldenCase golden(folder);
        const HunyuanWalk walk(golden, device.device, GetParam());
        const at::Tensor wanted = frames_first(golden.output("latents"));
        WorldPlayRollout rollout = walk.open();
        rollout.start(walk.cameras.front(), walk.picture);
        // Rounding grows from chunk to chunk in bfloat16.
        const std::int64_t latents = wide ? wanted.size(0) : 3 * kLatentsPerChunk;
        while (rollout.next_latent() < latents) {
            const at::Tensor part = wanted.narrow(0, rollout.next_latent(), kLatentsPerChunk);
            const at::Tensor got = rollout.generate(walk.next(rollout)).to(at::kCPU, at::kFloat);
            // Negated, so that a NaN fails.
            EXPECT_TRUE(((got - part).abs().max() / part.abs().max()).item<double>() <
                        (wide ? kFloatTolerance : kBfloat16Tolerance))
                << rollout.next_latent();
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, HunyuanGpu, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& test) { return test.param == at::kFloat ? "Float" : "Bfloat16"; });

} // namespace
} // namespace wander::testing
