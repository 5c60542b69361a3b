// Step lists and Euler chains of both HY-WorldPlay models, with the flows that the public code's networks gave.

#include "generator/rollout/worldplay_schedule.hpp"
#include "tests/support/golden.hpp"

#include <fmt/format.h>

namespace wander::testing {
namespace {

// [1, C, T, h, w] -> [T, C, h, w]
at::Tensor frames_first(const at::Tensor& clip) { return clip[0].transpose(0, 1).contiguous(); }

// x through all steps of the chunk at `first` with the case's flows.
at::Tensor chain(const GoldenCase& golden, const WorldPlaySchedule& schedule, int first, at::Tensor x, int fixed) {
    for (std::size_t step = 0; step < schedule.sampler.timesteps.size(); ++step) {
        const at::Tensor flow = frames_first(golden.output(fmt::format("flow.{}.{}", first, step)));
        x = euler_step(schedule.sampler, step, x, flow, fixed);
    }
    return x.transpose(0, 1).unsqueeze(0).contiguous();
}

TEST(ParityWorldPlaySchedule, ChainOfWan5B) {
    for (const auto& folder : golden_folders("wan5b-rollout")) {
        const GoldenCase golden(folder);
        const auto& config = golden.config();
        const WorldPlaySchedule schedule = WorldPlaySchedule::wan_5b();
        auto timesteps = schedule.sampler.timesteps;
        timesteps.push_back(0);
        EXPECT_EQ(timesteps, config.at("timesteps").get<std::vector<double>>());
        EXPECT_EQ(schedule.sampler.context_timestep, config.at("t_context").get<double>());
        EXPECT_EQ(kLatentsPerChunk, config.at("chunk").get<int>());

        const auto vector = [](const nlohmann::json& values) {
            return at::tensor(values.get<std::vector<double>>(), at::kDouble).view({1, -1, 1, 1});
        };
        const at::Tensor noise = frames_first(golden.tensor("noise"));
        const at::Tensor image = frames_first(golden.tensor("image_sample"));
        const at::Tensor start =
            ((image - vector(config.at("latents_mean"))) / vector(config.at("latents_std"))).to(at::kFloat);
        const WorldPlayChunk chunk = plan_chunk(schedule, 0, 0, true);
        EXPECT_EQ(chunk.fixed, 1);
        EXPECT_EQ(chunk.steered, 3);
        EXPECT_EQ(chunk.timesteps(schedule.sampler, 1), (std::vector<double>{14, 960, 960, 960}));
        golden.expect("x.0", chain(golden, schedule, 0, at::cat({start, noise.narrow(0, 1, 3)}), chunk.fixed));

        const int last = config.at("latents").get<int>() - kLatentsPerChunk;
        const auto context = golden.output(fmt::format("selected.{}", last)).numel();
        const WorldPlayChunk later = plan_chunk(schedule, last, static_cast<std::size_t>(context), true);
        EXPECT_EQ(later.fixed, 0);
        EXPECT_EQ(later.steered, 4);
        EXPECT_EQ(later.positions.chunk.front(), static_cast<float>(context));
        EXPECT_EQ(later.timesteps(schedule.sampler, 3), std::vector<double>(4, 727.2728));
        golden.expect(fmt::format("x.{}", last),
                      chain(golden, schedule, last, noise.narrow(0, last, kLatentsPerChunk), later.fixed));
    }
}

TEST(ParityWorldPlaySchedule, ChainOfThe8B) {
    for (const auto& folder : golden_folders("hy-transformer")) {
        const GoldenCase golden(folder);
        const WorldPlaySchedule schedule = WorldPlaySchedule::worldplay_8b();
        const SamplerConfig& sampler = schedule.sampler;
        const at::Tensor sigmas = golden.output("sigmas"), timesteps = golden.output("timesteps");
        ASSERT_EQ(std::ssize(sampler.timesteps), timesteps.numel());
        for (std::size_t i = 0; i < sampler.timesteps.size(); ++i) {
            const auto index = static_cast<std::int64_t>(i);
            EXPECT_EQ(static_cast<float>(sampler.sigmas[i]), sigmas[index].item<float>());
            EXPECT_EQ(static_cast<float>(sampler.timesteps[i]), timesteps[index].item<float>());
        }
        EXPECT_EQ(sampler.context_timestep, golden.config().at("context_timestep").get<double>());
        const WorldPlayChunk chunk = plan_chunk(schedule, 0, 0, true);
        EXPECT_EQ(chunk.fixed, 0) << "the picture steers, latent 0 is denoised";
        EXPECT_EQ(chunk.steered, 3);
        const at::Tensor x = golden.output("x"), velocity = golden.output("velocity");
        at::Tensor now = x[0].transpose(0, 1);
        for (std::size_t step = 0; step < sampler.timesteps.size(); ++step) {
            const auto index = static_cast<std::int64_t>(step);
            now = euler_step(sampler, step, now, velocity[index].transpose(0, 1), 0);
            const at::Tensor want = x[index + 1].transpose(0, 1);
            EXPECT_LE((now - want).abs().max().item<double>(), golden.tolerance() * want.abs().max().item<double>());
        }
    }
}

} // namespace
} // namespace wander::testing
