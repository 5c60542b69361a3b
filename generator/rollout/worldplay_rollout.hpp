#pragma once
// The chunk loop of both HY-WorldPlay models: for every chunk the chosen earlier latents go through the network again
// at the context's timestep, and the chunk is denoised reading their keys and values (hy-worldplay.md 5 and 7.3).
//
// So the whole state of a walk is its latents, cameras and start picture: history() and restore() save it, and what
// follows a restored state is what followed the saved one, bit for bit. One thread; InferenceMode is the caller's. On a
// GPU all work is queued on the current stream.

#include "generator/memory/context_choice.hpp"
#include "generator/rollout/noise.hpp"
#include "generator/rollout/stage_clock.hpp"
#include "generator/rollout/worldplay_net.hpp"
#include "generator/rollout/worldplay_schedule.hpp"
#include "generator/wan/dit.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace wander {

// Of the cache's policy. Both branches of a context's keys and values take so much room that with 40 MiB a launch has
// one head, whose few tiles of queries do not come out even over a GPU's multiprocessors (quant/cuda/hopper_work.hpp).
inline constexpr std::int64_t kWorldPlaySliceBytes = std::int64_t{320} << 20;

class PublishedStore;

struct WorldPlayHistory {
    at::Tensor latents; // [n, C, h, w]; undefined while there is none
    std::vector<LatentCamera> cameras;
    at::Tensor picture; // [C, h, w] as start() took it: only a network that denoises latent 0 as well needs it
};

class WorldPlayRollout {
public:
    struct Config {
        WorldPlaySchedule schedule;
        int rows = 0; // latent height, width
        int cols = 0;
        // Camera matrices with the published run's roundings, or as exact as they are.
        bool published_prope = false;
        // "Fast context" (hy-worldplay.md 5.2), not what is published: a finished chunk's keys and values are made
        // once, reading the context that the chunk had, and stay in the cache; later chunks read the chosen ones under
        // new positions. So a chunk costs a context pass over four latents, whatever it reads.
        bool fast_context = false;
        // The parity mode of long contexts: every earlier latent is read, whatever the rules of context say, out of
        // this store, which packs when and what Quant-VideoGen packs. WAN-5B on the CPU, an uncompressed cache, no
        // fast context; null: none.
        std::shared_ptr<PublishedStore> published_store;
        // Sees every denoise pass: its input and the flow.
        std::function<void(std::size_t step, const at::Tensor& input, const at::Tensor& flow)> on_step;
        std::function<void()> between_blocks; // DitPass::between_blocks of every pass
    };
    // The cache holds pages of four latents and shows everything (window_latents 0); its contents are of one chunk
    // only. With fast context it holds the walk: its sink the context's anchor, its window, if it has one, at least the
    // recent latents and a clip; a clip that has left the window is found no more.
    WorldPlayRollout(std::shared_ptr<const WorldPlayNet> dit, std::unique_ptr<quant::KvCache> cache, Config config,
                     NoiseSource noise, ViewOverlap overlap);
    WorldPlayRollout(std::shared_ptr<const WanDit> dit, std::unique_ptr<quant::KvCache> cache, Config config,
                     NoiseSource noise, ViewOverlap overlap)
        : WorldPlayRollout(worldplay_net(std::move(dit)), std::move(cache), std::move(config), std::move(noise),
                           std::move(overlap)) {}

    virtual ~WorldPlayRollout() = default;
    WorldPlayRollout(const WorldPlayRollout&) = delete;
    WorldPlayRollout& operator=(const WorldPlayRollout&) = delete;

    // What every attend() reads in front of the history, of all the network's heads (KvCache::set_text).
    virtual void set_text(std::vector<quant::TextRows> layers) { cache_->set_text(std::move(layers)); }

    // Begins a walk at a camera (label 0). picture: latent [C, h, w], WAN-5B's the encoder's normalised sample, the
    // 8B's its scaled mode; undefined: none, and the first latent comes out of noise in every network.
    virtual void start(const LatentCamera& camera, const at::Tensor& picture);

    // Cameras that the next chunk needs: three for the first one, whose latent 0 is the start, then four.
    int steered_latents() const { return next_ == 0 ? kLatentsPerChunk - 1 : kLatentsPerChunk; }

    // Optional, before the input of the next chunk is read: makes the context with cameras as they are expected to be.
    // The next generate() uses it if the real cameras choose the same context, else makes it again.
    virtual void prepare(std::span<const LatentCamera> expected);
    // What was prepared holds no longer, say under another text. Fast context and a published store keep what earlier
    // texts made.
    virtual void forget_prepared() { prepared_ = false; }

    // Denoises the next chunk. Returns clean latents [4, C, h, w], float32 (or double).
    virtual at::Tensor generate(std::span<const LatentCamera> cameras);

    std::int64_t next_latent() const { return next_; }
    const ContextChoice& context() const { return context_; } // of the newest context pass
    std::int64_t contexts_made_again() const { return made_again_; }

    WorldPlayHistory history() const;
    // history.latents: whole chunks, those of `cameras`. With fast context or a published store the next prepare() or
    // generate() makes the keys and values of all its chunks, one by one, under the text of now.
    virtual void restore(const WorldPlayHistory& history);

    quant::KvCache& cache() { return *cache_; }
    at::Device device() const { return dit_->device(); }
    bool start_latent_is_fixed() const { return config_.schedule.start_latent_is_fixed; }
    // Of the newest chunk and the newest context pass, which is the next chunk's after prepare(); on a GPU it waits for
    // both.
    RolloutTimes last_times() const;
    // Replaces Config::between_blocks; empty for none.
    void set_between_blocks(std::function<void()> between_blocks) {
        config_.between_blocks = std::move(between_blocks);
    }

private:
    std::vector<LatentCamera> with_new(std::span<const LatentCamera> cameras) const;
    ContextChoice choose(std::int64_t first, const std::vector<LatentCamera>& cameras) const;
    void make_context(const std::vector<LatentCamera>& cameras);
    void read_published_store(const std::vector<LatentCamera>& cameras);
    // Keys and values of `latents`, which read those of `history` and themselves.
    void store(const std::vector<std::int64_t>& history, const std::vector<std::int64_t>& latents,
               const std::vector<LatentCamera>& cameras);
    void begin_pass(const std::vector<std::int64_t>& history, const std::vector<std::int64_t>& chunk,
                    const std::vector<LatentCamera>& cameras);
    PropeMatrices matrices(const LatentCamera& camera) const;

    std::shared_ptr<const WorldPlayNet> dit_;
    std::unique_ptr<quant::KvCache> cache_;
    Config config_;
    NoiseSource noise_;
    ViewOverlap overlap_;
    StageClock clock_;
    quant::ReadView view_; // frequencies and angles stay, the rest is filled for each pass
    std::int64_t next_ = 0;
    std::int64_t stored_ = 0;           // latents whose keys and values the cache has; fast context
    std::vector<at::Tensor> latents_;   // [C, h, w] each, on the network's device
    std::vector<LatentCamera> cameras_; // of latents_; before the first chunk the start alone
    at::Tensor picture_;                // [1, C, h, w] or undefined
    ContextChoice context_;
    bool prepared_ = false;
    std::int64_t made_again_ = 0;
};

} // namespace wander
