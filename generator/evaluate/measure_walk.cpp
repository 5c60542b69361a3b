#include "generator/evaluate/measure_walk.hpp"

#include "generator/frame_pixels.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

namespace wander::evaluate {

namespace {

constexpr int kNamedSeconds[] = {1, 2, 3, 5, 10, 20, 30, 40, 50, 60};
constexpr int kChunkStarts[] = {30, 90, 150, 210}; // latents that are made after true history
constexpr int kDecoderHistory = 8;                 // true latents that the decoder has seen before such a chunk
constexpr double kPrepareWork = 0.5;               // of a latent that is only drawn and encoded
constexpr int kPassesPerLatent = 3;                // of the free walk: two to denoise, one for the context

const Error kStopped{ErrorCode::unavailable, "the evaluation was stopped"};

std::vector<int> chunk_starts(int latents) {
    std::vector<int> starts;
    for (const int start : kChunkStarts) {
        if (start <= latents) starts.push_back(start);
    }
    if (starts.empty() && latents > 0) starts.push_back(latents);
    return starts;
}

// Latents of true history that a chunk at `start` reads, sink not counted.
int history_of(const MeasureContext& context, int start) {
    return std::min(context.world->world.window_latents, start - 1);
}

double next_chunk_work(const MeasureContext& context, int latents) {
    double passes = 0;
    for (const int start : chunk_starts(latents)) passes += 2 * history_of(context, start) + 3 * (1 + kPassesPerLatent);
    return passes / kPassesPerLatent;
}

double against(const Picture& truth, const Picture& picture) { return psnr_db(mean_squared_error(truth, picture)); }

class WalkMeasurement {
public:
    WalkMeasurement(const MeasureContext& context, const EvaluationWalk& walk)
        : context_(context),
          world_(*context.world),
          walk_(walk),
          guided_(world_, walk.place, walk.walk),
          frame_poses_(frame_poses(walk.walk)) {
        const int rate = kFramesPerLatent * context.latents_per_second;
        for (const int second : context.seconds) {
            for (int i = 1; i <= rate; ++i) second_of_[(second - 1) * rate + i] = second;
            shown_.insert(second * rate);
        }
        shown_.insert(0);
    }

    Result<WalkSamples> measure() {
        if (auto done = prepare(); !done) return done.error();
        PicturesByFrame plain;
        if (auto done = walk_freely({},
                                    [&](int frame, const Picture& picture) {
                                        sample(samples_.free_walk, frame, picture);
                                        if (context_.keep_shown && shown_.contains(frame))
                                            samples_.shown[frame] = picture;
                                        if (!context_.variants.empty()) plain[frame] = picture;
                                    });
            !done)
            return done.error();
        for (const WalkVariant& variant : context_.variants) {
            if (auto done = measure_variant(variant, plain); !done) return done.error();
        }
        if (context_.options->next_chunk) {
            measure_ceiling();
            for (const int start : chunk_starts(guided_.latents())) {
                if (auto done = measure_next_chunk(start); !done) return done.error();
            }
        }
        return std::move(samples_);
    }

private:
    using Sampled = std::function<void(int frame, const Picture& picture)>;

    bool second_needs(int frame) const { return second_of_.contains(frame); }

    // Truth: pictures where they are measured, latents where they are needed.
    Result<void> prepare() {
        std::vector<int> frames;
        if (context_.options->next_chunk) {
            for (std::size_t i = 0; i < frame_poses_.size(); ++i) frames.push_back(static_cast<int>(i));
        } else {
            frames.push_back(0);
            for (const auto& [frame, second] : second_of_) frames.push_back(frame);
        }
        std::vector<Pose> poses;
        poses.reserve(frames.size());
        for (const int frame : frames) poses.push_back(frame_poses_[static_cast<std::size_t>(frame)]);
        auto drawn = context_.truth->draw(walk_.place, poses);
        if (!drawn) return drawn.error();
        const bool all = context_.options->next_chunk;
        latents_ = encode(all ? *drawn : drawn->narrow(0, 0, 1));
        std::set<int> needed{0};
        for (const auto& [frame, second] : second_of_) needed.insert(frame);
        if (all) {
            for (const int start : chunk_starts(guided_.latents())) {
                for (int i = 0; i < kFramesPerLatent; ++i) needed.insert(kFramesPerLatent * start - i);
            }
        }
        std::vector<std::int64_t> rows;
        for (std::size_t i = 0; i < frames.size(); ++i) {
            if (needed.contains(frames[i])) rows.push_back(static_cast<std::int64_t>(i));
        }
        const at::Tensor index = at::tensor(rows, at::kLong).to(drawn->device());
        std::vector<Picture> pictures = to_pictures(drawn->index_select(0, index));
        for (std::size_t i = 0; i < rows.size(); ++i)
            truth_[frames[static_cast<std::size_t>(rows[i])]] = std::move(pictures[i]);
        if (context_.keep_shown) {
            for (const int frame : shown_) samples_.true_shown[frame] = truth_.at(frame);
        }
        return context_.done(kPrepareWork * guided_.latents()) ? Result<void>() : kStopped;
    }

    // [N, H, W, 3] bytes -> [T, C, h, w].
    at::Tensor encode(const at::Tensor& rgb) const {
        const at::Tensor frames = rgb.permute({0, 3, 1, 2}).to(world_.device.compute).div_(127.5).sub_(1).contiguous();
        return world_.vae->encode(frames);
    }

    void sample(SamplesBySecond& samples, int frame, const Picture& picture) {
        const auto second = second_of_.find(frame);
        if (second == second_of_.end()) return;
        const Picture& truth = truth_.at(frame);
        SecondSamples& into = samples[second->second];
        into.psnr_db.push_back(against(truth, picture));
        auto [known, is_new] = true_sharpness_.try_emplace(frame, 0);
        if (is_new) known->second = sharpness(truth);
        into.sharpness.push_back(sharpness(picture) / std::max(known->second, 1e-6));
    }

    double sharpness(const Picture& picture) const {
        return sharpness_of(picture, world_.world.width, world_.world.height);
    }

    // Takes from decoded frames those that are measured or shown.
    void take(int first_frame, const at::Tensor& frames, const Sampled& sampled) const {
        std::vector<std::int64_t> wanted;
        for (std::int64_t i = 0; i < frames.size(0); ++i) {
            const int frame = first_frame + static_cast<int>(i);
            if (frame == 0 || second_needs(frame)) wanted.push_back(i);
        }
        if (wanted.empty()) return;
        const at::Tensor some = frames.narrow(0, wanted.front(), wanted.back() - wanted.front() + 1);
        const std::vector<Picture> pictures = to_pictures(rgb_of(some, world_.vae->range()));
        for (const std::int64_t i : wanted)
            sampled(first_frame + static_cast<int>(i), pictures[static_cast<std::size_t>(i - wanted.front())]);
    }

    Result<void> walk_freely(const WalkVariant& variant, const Sampled& sampled, FormatSamples* ratios = nullptr) {
        auto rollout = open_rollout(world_, variant, context_.seed);
        if (!rollout) return rollout.error();
        const bool whole = walk_by_model(
            world_, guided_, latents_[0], **rollout, guided_.latents(), context_.latents_per_second,
            [&](int first_frame, const at::Tensor& frames) { take(first_frame, frames, sampled); },
            [&] { return context_.done(1); });
        if (!whole) return kStopped;
        if (ratios) {
            const MemoryLedger ledger = (*rollout)->cache().ledger();
            ratios->packed_ratio = ledger.packed_ratio();
            ratios->whole_ratio = ledger.ratio();
        }
        return {};
    }

    Result<void> measure_variant(const WalkVariant& variant, const PicturesByFrame& plain) {
        FormatSamples samples;
        auto done = walk_freely(
            variant,
            [&](int frame, const Picture& picture) {
                sample(samples.against_truth, frame, picture);
                if (const auto second = second_of_.find(frame); second != second_of_.end())
                    samples.against_plain_db[second->second].push_back(against(plain.at(frame), picture));
                if (context_.keep_shown && shown_.contains(frame)) samples.shown[frame] = picture;
            },
            &samples);
        if (!done) return done;
        samples_.variants.push_back(std::move(samples));
        return {};
    }

    void measure_ceiling() {
        const auto stream = world_.vae->open_stream();
        const auto sampled = [&](int frame, const Picture& picture) { sample(samples_.ceiling, frame, picture); };
        take(0, stream->decode(latents_.narrow(0, 0, 1)), sampled);
        for (int k = 1; k <= guided_.latents(); k += context_.latents_per_second) {
            const int count = std::min(context_.latents_per_second, guided_.latents() - k + 1);
            take(kFramesPerLatent * (k - 1) + 1, stream->decode(latents_.narrow(0, k, count)), sampled);
        }
    }

    // Latent `start` after the start picture and `history` true latents before it.
    Result<at::Tensor> next_latent(int start, int history, bool with_pose) {
        auto rollout = open_rollout(world_, {}, context_.seed);
        if (!rollout) return rollout.error();
        (*rollout)->prefill(latents_.narrow(0, 0, 1), guided_.input(0, with_pose));
        for (int k = start - history; k < start; ++k)
            (*rollout)->prefill(latents_.narrow(0, k, 1), guided_.input(k, with_pose));
        const at::Tensor latent = (*rollout)->generate(guided_.input(start, with_pose));
        const double passes = history + 1 + kPassesPerLatent;
        if (!context_.done(passes / kPassesPerLatent)) return kStopped;
        return latent;
    }

    void sample_chunk(int start, const at::Tensor& latent, std::vector<double>& psnr) const {
        const auto stream = world_.vae->open_stream();
        const int before = std::min(kDecoderHistory, start);
        stream->decode(latents_.narrow(0, start - before, 1));
        if (before > 1) stream->decode(latents_.narrow(0, start - before + 1, before - 1));
        const std::vector<Picture> pictures = to_pictures(rgb_of(stream->decode(latent), world_.vae->range()));
        const int first = kFramesPerLatent * (start - 1) + 1;
        for (std::size_t i = 0; i < pictures.size(); ++i)
            psnr.push_back(against(truth_.at(first + static_cast<int>(i)), pictures[i]));
    }

    Result<void> measure_next_chunk(int start) {
        NextChunkSamples& samples = samples_.next_chunk;
        const int history = history_of(context_, start);
        auto whole = next_latent(start, history, true);
        if (!whole) return whole.error();
        sample_chunk(start, *whole, samples.history_db);
        const at::Tensor error = *whole - latents_.narrow(0, start, 1).to(whole->scalar_type());
        samples.latent_mse.push_back(error.square().mean().item<double>());
        auto sink_only = next_latent(start, 0, true);
        if (!sink_only) return sink_only.error();
        sample_chunk(start, *sink_only, samples.sink_only_db);
        auto no_pose = next_latent(start, history, false);
        if (!no_pose) return no_pose.error();
        sample_chunk(start, *no_pose, samples.no_pose_db);
        return {};
    }

    const MeasureContext& context_;
    const EvaluatedWorld& world_;
    const EvaluationWalk& walk_;
    GuidedWalk guided_;
    std::vector<Pose> frame_poses_;
    std::map<int, int> second_of_; // frame -> the measured second that it belongs to
    std::set<int> shown_;          // frames of the contact sheet
    PicturesByFrame truth_;
    std::map<int, double> true_sharpness_;
    at::Tensor latents_; // true ones, [1 + T, C, h, w]; the start's alone where no others are needed
    WalkSamples samples_;
};

} // namespace

std::vector<int> measured_seconds(int seconds) {
    std::vector<int> measured;
    for (const int second : kNamedSeconds) {
        if (second < seconds) measured.push_back(second);
    }
    measured.push_back(seconds);
    return measured;
}

double walk_work(const MeasureContext& context) {
    const int latents = context.options->seconds * context.latents_per_second;
    const auto walks = static_cast<double>(1 + context.variants.size());
    const double chunks = context.options->next_chunk ? next_chunk_work(context, latents) : 0;
    return (kPrepareWork + walks) * latents + chunks;
}

double revisit_work(const RevisitScript& script) { return static_cast<double>(script.moves.size()); }

Result<WalkSamples> measure_walk(const MeasureContext& context, const EvaluationWalk& walk) {
    return WalkMeasurement(context, walk).measure();
}

Result<RevisitSamples> measure_revisit(const MeasureContext& context, int place, const RevisitScript& script) {
    const EvaluatedWorld& world = *context.world;
    const TrueWalk walk = script_walk(world, place, script);
    const int latents = static_cast<int>(script.moves.size());
    const std::vector<Pose> poses = frame_poses(walk);
    const int middle = kFramesPerLatent * (latents / 2);
    const int last = kFramesPerLatent * latents;
    const Pose seen[] = {poses.front(), poses[static_cast<std::size_t>(middle)], poses.back()};
    auto drawn = context.truth->draw(place, seen);
    if (!drawn) return drawn.error();
    const std::vector<Picture> truth = to_pictures(*drawn);
    const at::Tensor first_frame =
        drawn->narrow(0, 0, 1).permute({0, 3, 1, 2}).to(world.device.compute).div_(127.5).sub_(1).contiguous();
    const GuidedWalk guided(world, place, walk);
    auto rollout = open_rollout(world, {}, context.seed);
    if (!rollout) return rollout.error();
    PicturesByFrame pictures;
    const auto keep = [&](int first, const at::Tensor& frames) {
        for (const int frame : {0, middle, last}) {
            const int at = frame - first;
            if (at < 0 || at >= frames.size(0)) continue;
            pictures[frame] = to_pictures(rgb_of(frames.narrow(0, at, 1), world.vae->range())).front();
        }
    };
    const bool whole = walk_by_model(world, guided, world.vae->encode(first_frame)[0], **rollout, latents,
                                     context.latents_per_second, keep, [&] { return context.done(1); });
    if (!whole) return kStopped;
    RevisitSamples samples;
    samples.end_db = against(truth[2], pictures.at(last));
    samples.first_db = against(pictures.at(0), pictures.at(last));
    samples.middle_db = against(truth[1], pictures.at(middle));
    samples.true_first_db = against(truth[0], truth[2]);
    return samples;
}

} // namespace wander::evaluate
