#include "generator/train/trainer.hpp"

#include "generator/errors.hpp"
#include "generator/plain/hash.hpp"
#include "generator/train/trainer_run.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

namespace wander::train {

namespace {

constexpr double kSecondsPerMinute = 60;

} // namespace

const char* phase_name(TrainPhase phase) {
    switch (phase) {
        case TrainPhase::vae: return "autoencoder";
        case TrainPhase::dit: return "transformer";
        case TrainPhase::decoder: return "decoder";
        case TrainPhase::done: return "done";
    }
    return "";
}

NamedTensors named(const Parameters& parameters) { return {parameters.tensors().begin(), parameters.tensors().end()}; }

TrainRun::TrainRun(TrainOptions options, TrainSink sink, ComputeDevice device, WorkerGroup group)
    : options_(std::move(options)), sink_(std::move(sink)), device_(std::move(device)), group_(std::move(group)) {}

void TrainRun::say(const std::string& line) const {
    if (first() && sink_.say) sink_.say(line);
}

void TrainRun::report(const TrainReport& told) const {
    if (first() && sink_.progress) sink_.progress(told);
}

double TrainRun::session_seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
}

std::uint64_t TrainRun::seed_for(std::string_view purpose) const {
    return fnv1a64(fmt::format("{}/{}/{}/{}", options_.seed, group_.rank(), purpose, state_.dit_steps));
}

Result<TrainOutcome> TrainRun::go() {
    if (auto opened = open(); !opened) return opened.error();
    // Everybody begins with the same values, whatever a device makes of the same seed.
    if (auto shared = group_.broadcast(named(dit_)); !shared) return shared.error();
    std::vector<std::string> places;
    places.reserve(themes_.size());
    for (const Theme& theme : themes_)
        places.push_back(theme.name + (base_->dit && !base_->world.world_number(theme.name) ? " (new)" : ""));
    say(fmt::format("training {} on {}{}, from {}", fmt::join(places, ", "), device_.name,
                    group_.size() > 1 ? fmt::format(" and {} more", group_.size() - 1) : "",
                    options_.resume.empty() ? base_->told
                                            : fmt::format("{} at step {} of the {}", options_.resume.string(),
                                                          state_.step, phase_name(state_.phase))));
    if (first()) {
        if (auto exported = export_world(); !exported) return exported.error();
    }
    while (state_.phase != TrainPhase::done) {
        Result<bool> done = true;
        try {
            switch (state_.phase) {
                case TrainPhase::vae: done = train_vae(); break;
                case TrainPhase::dit: done = train_dit(); break;
                case TrainPhase::decoder: done = train_decoder(); break;
                case TrainPhase::done: break;
            }
        } catch (...) {
            return current_exception_as_error("training");
        }
        if (!done) return done.error();
        std::error_code ignored;
        if (!*done && !std::filesystem::exists(file("checkpoint.safetensors"), ignored) &&
            !std::filesystem::exists(file("portable"), ignored))
            return TrainOutcome{false, "stopped while its walks were drawn: nothing is learnt yet, begin it again"};
        if (!*done)
            return TrainOutcome{false, fmt::format("stopped at step {} of the {}; go on with wander train --resume {}",
                                                   state_.step, phase_name(state_.phase), options_.out.string())};
        state_.phase = static_cast<TrainPhase>(static_cast<int>(state_.phase) + 1);
        state_.step = 0;
        state_.phase_seconds = 0;
        state_.warm_steps = 0;
        // Without this a kill would throw the whole phase away up to its last checkpoint.
        if (auto written = write_when_due(true, true); !written) return written.error();
    }
    return TrainOutcome{true, fmt::format("done in {:.1f} min: walk with wander --model {}",
                                          run_seconds() / kSecondsPerMinute, file("world").string())};
}

Result<TrainOutcome> train(const TrainOptions& options, const TrainSink& sink) {
    auto device = pick_device(options.device, options.precision, options.threads);
    if (!device) return device.error();
    // bfloat16 pays on a GPU; on a CPU the plain operations are slower in it.
    if (!device->is_cuda() && options.precision == "auto") device->compute = at::kFloat;
    set_own_thread_count(device->threads);
    auto group = WorkerGroup::join(device->device);
    if (!group) return group.error();
    try {
        return TrainRun(options, sink, std::move(*device), std::move(*group)).go();
    } catch (...) {
        return current_exception_as_error("training");
    }
}

} // namespace wander::train
