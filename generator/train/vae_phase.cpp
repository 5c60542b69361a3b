#include "generator/train/vae_phase.hpp"

#include "generator/train/random.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cassert>

namespace wander::train {

namespace {

constexpr double kLeastLogVariance = -12;
constexpr double kMostLogVariance = 4;
constexpr std::int64_t kMeasuredWalks = 64;

} // namespace

PictureLoss picture_loss(const at::Tensor& made, const at::Tensor& truth) {
    const at::Tensor d = made - truth;
    const auto steps = [&](std::int64_t axis) {
        const std::int64_t last = d.size(axis) - 1;
        return (d.narrow(axis, 1, last) - d.narrow(axis, 0, last)).abs().mean();
    };
    const std::int64_t rows = d.dim() - 3, columns = d.dim() - 2;
    return {d.abs().mean(), steps(rows) + steps(columns), d.square().mean()};
}

at::Tensor psnr_of_square(const at::Tensor& square) {
    // Pictures in [-1, 1] have four times the square error of those in [0, 1].
    return at::log10(square.detach().to(at::kFloat) / 4).mul_(-10);
}

at::Tensor noisy_latents(const at::Tensor& latents, const at::Tensor& deviation, double share, at::Generator& random) {
    const std::int64_t clips = latents.size(0);
    const auto draw = [&] { return at::rand({clips, 1, 1, 1, 1}, random, latents.options()); };
    const at::Tensor amount = draw() * 2 * share;
    const at::Tensor chosen = draw() < 0.5;
    return latents + at::randn(latents.sizes(), random, latents.options()) * deviation * (amount * chosen);
}

VaePhase::VaePhase(TrainVae& vae, FramePool pool, const VaePhaseConfig& config, std::uint64_t seed)
    : vae_(vae), pool_(std::move(pool)), config_(config), random_(make_generator(vae.device(), seed)) {
    assert(config_.frames % 4 == 1 && pool_.frames.size(1) >= config_.frames);
}

at::Tensor VaePhase::loss(double /*progress*/) {
    const auto whole = at::TensorOptions(vae_.device()).dtype(at::kLong);
    const std::int64_t length = pool_.frames.size(1);
    const at::Tensor walk = at::randint(pool_.walks(), {config_.clips, 1}, random_, whole);
    const at::Tensor start = at::randint(length - config_.frames + 1, {config_.clips, 1}, random_, whole);
    const at::Tensor frame = walk * length + start + at::arange(config_.frames, whole);
    const at::Tensor truth = unit_frames(pool_.frames.flatten(0, 1).index_select(0, frame.flatten()))
                                 .unflatten(0, {config_.clips, config_.frames});

    const VaeMoments5 moments = vae_.moments(truth);
    const at::Tensor mean = moments.mean;
    const at::Tensor log_variance = moments.log_variance.clamp(kLeastLogVariance, kMostLogVariance);
    const at::Tensor deviation = mean.detach().transpose(0, 2).flatten(1).std(1).add(1e-3).view({-1, 1, 1});
    const at::Tensor drawn = mean + (0.5 * log_variance).exp() * at::randn(mean.sizes(), random_, mean.options());
    const at::Tensor made = vae_.decode_unnormalised(noisy_latents(drawn, deviation, config_.latent_noise, random_));

    const PictureLoss pictures = picture_loss(made, truth);
    const at::Tensor kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean();
    psnr_ = psnr_of_square(pictures.square);
    return pictures.absolute + config_.gradient_weight * pictures.gradient + config_.square_weight * pictures.square +
           config_.kl_weight * kl;
}

void VaePhase::measure_latent_scale() {
    const at::NoGradGuard no_gradients;
    const std::int64_t step = std::max<std::int64_t>(1, pool_.walks() / kMeasuredWalks);
    at::Tensor sum = at::zeros({vae_.config().z}, at::TensorOptions(vae_.device()).dtype(at::kDouble));
    at::Tensor squares = at::zeros_like(sum);
    double count = 0;
    for (std::int64_t walk = 0; walk < pool_.walks(); walk += step) {
        const at::Tensor means = vae_.moments(pool_.frames.narrow(0, walk, 1)).mean;
        const at::Tensor rows =
            means.narrow(1, 1, means.size(1) - 1).to(at::kDouble).transpose(0, 2).flatten(1); // [z, ...]
        sum += rows.sum(1);
        squares += rows.square().sum(1);
        count += static_cast<double>(rows.size(1));
    }
    const at::Tensor mean = (sum / count).cpu().contiguous();
    const at::Tensor deviation = (squares.cpu() / count - mean.square()).clamp_min(1e-12).sqrt();
    const auto list = [](const at::Tensor& t) {
        return std::vector<double>(t.const_data_ptr<double>(), t.const_data_ptr<double>() + t.numel());
    };
    vae_.set_latent_scale(list(mean), list(deviation));
}

std::map<std::string, at::Tensor> VaePhase::state() const { return {{"vae_phase/random", random_.get_state()}}; }

Result<void> VaePhase::restore(const std::map<std::string, at::Tensor>& state) {
    const auto random = state.find("vae_phase/random");
    if (random == state.end()) return Error{ErrorCode::bad_input, "the checkpoint lacks vae_phase/random"};
    random_.set_state(random->second);
    return {};
}

} // namespace wander::train
