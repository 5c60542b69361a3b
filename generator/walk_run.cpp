#include "generator/walk_run.hpp"

#include "generator/camera/actions.hpp"
#include "generator/camera/walker.hpp"
#include "generator/decode_thread.hpp"
#include "generator/errors.hpp"
#include "generator/prompt_steering.hpp"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <algorithm>

namespace wander {

namespace {

// How the CPU's threads are shared out. Two threads on one chunk of the embedded world hardly help (84 rows), so the
// decoder, which runs beside the next chunk, gets half of them; on a GPU the host has little to do.
struct ThreadShares {
    int worker = 1;
    int decoder = 1;
    // One thread only: denoise, decode, context pass, one after the other. On a GPU this makes peak memory repeatable.
    bool in_turn = false;
};

ThreadShares share_threads(const ComputeDevice& device) {
    if (device.threads <= 1) return {1, 1, true};
    return {device.threads - device.threads / 2, device.threads / 2, false};
}

class Run {
public:
    Run(WalkModel& model, const WalkStart& start, FrameSink& sink, const Walk::Report& report,
        const std::stop_token& stop)
        : model_(model),
          start_(start),
          rollout_(*model.rollout),
          stop_(stop),
          reports_(report),
          shares_(share_threads(model.device)),
          decoder_(*model.decoder, {model.device, shares_.decoder, model.fps, turn()}, sink, reports_, stop) {
        set_own_thread_count(shares_.worker);
        if (model.world)
            walker_.emplace(&model.world->maps[static_cast<std::size_t>(start.world)], model.world->limits, start.pose);
        if (model.prompts) steering_.emplace(model.prompts, model.phrases, model.prompt, model.camera_words);
        if (turn()) rollout_.set_between_blocks([this] { let_decoder_in(); });
    }
    ~Run() { rollout_.set_between_blocks({}); }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    Result<void> walk(const ControlSource& source) {
        rollout_.reset();
        emit_start();
        for (std::int64_t index = 0; decoder_.wait_for_room() && !stop_.stop_requested(); ++index) {
            const ChunkControls controls = source(index, stop_);
            if (controls.stop || stop_.stop_requested()) break;
            if (auto done = obey(controls); !done) return done;
            try {
                make_chunk(index, controls.state);
            } catch (...) {
                return current_exception_as_error(fmt::format("making chunk {}", index));
            }
            if (shares_.in_turn) {
                if (auto done = decoder_.finish(); !done) return done;
            }
        }
        return decoder_.finish();
    }

private:
    // On a GPU with a decoder beside the passes; see MemoryTurn.
    MemoryTurn* turn() { return model_.device.is_cuda() && !shares_.in_turn ? &turn_ : nullptr; }

    // Between two blocks of a pass, holding the turn. The first latent of a chunk always gets in at the first boundary
    // of the context pass: the open pages are there and nothing was packed yet, so in every format the decoder's widest
    // moment meets the cache's own.
    void let_decoder_in() {
        if (!decode_due_) return turn_.yield();
        decode_due_ = false;
        turn_.give();
        decoder_.wait_for_first_latent();
        turn_.take();
    }

    void emit_start() {
        if (!start_.latent.defined()) return;
        const at::Tensor latent = start_.latent.unsqueeze(0).to(model_.device.device);
        submit(latent, -1, {start_.pose}, steady_seconds());
        if (shares_.in_turn) (void)decoder_.finish(); // a failure shows at the next wait_for_room
        const MemoryTurnGuard guard(turn());
        rollout_.prefill(
            latent, {.latents = 1, .labels = {0}, .poses = {start_.pose}, .token_bias = pose_tokens({start_.pose})});
    }

    // What a script or the person asks for beside moving.
    Result<void> obey(const ChunkControls& controls) {
        if (controls.prompt && !model_.world && !steering_) {
            return Error{ErrorCode::wrong_use,
                         fmt::format("the prompt cannot change: {} has no text encoder at hand", model_.name)};
        }
        if (steering_) {
            if (auto done = steer_by_text(controls); !done) return done;
        }
        quant::KvCache& cache = rollout_.cache();
        if (controls.cache_format && *controls.cache_format != cache.format()) {
            if (auto done = cache.set_format(*controls.cache_format); !done) return done;
        }
        if (controls.cache_rules.empty()) return {};
        quant::CacheRules rules = cache.rules();
        controls.cache_rules.apply_to(rules);
        return cache.set_rules(rules);
    }

    Result<void> steer_by_text(const ChunkControls& controls) {
        if (controls.prompt) steering_->set_prompt(model_.prompt = *controls.prompt);
        if (controls.camera_words) steering_->set_camera_words(model_.camera_words = *controls.camera_words);
        const bool first = steering_->active().empty() && rollout_.next_latent() == 0;
        auto text = steering_->next(controls.state, controls.wait_for_prompt, stop_);
        if (!text) return text.error();
        if (!text->has_value()) return {};
        const MemoryTurnGuard guard(turn());
        model_.dit->set_text(**text);
        if (model_.rebuild_on_prompt && !first) rollout_.rebuild_history();
        return {};
    }

    ChunkInput steer(const ControlState& state) {
        ChunkInput input;
        input.latents = model_.chunk_latents;
        if (!walker_) return input;
        ControlState share = state;
        share.mouse_yaw_rad /= static_cast<float>(input.latents);
        share.mouse_pitch_rad /= static_cast<float>(input.latents);
        for (int i = 0; i < input.latents; ++i) {
            const Walker::Step step = walker_->step(share);
            input.poses.push_back(step.pose);
            input.labels.push_back(step.label);
        }
        input.token_bias = pose_tokens(input.poses);
        return input;
    }

    at::Tensor pose_tokens(const std::vector<Pose>& poses) const {
        std::vector<at::Tensor> tokens;
        tokens.reserve(poses.size());
        for (const Pose& p : poses) {
            tokens.push_back(model_.dit->pose_tokens(p.x, p.z, p.yaw, p.pitch, start_.world, model_.token_rows(),
                                                     model_.token_cols()));
        }
        return at::cat(tokens);
    }

    void make_chunk(std::int64_t index, const ControlState& state) {
        const double sampled_at = steady_seconds();
        ChunkTelemetry chunk;
        chunk.index = index;
        chunk.hold = held_names(state);
        chunk.mouse = {state.mouse_yaw_rad, state.mouse_pitch_rad};
        chunk.input_age_ms = state.changed_at_seconds > 0 ? (sampled_at - state.changed_at_seconds) * 1000 : 0;
        chunk.format = rollout_.cache().format();
        chunk.rules = rollout_.cache().rules();
        if (steering_) {
            chunk.prompt = steering_->active();
            chunk.prompt_pending = steering_->pending();
            chunk.prompt_note = steering_->note();
        }
        chunk.frames = 4 * model_.chunk_latents - (rollout_.next_latent() == 0 ? 3 : 0);

        const ChunkInput input = steer(state);
        chunk.pose = input.poses.empty() ? Pose{} : input.poses.back();
        (void)rollout_.cache().take_times();
        {
            const MemoryTurnGuard guard(turn());
            rollout_.generate(input, [&](const at::Tensor& latents) {
                submit(latents, index, input.poses, sampled_at);
                // Before the context pass: whatever the cache's format, the decoder's peak then meets the cache's own.
                if (shares_.in_turn) (void)decoder_.finish(); // a failure shows at the next wait
            });
        }

        const RolloutTimes times = rollout_.last_times();
        const auto cache_times = rollout_.cache().take_times();
        chunk.ms.denoise = times.denoise_ms;
        chunk.ms.context = times.context_ms;
        chunk.ms.encode = cache_times.encode_ms;
        chunk.ms.expand = cache_times.expand_ms;
        chunk.ledger = rollout_.cache().ledger();
        chunk.pages = rollout_.cache().pages();
        chunk.cache_bytes = chunk.ledger.bytes();
        chunk.bf16_equivalent_bytes = chunk.ledger.bf16_equivalent_bytes;
        const DeviceMemory memory = device_memory(model_.device.device);
        chunk.device_used_bytes = memory.used_bytes;
        chunk.device_total_bytes = memory.total_bytes;
        chunk.forecast = forecast_capacity(model_.capacity, chunk.rules,
                                           {.latents = rollout_.next_latent(),
                                            .cache_bytes = chunk.cache_bytes,
                                            .device_used_bytes = memory.used_bytes,
                                            .device_total_bytes = memory.total_bytes,
                                            .ratio = ratio_of(chunk.format)});
        reports_.generated(std::move(chunk), sampled_at);
    }

    double ratio_of(const std::string& format) const {
        const auto found = std::ranges::find(model_.formats, format, &FormatInfo::name);
        return found != model_.formats.end() && found->usable() ? found->ratio : 1.0;
    }

    void submit(const at::Tensor& latents, std::int64_t chunk, const std::vector<Pose>& poses, double sampled_at) {
        DecodeJob job{latents, chunk, poses, sampled_at, nullptr};
        if (model_.device.is_cuda()) {
            job.ready = std::make_shared<c10::Event>(at::kCUDA);
            job.ready->record(c10::impl::VirtualGuardImpl(at::kCUDA).getStream(model_.device.device));
        }
        decoder_.submit(std::move(job));
        decode_due_ = true;
    }

    WalkModel& model_;
    const WalkStart& start_;
    Rollout& rollout_;
    std::stop_token stop_;
    ChunkReports reports_;
    ThreadShares shares_;
    std::optional<Walker> walker_;
    std::optional<PromptSteering> steering_;
    MemoryTurn turn_;
    bool decode_due_ = false; // a chunk was submitted and its first latent not let in yet
    DecodeThread decoder_;    // last: its thread uses what is above
};

} // namespace

Result<void> walk_run(WalkModel& model, const WalkStart& start, const ControlSource& source, FrameSink& sink,
                      const Walk::Report& report, const std::stop_token& stop) {
    Run run(model, start, sink, report, stop);
    return run.walk(source);
}

} // namespace wander
