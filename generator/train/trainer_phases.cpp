// The phases of a training: what each learns from, and with which optimiser.

#include "generator/plain/hash.hpp"
#include "generator/train/decoder_phase.hpp"
#include "generator/train/dit_phase.hpp"
#include "generator/train/stop_request.hpp"
#include "generator/train/trainer_run.hpp"
#include "generator/train/vae_phase.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace wander::train {

namespace {

constexpr double kSecondsPerMinute = 60;
// Of the time, for what is done between the phases and at the end: walks for the decoder, looks, files.
constexpr double kEndShare = 0.05;
constexpr int kClipsPerOwnWalk = 8; // 1,024 clips of 128 walks
constexpr int kMostPoolWalks = 48;  // a theme and process, with pictures: 2.2 GB for three of 60 latents
constexpr int kMostPoolLatents = 60;
constexpr int kHeldOutWalks = 2; // a theme
constexpr std::uint64_t kHeldOutSeed = 0x9e1d0u;

OptimizerConfig vae_rates() {
    OptimizerConfig config;
    config.matrix_rate = 0.01;
    config.matrix_decay = 0.01;
    config.rate = 2e-3;
    config.decay = 1e-4;
    return config;
}

// What a phase ends with whose walks could not be made: no error where that was asked for.
Result<bool> drawing_ended(const Error& error) {
    if (error.code == ErrorCode::unavailable && stop_requested()) return false;
    return error;
}

} // namespace

DataSizes TrainRun::data_sizes() const {
    DataSizes sizes;
    sizes.format.width = base_->world.width;
    sizes.format.height = base_->world.height;
    sizes.threads = device_.threads;
    return sizes;
}

DataProgress TrainRun::data_progress(const char* doing) const {
    return [this, doing, began = session_seconds()](std::int64_t done, std::int64_t all) {
        TrainReport told;
        told.doing = doing;
        told.share = static_cast<double>(done) / static_cast<double>(std::max<std::int64_t>(1, all));
        if (done > 0) told.seconds_left = (session_seconds() - began) * (1 / told.share - 1);
        report(told);
        // Several processes stop together at their first step: one that left the others here would keep them waiting.
        return group_.size() > 1 || !stop_requested();
    };
}

Result<void> TrainRun::make_plan() {
    if (state_.plan) return {};
    PhasePlan plan;
    double left = options_.minutes * kSecondsPerMinute * (1 - kEndShare) - run_seconds();
    auto theirs = group_.broadcast(std::vector<double>{left});
    if (!theirs) return theirs.error();
    left = theirs->front();
    if (options_.steps == 0 && left <= 0)
        return Error{ErrorCode::wrong_use,
                     fmt::format("--minutes {}: drawing the walks alone took {:.1f}; give it more, or fewer --walks",
                                 options_.minutes, run_seconds() / kSecondsPerMinute)};
    left = std::max(0.0, left);
    if (options_.new_vae) plan.vae = left * options_.vae_share;
    plan.decoder = left * options_.decoder_share;
    plan.dit = left - plan.vae - plan.decoder;
    state_.plan = plan;
    if (options_.steps > 0) {
        say(fmt::format("plan: {} steps of the transformer, {} of the decoder", options_.steps,
                        options_.decoder_steps));
    } else {
        say(fmt::format("plan: {}transformer {:.1f} min, decoder {:.1f} min, of {:.1f} min in all",
                        plan.vae > 0 ? fmt::format("autoencoder {:.1f} min, ", plan.vae / kSecondsPerMinute) : "",
                        plan.dit / kSecondsPerMinute, plan.decoder / kSecondsPerMinute, options_.minutes));
    }
    return {};
}

Result<FramePool> TrainRun::make_pool() const {
    WalkPlan walks;
    walks.walks_per_theme = std::min(options_.walks, kMostPoolWalks); // of every process: what a GPU holds counts
    walks.latents = std::min(options_.walk_latents, kMostPoolLatents);
    walks.seed = seed_for("pictures");
    return make_frame_pool(themes_, walks, data_sizes(), device_.device, data_progress("drawing pictures"));
}

Result<Parameters> TrainRun::make_live_vae() const {
    if (!in_phase()) return vae_.deep_copy();
    return Parameters::load(vae_config_.tensor_shapes(true, true), resumed_->source("vae_live"), device_.device,
                            "autoencoder");
}

Result<bool> TrainRun::train_vae() {
    auto pool = make_pool();
    if (!pool) return drawing_ended(pool.error());
    if (auto planned = make_plan(); !planned) return planned.error();
    auto made_live = make_live_vae();
    if (!made_live) return made_live.error();
    Parameters& live = *made_live;
    live.require_gradients(true);
    vae_live_ = &live;
    TrainVae vae(vae_config_, live, device_.compute);
    VaePhase phase(vae, *pool, {}, seed_for(fmt::format("autoencoder/{}", state_.step)));
    Optimizer optimizer(named(live), vae_weight_kind, vae_rates());
    if (in_phase()) {
        if (auto loaded = optimizer.load_state(resumed_->group("optimiser")); !loaded) return loaded.error();
        if (first()) {
            if (auto restored = phase.restore(resumed_->group("generators")); !restored) return restored.error();
        }
    }
    resumed_.reset();
    Ema ema(named(vae_), named(live), 0.998);
    Phase loop;
    loop.loss = [&](double progress) { return phase.loss(progress); };
    loop.weights = named(live);
    loop.optimizer = &optimizer;
    loop.ema = &ema;
    loop.seconds = state_.plan->vae;
    loop.steps = options_.steps > 0 ? std::max<std::int64_t>(1, options_.vae_steps) : 0;
    loop.generators = [&] { return phase.state(); };
    loop.details = [&](nlohmann::json& line) { line["psnr"] = phase.psnr().item<double>(); };
    auto done = run_phase(loop);
    vae_live_ = nullptr;
    if (!done || !*done) return done;
    // The scale of the latents follows from the weights as they are exported.
    TrainVae exported(vae_config_, vae_, device_.compute);
    VaePhase measured(exported, *pool, {}, 0);
    measured.measure_latent_scale();
    vae_config_ = exported.config();
    auto shared = group_.broadcast(vae_config_.latent_mean);
    if (!shared) return shared.error();
    vae_config_.latent_mean = *shared;
    shared = group_.broadcast(vae_config_.latent_std);
    if (!shared) return shared.error();
    vae_config_.latent_std = *shared;
    return true;
}

Result<bool> TrainRun::train_dit() {
    TrainVae vae(vae_config_, vae_, device_.compute);
    WalkPlan walks;
    walks.walks_per_theme = std::max(1, options_.walks / group_.size());
    walks.latents = options_.walk_latents;
    // The same walks in every session of a run, others in every process.
    walks.seed = fnv1a64(fmt::format("{}/{}/walks", options_.seed, group_.rank()));
    const double began = session_seconds();
    auto data = make_training_data(themes_, vae, walks, data_sizes(), data_progress("drawing walks"));
    if (!data) return drawing_ended(data.error());
    say(fmt::format("{} walks of {} latents drawn and encoded in {:.1f} s", data->latents.size(0) * group_.size(),
                    walks.latents, session_seconds() - began));
    if (first()) {
        WalkPlan held_out;
        held_out.walks_per_theme = kHeldOutWalks;
        held_out.latents = options_.clip_latents;
        held_out.seed = kHeldOutSeed;
        auto few = make_training_data(themes_, vae, held_out, data_sizes());
        if (!few) return few.error();
        held_out_ = std::move(*few);
    }
    if (auto planned = make_plan(); !planned) return planned.error();

    dit_.require_gradients(true);
    TrainDit network(dit_config_, geometry_, dit_, device_.compute);
    DitPhaseConfig config;
    config.batch = options_.batch;
    config.latents = options_.clip_latents;
    config.own_share = options_.own_share;
    config.own.walks = options_.own_walks;
    config.own.clips = options_.own_walks * kClipsPerOwnWalk;
    config.own.clip_latents = options_.clip_latents;
    config.own.lengths = {options_.clip_latents, options_.walk_latents};
    for (const int longer : {2 * options_.clip_latents, 4 * options_.clip_latents}) {
        if (longer < options_.walk_latents) config.own.lengths.push_back(longer);
    }
    config.own.walk.window = base_->world.window_latents;
    config.own.walk.sigmas = base_->world.sampler.sigmas;
    config.sigmas = base_->world.sampler.sigmas;
    config.context_noise *= options_.context_errors;
    config.low_frequency *= options_.context_errors;
    // A new network has nothing of its own to learn from at first.
    if (!base_->dit) config.own_from = 0.36;
    DitPhase phase(network, dit_mean_, *data, config, seed_for("transformer"));
    Optimizer optimizer(named(dit_), dit_weight_kind);
    if (in_phase()) {
        if (auto loaded = optimizer.load_state(resumed_->group("optimiser")); !loaded) return loaded.error();
        if (first()) {
            if (auto restored = phase.restore(resumed_->group("generators")); !restored) return restored.error();
        }
    }
    resumed_.reset();
    Ema ema(named(dit_mean_), named(dit_));
    Phase loop;
    loop.loss = [&](double progress) { return phase.loss(progress); };
    loop.weights = named(dit_);
    loop.optimizer = &optimizer;
    loop.ema = &ema;
    loop.seconds = state_.plan->dit;
    loop.steps = options_.steps;
    loop.schedule = {*options_.rate, options_.end_rate, options_.fall_from, options_.warm_up};
    loop.generators = [&] { return phase.state(); };
    loop.details = [&](nlohmann::json& line) {
        line["own_clips"] = phase.own_clips();
        line["own_seconds"] = phase.refresh_seconds();
    };
    auto done = run_phase(loop);
    dit_.clear_gradients();
    dit_.require_gradients(false);
    return done;
}

Result<bool> TrainRun::train_decoder() {
    if (options_.steps > 0 ? options_.decoder_steps == 0 : options_.decoder_share <= 0) return true;
    const double began = session_seconds();
    auto pool = make_pool();
    if (!pool) return drawing_ended(pool.error());
    if (auto planned = make_plan(); !planned) return planned.error();
    auto made_live = make_live_vae();
    if (!made_live) return made_live.error();
    Parameters& live = *made_live;
    TrainVae vae(vae_config_, live, device_.compute);
    const TrainingData along = encode_pool(*pool, vae);
    auto own = make_own_latents(along);
    if (!own) return own.error();
    say(fmt::format("{} walks of {} latents drawn, encoded and walked by the transformer in {:.1f} s",
                    along.latents.size(0) * group_.size(), along.latents.size(1) - 1, session_seconds() - began));

    NamedTensors weights;
    NamedTensors mean;
    for (const auto& [name, tensor] : live.tensors()) {
        if (!DecoderPhase::trains(name)) continue;
        tensor.requires_grad_(true);
        weights.emplace_back(name, tensor);
        mean.emplace_back(name, vae_.at(name));
    }
    vae_live_ = &live;
    DecoderPhaseConfig config;
    const int longest = static_cast<int>(along.latents.size(1)) - 1;
    config.first_latents = std::min(config.first_latents, longest);
    config.middle_latents = std::min(config.middle_latents, longest);
    if (!device_.is_cuda()) config.clips = options_.batch;
    config.feature_weight *= options_.decoder_sharpness;
    config.verdict_weight *= options_.decoder_sharpness;
    DecoderPhase phase(vae, *pool, along.latents, *own, config, seed_for(fmt::format("decoder/{}", state_.step)));
    phase.average_gradients([&](std::vector<at::Tensor>& leaves) {
        NamedTensors list;
        for (const at::Tensor& leaf : leaves) list.emplace_back("", leaf);
        const auto averaged = group_.average_gradients(list);
        TORCH_CHECK(averaged, averaged ? "" : averaged.error().message);
    });
    Optimizer optimizer(weights, vae_weight_kind, vae_rates());
    if (in_phase()) {
        if (auto loaded = optimizer.load_state(resumed_->group("optimiser")); !loaded) return loaded.error();
        if (!phase.discriminator().load_state(resumed_->group("discriminator")))
            return Error{ErrorCode::bad_input, "the checkpoint's discriminator is another one"};
        if (first()) {
            if (auto restored = phase.restore(resumed_->group("generators")); !restored) return restored.error();
        }
    }
    resumed_.reset();
    Ema ema(mean, weights, 0.998);
    Phase loop;
    loop.loss = [&](double progress) { return phase.loss(progress); };
    loop.weights = weights;
    loop.optimizer = &optimizer;
    loop.ema = &ema;
    loop.seconds = state_.plan->decoder;
    loop.steps = options_.steps > 0 ? options_.decoder_steps : 0;
    loop.schedule = {options_.new_vae ? kLevelOfNew : kLevelOfOld, 0, 0.4, 50};
    loop.generators = [&] { return phase.state(); };
    loop.discriminator = [&] { return phase.discriminator().state(); };
    loop.details = [&](nlohmann::json& line) { line["psnr"] = phase.psnr().item<double>(); };
    auto done = run_phase(loop);
    vae_live_ = nullptr;
    return done;
}

} // namespace wander::train
