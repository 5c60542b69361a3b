#pragma once
// The inside of the trainer: what its parts share. Room-internal; use trainer.hpp.

#include "generator/device.hpp"
#include "generator/evaluate/evaluate_world.hpp"
#include "generator/train/checkpoint.hpp"
#include "generator/train/clip.hpp"
#include "generator/train/ema.hpp"
#include "generator/train/named_tensors.hpp"
#include "generator/train/optimizer.hpp"
#include "generator/train/parameters.hpp"
#include "generator/train/rate_schedule.hpp"
#include "generator/train/trainer.hpp"
#include "generator/train/training_base.hpp"
#include "generator/train/training_data.hpp"
#include "generator/train/training_log.hpp"
#include "generator/train/worker_group.hpp"
#include "generator/train/world_export.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string_view>

namespace wander::train {

// Level of the learning rates where nothing else is asked for: of new weights, and of those that have learned already.
inline constexpr double kLevelOfNew = 1;
inline constexpr double kLevelOfOld = 0.5;

enum class TrainPhase { vae, dit, decoder, done };
const char* phase_name(TrainPhase phase);

// Seconds of training that each phase gets; fixed once, when the first walks are drawn.
struct PhasePlan {
    double vae = 0;
    double dit = 0;
    double decoder = 0;
};

// What a run that goes on knows of itself.
struct RunState {
    TrainPhase phase = TrainPhase::dit;
    std::int64_t step = 0;       // of the phase
    double phase_seconds = 0;    // of the phase's clock
    double run_seconds = 0;      // of all sessions
    std::int64_t dit_steps = 0;  // since the transformer was new, earlier runs included: for the mean's pace
    std::int64_t warm_steps = 0; // since the optimiser's state was empty
    std::optional<PhasePlan> plan;
};

class TrainRun {
public:
    TrainRun(TrainOptions options, TrainSink sink, ComputeDevice device, WorkerGroup group);

    Result<TrainOutcome> go();

private:
    // What one phase trains, step by step.
    struct Phase {
        std::function<at::Tensor(double progress)> loss;
        NamedTensors weights; // with gradients
        Optimizer* optimizer = nullptr;
        Ema* ema = nullptr;
        double seconds = 0;
        std::int64_t steps = 0; // 0: by the clock
        RateSchedule schedule;
        std::function<std::map<std::string, at::Tensor>()> generators, discriminator; // for a checkpoint; may be null
        std::function<void(nlohmann::json& line)> details;                            // more for the log
    };

    // trainer_open.cpp
    Result<void> open();
    Result<void> open_themes(const nlohmann::json& facts);
    Result<nlohmann::json> open_resumed();
    Result<void> check_folder();
    Result<void> check_memory() const;
    Result<void> make_networks();

    // trainer_phases.cpp: true when the phase is done, false when it was stopped.
    Result<void> make_plan();
    Result<FramePool> make_pool() const;
    // The autoencoder that the optimiser moves: where the phase was, or as the exported one.
    Result<Parameters> make_live_vae() const;
    Result<bool> train_vae();
    Result<bool> train_dit();
    Result<bool> train_decoder();

    // trainer_loop.cpp: true when the phase is done, false when it was stopped.
    Result<bool> run_phase(Phase& phase);
    Result<void> one_step(Phase& phase, double progress);
    Result<void> note(Phase& phase, double progress, double rate);
    Result<void> write_when_due(bool save, bool look);
    // internal: the weights or the loss are no numbers any more. Asked before a good checkpoint would be overwritten.
    Result<void> check_numbers(const Phase& phase) const;
    Error no_number() const;
    Result<at::Tensor> make_own_latents(const TrainingData& along);

    // trainer_output.cpp; the first process only, elsewhere nothing happens.
    Result<void> save_full();
    Result<void> save_portable();
    Result<void> export_world();
    Result<void> look();
    // Free walks of every place with the world as it was just exported, and their sheet.
    Result<std::map<int, evaluate::SecondFigures>> walk_and_look();
    nlohmann::json facts() const;

    // Is there a checkpoint out of the midst of a phase, not from between two?
    bool in_phase() const { return resumed_ && resumed_->groups.contains("optimiser"); }
    bool first() const { return group_.is_first(); }
    void say(const std::string& line) const;
    void report(const TrainReport& told) const;
    double session_seconds() const;
    double run_seconds() const { return state_.run_seconds + session_seconds(); }
    // Different in every process and at every step of the transformer, the same whenever a run is repeated.
    std::uint64_t seed_for(std::string_view purpose) const;
    DataSizes data_sizes() const;
    DataProgress data_progress(const char* doing) const;
    std::filesystem::path file(const char* name) const { return options_.out / name; }

    TrainOptions options_;
    TrainSink sink_;
    ComputeDevice device_;
    WorkerGroup group_;
    const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();

    std::optional<TrainingBase> base_;
    std::vector<Theme> themes_;
    std::vector<std::filesystem::path> theme_files_;
    DitConfig dit_config_;
    VaeConfig vae_config_;
    LatentGeometry geometry_;
    Parameters dit_, dit_mean_; // empty: not made
    Parameters vae_;            // as it is exported
    RunState state_;
    std::optional<Checkpoint> resumed_; // until its phase has taken it
    std::optional<TrainingLog> log_;

    // Of the phase that runs, for checkpoints.
    Phase* phase_ = nullptr;
    const Parameters* vae_live_ = nullptr; // what the optimiser moves while the exported one is its mean
    double saved_seconds_ = 0;             // of the session
    double looked_seconds_ = 0;
    // Since the last note.
    at::Tensor loss_sum_;
    std::int64_t loss_steps_ = 0;
    double noted_seconds_ = 0;
    double last_loss_ = 0;
    double phase_begun_ = 0;               // session seconds at which the phase's clock stood at state_.phase_seconds
    std::optional<TrainingData> held_out_; // a few walks that nobody trains on
};

// The two sets as lists in one order.
NamedTensors named(const Parameters& parameters);

} // namespace wander::train
