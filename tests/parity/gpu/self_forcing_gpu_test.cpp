// The Self-Forcing roll-out and windows on the GPU: float32 near the CPU's tolerance, bfloat16 near the reference's
// own.

#include "generator/device.hpp"
#include "tests/parity/self_forcing_case.hpp"

#include <c10/core/InferenceMode.h>

namespace wander::testing {
namespace {

// Another order of summation in every product; the reference itself ran on a CPU.
constexpr double kFloatTolerance = 1e-4;
constexpr double kBfloat16Tolerance = 0.03;

class ParityGpu : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(ParityGpu, SelfForcingRollout) {
    const c10::InferenceMode inference;
    const auto device = unwrap(pick_device("cuda", GetParam() == at::kFloat ? "fp32" : "bf16", 0));
    const double tolerance = GetParam() == at::kFloat ? kFloatTolerance : kBfloat16Tolerance;
    for (const auto& folder : golden_folders("sf-rollout")) {
        const GoldenCase golden(folder);
        SelfForcingSetup setup;
        setup.device = device.device;
        setup.compute = GetParam();
        SelfForcingRun run(golden, setup);
        for (int chunk = 0; chunk < golden.config().at("chunks").get<int>(); ++chunk) {
            const at::Tensor latent = run.rollout().generate(run.chunk(golden.config().at("frames_per_chunk")));
            golden.expect("latent/chunk" + std::to_string(chunk), latent, tolerance);
            const RolloutTimes times = run.rollout().last_times();
            EXPECT_GT(times.denoise_ms, 0);
            EXPECT_GT(times.context_ms, 0);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, ParityGpu, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& test) { return test.param == at::kFloat ? "Float" : "Bfloat16"; });

} // namespace
} // namespace wander::testing
