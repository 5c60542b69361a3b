#include "generator/walk_run.hpp"

#include "generator/camera/actions.hpp"
#include "generator/decode_thread.hpp"
#include "generator/errors.hpp"
#include "generator/prompt_steering.hpp"
#include "generator/saved_walk.hpp"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

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
          loop_(*model.loop),
          stop_(stop),
          reports_(report),
          shares_(share_threads(model.device)),
          decoder_(*model.decoder, {model.device, shares_.decoder, model.fps, turn()}, sink, reports_, stop) {
        set_own_thread_count(shares_.worker);
        if (model.prompts) steering_.emplace(model.prompts, model.phrases, model.prompt, model.camera_words);
        if (turn()) loop_.set_between_blocks([this] { let_decoder_in(); });
    }
    ~Run() { loop_.set_between_blocks({}); }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    Result<void> walk(const ControlSource& source) {
        model_.decoder_state.clear();
        begin();
        int rewound = 0;
        for (std::int64_t index = 0; decoder_.wait_for_room() && !stop_.stop_requested(); ++index) {
            const ChunkControls controls = source(index, stop_);
            if (controls.stop || stop_.stop_requested()) break;
            if (auto done = go_back(controls); !done) return done;
            rewound += controls.rewind;
            keep(controls);
            if (auto done = obey(controls); !done) return done;
            if (!controls.make_chunk) {
                --index;
                continue;
            }
            if (!decoder_.wait_for_room()) break; // after a rewind it shows where the walk stands now
            try {
                make_chunk(index, controls.state, std::exchange(rewound, 0));
            } catch (...) {
                return current_exception_as_error(fmt::format("making chunk {}", index));
            }
            if (shares_.in_turn) {
                if (auto done = decoder_.finish(); !done) return done;
            }
        }
        if (auto done = decoder_.finish(); !done) return done;
        // A stopped decoder may have left latents out.
        if (model_.keep_decoder_state && model_.keeps_walks && !stop_.stop_requested())
            model_.decoder_state = decoder_.state();
        return {};
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
        if (std::exchange(first_picture_due_, false)) let_first_picture_pass();
        turn_.take();
    }

    // The first picture of a video is waited for: what is left of the pass comes behind it on the GPU, which decodes
    // one latent in a few milliseconds alone, and in many where each of its kernels waits for one of the pass.
    void let_first_picture_pass() {
        const auto decoded = decoder_.first_latent_decoded();
        if (decoded) decoded->block(c10::impl::VirtualGuardImpl(at::kCUDA).getStream(model_.device.device));
    }

    void begin() {
        const MemoryTurnGuard guard(turn());
        if (start_.memory) decoder_after_ = std::exchange(start_.memory->decoder, {});
        loop_.begin(start_,
                    [this](const at::Tensor& latents, const std::vector<Pose>& poses) { open_video(latents, poses); });
    }

    // What is seen before the first chunk. Of several latents the last is shown, the others lead the decoder there.
    void open_video(const at::Tensor& latents, const std::vector<Pose>& poses) {
        restart_video_ = true;
        submit(latents, -1, poses, steady_seconds(), latents.size(0) - 1);
        if (shares_.in_turn) (void)decoder_.finish(); // a failure shows at the next wait_for_room
    }

    Result<void> go_back(const ChunkControls& controls) {
        if (controls.rewind <= 0) return {};
        const MemoryTurnGuard guard(turn());
        restart_video_ = true;
        any_shown_ = false;
        const bool done = loop_.rewind(
            controls.rewind,
            [this](const at::Tensor& latents, const std::vector<Pose>& poses) { open_video(latents, poses); });
        if (done) return {};
        return Error{ErrorCode::wrong_use, fmt::format("{} cannot be rewound", model_.name)};
    }

    void keep(const ChunkControls& controls) {
        if (controls.save.empty() && controls.resume.empty()) return;
        Result<KeptWalk> outcome = KeptWalk{};
        if (!controls.save.empty()) {
            if (auto done = save_walk(model_, controls.save); !done) outcome = done.error();
        }
        if (!controls.resume.empty() && outcome) {
            if (auto done = resume(controls.resume); !done) outcome = done.error();
        }
        if (outcome) *outcome = {model_.prompt, model_.seed, controls.resume.empty() ? "" : place_of(model_, start_)};
        if (controls.kept) controls.kept(outcome);
    }

    Result<void> resume(const std::filesystem::path& file) {
        auto start = resume_walk(model_, file);
        if (!start) return start.error();
        start_ = std::move(*start);
        if (steering_) steering_->set_prompt(model_.prompt);
        begin();
        return {};
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
        quant::KvCache& cache = loop_.cache();
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
        auto text = steering_->next(controls.state, controls.wait_for_prompt, stop_);
        if (!text) return text.error();
        if (!text->has_value()) return {};
        const MemoryTurnGuard guard(turn());
        loop_.set_text(**text);
        return {};
    }

    void make_chunk(std::int64_t index, const ControlState& state, int rewound) {
        const double sampled_at = steady_seconds();
        ChunkTelemetry chunk;
        chunk.index = index;
        chunk.hold = held_names(state);
        chunk.mouse = {state.mouse_yaw_rad, state.mouse_pitch_rad};
        chunk.sticks = state.sticks;
        chunk.input_age_ms = state.changed_at_seconds > 0 ? (sampled_at - state.changed_at_seconds) * 1000 : 0;
        chunk.rewound = rewound;
        chunk.format = loop_.cache().format();
        chunk.rules = loop_.cache().rules();
        if (steering_) {
            chunk.prompt = steering_->active();
            chunk.prompt_pending = steering_->pending();
            chunk.prompt_note = steering_->note();
        }

        (void)loop_.cache().take_times();
        {
            const MemoryTurnGuard guard(turn());
            loop_.generate(state, [&](const at::Tensor& latents, const std::vector<Pose>& poses) {
                chunk.frames = model_.decoder->frames_of(latents.size(0), !any_shown_);
                if (!poses.empty()) chunk.pose = poses.back();
                submit(latents, index, poses, sampled_at);
                // Before the context pass: whatever the cache's format, the decoder's peak then meets the cache's own.
                if (shares_.in_turn) (void)decoder_.finish(); // a failure shows at the next wait
            });
        }

        // A GPU is still at the passes: what the host can say without them it says now, and last what waits for them.
        chunk.contexts_made_again = loop_.contexts_made_again();
        chunk.ledger = loop_.cache().ledger();
        chunk.pages = loop_.cache().pages();
        chunk.cache_bytes = chunk.ledger.bytes();
        chunk.bf16_equivalent_bytes = chunk.ledger.bf16_equivalent_bytes;
        const DeviceMemory memory = device_memory(model_.device.device);
        chunk.device_used_bytes = memory.used_bytes;
        chunk.device_total_bytes = memory.total_bytes;
        chunk.forecast = forecast_capacity(model_.capacity, chunk.rules,
                                           {.latents = loop_.next_latent(),
                                            .cache_bytes = chunk.cache_bytes,
                                            .device_used_bytes = memory.used_bytes,
                                            .device_total_bytes = memory.total_bytes,
                                            .ratio = ratio_of(chunk.format),
                                            .kept_row_bytes = chunk.ledger.kept_row_bytes});
        const RolloutTimes times = loop_.last_times();
        const auto cache_times = loop_.cache().take_times();
        chunk.ms.denoise = times.denoise_ms;
        chunk.ms.context = times.context_ms;
        chunk.ms.encode = cache_times.encode_ms;
        chunk.ms.expand = cache_times.expand_ms;
        reports_.generated(std::move(chunk), sampled_at);
    }

    double ratio_of(const std::string& format) const {
        const auto found = std::ranges::find(model_.formats, format, &FormatInfo::name);
        return found != model_.formats.end() && found->usable() ? found->ratio : 1.0;
    }

    void submit(const at::Tensor& latents, std::int64_t chunk, const std::vector<Pose>& poses, double sampled_at,
                std::int64_t hidden = 0) {
        first_picture_due_ = restart_video_ || !any_shown_;
        DecodeJob job{latents, chunk, poses, sampled_at, nullptr, std::exchange(restart_video_, false), hidden, {}};
        job.state_after = std::exchange(decoder_after_, {});
        if (model_.device.is_cuda()) {
            job.ready = std::make_shared<c10::Event>(at::kCUDA);
            job.ready->record(c10::impl::VirtualGuardImpl(at::kCUDA).getStream(model_.device.device));
        }
        decoder_.submit(std::move(job));
        decode_due_ = true;
        any_shown_ = true;
    }

    WalkModel& model_;
    WalkStart start_;
    WalkLoop& loop_;
    std::stop_token stop_;
    ChunkReports reports_;
    ThreadShares shares_;
    std::optional<PromptSteering> steering_;
    MemoryTurn turn_;
    std::map<std::string, at::Tensor> decoder_after_; // of the resumed walk, until its first latents are submitted
    bool any_shown_ = false;                          // a latent was submitted: the video has begun
    bool restart_video_ = false;                      // the next latents begin a new video
    bool first_picture_due_ = false;                  // those latents are the first of their video
    bool decode_due_ = false;                         // a chunk was submitted and its first latent not let in yet
    DecodeThread decoder_;                            // last: its thread uses what is above
};

} // namespace

Result<void> save_walk(const WalkModel& model, const std::filesystem::path& file) {
    auto memory = model.loop->memory();
    if (!memory) {
        return Error{ErrorCode::wrong_use, model.keeps_walks
                                               ? std::string("there is nothing to save before the first chunk")
                                               : fmt::format("walks of {} cannot be saved", model.name)};
    }
    memory->decoder = model.decoder_state;
    SavedWalk walk{.model = model.name,
                   .prompt = model.prompt,
                   .seed = model.seed,
                   .context = model.context,
                   .window = {},
                   .chunk_latents = model.chunk_latents,
                   .place = {},
                   .memory = std::move(*memory)};
    if (model.world) {
        walk.place = model.world->worlds[static_cast<std::size_t>(walk.memory.causal->place)];
    } else if (walk.memory.causal) {
        walk.window = model.window;
    }
    return write_saved_walk(file, walk);
}

Result<void> walk_run(WalkModel& model, const WalkStart& start, const ControlSource& source, FrameSink& sink,
                      const Walk::Report& report, const std::stop_token& stop) {
    Run run(model, start, sink, report, stop);
    return run.walk(source);
}

} // namespace wander
