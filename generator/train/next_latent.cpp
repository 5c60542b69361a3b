#include "generator/train/next_latent.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace wander::train {

namespace {
constexpr std::int64_t kWalksAtOnce = 4;
}

NextLatentError next_latent_error(const TrainDit& dit, const TrainingData& data, const std::vector<double>& sigmas,
                                  std::int64_t latents, std::uint64_t seed) {
    const c10::NoGradGuard no_grad;
    const at::Device device = data.latents.device();
    const std::int64_t length = std::min(latents, data.latents.size(1) - 1);
    at::Generator random = at::detail::createCPUGenerator(seed);
    double model = 0;
    double repeat = 0;
    for (std::int64_t begin = 0; begin < data.latents.size(0); begin += kWalksAtOnce) {
        const std::int64_t walks = std::min(kWalksAtOnce, data.latents.size(0) - begin);
        const auto rows = [&](const at::Tensor& all) { return all.narrow(0, begin, walks); };
        Clip clip;
        clip.context = rows(data.latents).narrow(1, 0, 1 + length).to(at::kFloat);
        const at::Tensor truth = clip.context.narrow(1, 1, length);
        const at::Tensor before = clip.context.narrow(1, 0, length);
        clip.noisy = at::randn(truth.sizes(), random, at::TensorOptions(at::kFloat)).to(device);
        clip.labels = rows(data.labels).narrow(1, 0, 1 + length).clone();
        clip.labels.select(1, 0).zero_();
        clip.cameras = rows(data.poses).narrow(1, 0, 1 + length);
        clip.worlds = rows(data.worlds);
        clip.with_pose = at::ones({walks}, clip.context.options());
        for (std::size_t i = 0; i < sigmas.size(); ++i) {
            const double next = i + 1 < sigmas.size() ? sigmas[i + 1] : 0;
            clip.sigma = at::full({walks, length}, sigmas[i], clip.context.options());
            clip.noisy = clip.noisy + dit.velocity(clip) * (next - sigmas[i]);
        }
        const auto share = static_cast<double>(walks) / static_cast<double>(data.latents.size(0));
        model += share * (clip.noisy - truth).pow(2).mean().item<double>();
        repeat += share * (before - truth).pow(2).mean().item<double>();
    }
    return {model, repeat};
}

} // namespace wander::train
