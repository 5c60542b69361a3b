#include "generator/train/decoder_phase.hpp"

#include "generator/train/random.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cassert>

namespace wander::train {

DecoderPhase::DecoderPhase(TrainVae& vae, FramePool pool, at::Tensor truth, at::Tensor own,
                           const DecoderPhaseConfig& config, std::uint64_t seed)
    : vae_(vae),
      pool_(std::move(pool)),
      truth_(std::move(truth)),
      own_(std::move(own)),
      config_(config),
      random_(make_generator(vae.device(), seed)),
      choice_(make_generator(at::kCPU, seed + 1)),
      discriminator_(config.discriminator, vae.device(), vae.compute(), seed + 2) {
    assert(config_.middle_latents % 2 == 0);
    assert(truth_.size(0) == pool_.walks() && truth_.size(1) == pool_.latents());
}

at::Tensor DecoderPhase::loss(double progress) {
    const auto whole = at::TensorOptions(vae_.device()).dtype(at::kLong);
    const std::int64_t length = pool_.latents(), clips = config_.clips;
    const at::Tensor choice = at::rand({2}, choice_);
    const bool first =
        length <= config_.middle_latents || choice[0].item<float>() < static_cast<float>(config_.first_share);
    const bool own = own_.defined() && choice[1].item<float>() < static_cast<float>(config_.own_share);

    const std::int64_t latents = first ? std::min<std::int64_t>(config_.first_latents, length) : config_.middle_latents;
    const at::Tensor walk = at::randint(pool_.walks(), {clips, 1}, random_, whole);
    const at::Tensor start =
        first ? at::zeros({clips, 1}, whole) : at::randint(1, length - latents + 1, {clips, 1}, random_, whole);
    // Latent k > 0 is frames 4k - 3 to 4k, latent 0 frame 0.
    const std::int64_t frames = first ? 1 + 4 * (latents - 1) : 2 * latents;
    const at::Tensor frame_start = first ? start : (start + latents / 2) * 4 - 3;
    const at::Tensor frame = walk * pool_.frames.size(1) + frame_start + at::arange(frames, whole);
    const at::Tensor truth =
        unit_frames(pool_.frames.flatten(0, 1).index_select(0, frame.flatten())).unflatten(0, {clips, frames});
    const at::Tensor row = walk * length + start + at::arange(latents, whole);
    const at::Tensor z = (own ? own_ : truth_).flatten(0, 1).index_select(0, row.flatten()).to(at::kFloat);
    const at::Tensor one = at::ones({}, z.options());
    const at::Tensor made =
        vae_.decode(noisy_latents(z.unflatten(0, {clips, latents}), one, config_.latent_noise, random_), first);
    const at::Tensor shown = made.narrow(1, made.size(1) - frames, frames);

    const PictureLoss pictures = picture_loss(shown, truth);
    psnr_ = psnr_of_square(pictures.square);
    at::Tensor loss =
        pictures.absolute + config_.gradient_weight * pictures.gradient + config_.square_weight * pictures.square;
    if (progress >= config_.discriminator_from && config_.discriminator_from < 1) loss = loss + judged(shown, truth);
    return loss;
}

at::Tensor DecoderPhase::judged(const at::Tensor& made, const at::Tensor& truth) {
    // A few frames of each clip, the same of both.
    const std::int64_t clips = made.size(0), frames = made.size(1);
    const auto whole = at::TensorOptions(made.device()).dtype(at::kLong);
    const at::Tensor pick = (at::randint(frames, {clips, config_.discriminator_frames}, random_, whole) +
                             at::arange(clips, whole).unsqueeze(1) * frames)
                                .flatten();
    const at::Tensor fake = made.flatten(0, 1).index_select(0, pick);
    const at::Tensor real = truth.flatten(0, 1).index_select(0, pick);
    discriminator_.step(fake, real, average_);

    const auto of_fake = discriminator_.judge(fake, false);
    std::vector<at::Tensor> of_real;
    {
        const at::NoGradGuard no_gradients;
        of_real = discriminator_.judge(real, false).features;
    }
    at::Tensor distance = at::zeros({}, of_fake.score.options());
    for (std::size_t i = 0; i < of_real.size(); ++i) {
        const at::Tensor wanted = of_real[i].to(distance.scalar_type());
        distance = distance + (of_fake.features[i].to(distance.scalar_type()) - wanted).abs().mean() /
                                  (wanted.abs().mean() + 1e-3);
    }
    distance = distance / static_cast<double>(of_real.size());
    return config_.feature_weight * distance - config_.verdict_weight * of_fake.score.mean();
}

std::map<std::string, at::Tensor> DecoderPhase::state() const {
    return {{"decoder_phase/random", random_.get_state()}, {"decoder_phase/choice", choice_.get_state()}};
}

Result<void> DecoderPhase::restore(const std::map<std::string, at::Tensor>& state) {
    const auto random = state.find("decoder_phase/random");
    const auto choice = state.find("decoder_phase/choice");
    if (random == state.end() || choice == state.end())
        return Error{ErrorCode::bad_input, "the checkpoint lacks decoder_phase/random or decoder_phase/choice"};
    random_.set_state(random->second);
    choice_.set_state(choice->second);
    return {};
}

} // namespace wander::train
