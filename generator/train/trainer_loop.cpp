// The loop of one phase: steps, the clock, what is noted and written on the way.

#include "generator/errors.hpp"
#include "generator/train/batched_walk.hpp"
#include "generator/train/random.hpp"
#include "generator/train/stop_request.hpp"
#include "generator/train/trainer_run.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>

namespace wander::train {

namespace {

constexpr double kSecondsPerMinute = 60;

// What an error of memory says here: no cache or model can be made smaller, but a batch.
Error of_training(Error error) {
    if (error.code == ErrorCode::out_of_memory)
        error.message =
            "too little memory for this training: use a smaller --batch, fewer --own-walks or fewer --walks";
    return error;
}

} // namespace

Result<bool> TrainRun::run_phase(Phase& phase) {
    phase_ = &phase;
    phase_begun_ = session_seconds();
    noted_seconds_ = phase_begun_;
    loss_sum_.reset();
    loss_steps_ = 0;
    const double earlier = state_.phase_seconds;
    while (true) {
        const double now = session_seconds();
        state_.phase_seconds = earlier + now - phase_begun_;
        // The first process's clock and wishes count for all.
        const double own_progress = phase.steps > 0
                                        ? static_cast<double>(state_.step) / static_cast<double>(phase.steps)
                                        : state_.phase_seconds / std::max(1e-3, phase.seconds);
        const bool enough = options_.stop_after > 0 && now >= options_.stop_after * kSecondsPerMinute;
        const double save = now - saved_seconds_ >= options_.save_minutes * kSecondsPerMinute ? 1 : 0;
        const double look =
            options_.look_minutes > 0 && now - looked_seconds_ >= options_.look_minutes * kSecondsPerMinute ? 1 : 0;
        auto wishes =
            group_.broadcast(std::vector<double>{own_progress, stop_requested() || enough ? 1.0 : 0.0, save, look});
        if (!wishes) return wishes.error();
        const double progress = (*wishes)[0];
        const bool stop = (*wishes)[1] > 0;
        if (progress >= 1 || stop) {
            if (loss_steps_ > 0) {
                if (auto noted = note(phase, std::min(1.0, progress), 0); !noted) return noted.error();
            }
            if (auto checked = check_numbers(phase); !checked) return checked.error();
            if (progress >= 1) break;
            if (auto saved = write_when_due(true, true); !saved) return saved.error();
            phase_ = nullptr;
            return false;
        }
        if ((*wishes)[2] > 0 || (*wishes)[3] > 0) {
            if (auto checked = check_numbers(phase); !checked) return checked.error();
            if (auto written = write_when_due((*wishes)[2] > 0, (*wishes)[3] > 0); !written) return written.error();
        }
        if (auto done = one_step(phase, progress); !done) return done.error();
    }
    phase_ = nullptr;
    return true;
}

Result<void> TrainRun::one_step(Phase& phase, double progress) {
    const double rate = phase.schedule.factor(progress, state_.warm_steps);
    try {
        const at::Tensor loss = phase.loss(progress);
        loss.backward();
        if (auto averaged = group_.average_gradients(phase.weights); !averaged) return averaged;
        phase.optimizer->step(rate);
        phase.ema->update(state_.phase == TrainPhase::dit ? state_.dit_steps : state_.step);
        const at::Tensor value = loss.detach();
        loss_sum_ = loss_sum_.defined() ? loss_sum_ + value : value;
    } catch (...) {
        return of_training(current_exception_as_error("training"));
    }
    ++loss_steps_;
    ++state_.step;
    ++state_.warm_steps;
    if (state_.phase == TrainPhase::dit) ++state_.dit_steps;
    if (state_.step % options_.log_steps == 0) return note(phase, progress, rate);
    return {};
}

Result<void> TrainRun::note(Phase& phase, double progress, double rate) {
    double loss = 0;
    try {
        loss = loss_sum_.item<double>() / static_cast<double>(loss_steps_);
    } catch (...) {
        return of_training(current_exception_as_error("training"));
    }
    const double now = session_seconds();
    const double pace = static_cast<double>(loss_steps_) / std::max(1e-6, now - noted_seconds_);
    noted_seconds_ = now;
    loss_sum_.reset();
    loss_steps_ = 0;
    last_loss_ = loss;
    if (!std::isfinite(loss)) return no_number();
    if (!first()) return {};
    nlohmann::json line = {{"phase", phase_name(state_.phase)},
                           {"step", state_.step},
                           {"seconds", run_seconds()},
                           {"loss", loss},
                           {"rate", rate},
                           {"steps_per_second", pace}};
    if (phase.details) phase.details(line);
    if (auto added = log_->add(line); !added) return added;
    TrainReport told;
    told.doing = phase_name(state_.phase);
    told.share = progress;
    told.step = state_.step;
    told.steps = phase.steps;
    told.loss = loss;
    told.rate = rate;
    told.steps_per_second = pace;
    told.seconds_left = phase.steps > 0 ? static_cast<double>(phase.steps - state_.step) / std::max(1e-9, pace)
                                        : std::max(0.0, phase.seconds - state_.phase_seconds);
    report(told);
    return {};
}

Error TrainRun::no_number() const {
    return {ErrorCode::internal, fmt::format("the loss is no number any more at step {} of the {}: begin again from "
                                             "the last checkpoint with a smaller --rate",
                                             state_.step, phase_name(state_.phase))};
}

Result<void> TrainRun::check_numbers(const Phase& phase) const {
    const c10::NoGradGuard no_grad;
    try {
        std::vector<at::Tensor> sums; // a sum is a number only if all of its terms are
        sums.reserve(phase.weights.size() + 1);
        for (const auto& [name, weight] : phase.weights) sums.push_back(weight.detach().sum().view({1}));
        if (loss_sum_.defined()) sums.push_back(loss_sum_.to(at::kFloat).view({1}));
        if (at::isfinite(at::cat(sums)).all().item<bool>()) return {};
    } catch (...) {
        return of_training(current_exception_as_error("training"));
    }
    return no_number();
}

Result<void> TrainRun::write_when_due(bool save_now, bool look_now) {
    // Once the checkpoint says that all is done nobody goes on from it: then it comes last.
    const bool done = state_.phase == TrainPhase::done;
    if (first() && save_now && !done) {
        if (auto saved = save_full(); !saved) return saved;
    }
    if (first() && look_now) {
        if (auto looked = look(); !looked) return looked;
    }
    // Behind the world's folder, whose description it carries.
    if (first() && save_now) {
        if (auto saved = save_portable(); !saved) return saved;
    }
    if (first() && save_now && done) {
        if (auto saved = save_full(); !saved) return saved;
    }
    if (save_now) saved_seconds_ = session_seconds();
    if (look_now) looked_seconds_ = session_seconds();
    return {};
}

Result<at::Tensor> TrainRun::make_own_latents(const TrainingData& along) {
    const c10::NoGradGuard no_grad;
    try {
        at::Generator random = make_generator(device_.device, seed_for("own latents"));
        BatchedWalkConfig config;
        config.window = base_->world.window_latents;
        config.sigmas = base_->world.sampler.sigmas;
        BatchedWalk walk(dit_config_, geometry_, config, device_.device, device_.compute);
        walk.set_weights(dit_mean_);
        walk.begin(along.latents.select(1, 0).to(at::kFloat), along.poses.select(1, 0), along.worlds);
        std::vector<at::Tensor> made{along.latents.select(1, 0)};
        const std::int64_t count = along.latents.size(1);
        for (std::int64_t i = 1; i < count; ++i) {
            const at::Tensor noise = at::randn(along.latents.select(1, 0).sizes(), random,
                                               at::TensorOptions(at::kFloat).device(device_.device));
            made.push_back(
                walk.generate(noise, along.poses.select(1, i), along.labels.select(1, i)).latents.to(at::kHalf));
            TrainReport told;
            told.doing = "own latents";
            told.share = static_cast<double>(i) / static_cast<double>(count);
            report(told);
        }
        return at::stack(made, 1);
    } catch (...) {
        return of_training(current_exception_as_error("walking for the decoder"));
    }
}

} // namespace wander::train
