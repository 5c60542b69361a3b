// HunyuanVideo 1.5's decoder on the GPU against the public code's frames: float32, bfloat16 in torch's own operations,
// and the fused path.

#include "generator/device.hpp"
#include "tests/support/hunyuan_vae_case.hpp"

#include <c10/core/InferenceMode.h>

namespace wander::testing {
namespace {

// Another order of summation in every convolution; the reference itself ran on a CPU.
constexpr double kFloatTolerance = 1e-4;
// In torch's own operations 0.0115 was measured on the CPU; the fused head rounds its products once more.
constexpr double kBfloat16Tolerance = 0.03;

class HunyuanVaeGpu : public ::testing::Test {
protected:
    // Of the largest value, the worst of every split of the golden's latents into calls.
    static double worst(at::ScalarType type, bool plain) {
        const c10::InferenceMode inference;
        const auto device = unwrap(pick_device("cuda", type == at::kFloat ? "fp32" : "bf16", 0)).device;
        double worst = 0;
        for (const auto& folder : golden_folders("hy-vae")) {
            const GoldenCase golden(folder);
            DecodeTuning tuning;
            tuning.plain = plain;
            const HunyuanVae vae = hunyuan_vae_of(golden, device, type, tuning);
            CausalDecodeStream stream = vae.decode_stream();
            const at::Tensor want = golden.output("frames").to(at::kDouble);
            for_every_split(golden, stream, [&](const at::Tensor& frames) {
                const at::Tensor got = frames.to(at::kCPU, at::kDouble);
                worst = std::max(worst, ((got - want).abs().max() / want.abs().max()).item<double>());
                if (!got.isfinite().all().item<bool>()) worst = HUGE_VAL;
            });
            EXPECT_EQ(std::ssize(stream.save()), golden.config().at("decoder_convs_with_cache").get<int>());
        }
        return worst;
    }
};

TEST_F(HunyuanVaeGpu, Float32) { EXPECT_LE(worst(at::kFloat, true), kFloatTolerance); }
TEST_F(HunyuanVaeGpu, Bfloat16InPlainOperations) { EXPECT_LE(worst(at::kBFloat16, true), kBfloat16Tolerance); }
TEST_F(HunyuanVaeGpu, Bfloat16Fused) { EXPECT_LE(worst(at::kBFloat16, false), kBfloat16Tolerance); }

} // namespace
} // namespace wander::testing
