#include "generator/rollout/worldplay_rollout.hpp"

#include "generator/rollout/published_store.hpp"
#include "generator/rollout/store_matrix.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace wander {

namespace {

enum Mark { denoise_begins, denoise_ends, context_begins, context_ends };

std::vector<std::int64_t> range(std::int64_t first, std::int64_t count) {
    std::vector<std::int64_t> list(static_cast<std::size_t>(count));
    std::iota(list.begin(), list.end(), first);
    return list;
}

} // namespace

WorldPlayRollout::WorldPlayRollout(std::shared_ptr<const WorldPlayNet> dit, std::unique_ptr<quant::KvCache> cache,
                                   Config config, NoiseSource noise, ViewOverlap overlap)
    : dit_(std::move(dit)),
      cache_(std::move(cache)),
      config_(std::move(config)),
      noise_(std::move(noise)),
      overlap_(std::move(overlap)),
      clock_(dit_->device()) {
    TORCH_CHECK(config_.schedule.context.valid(), "WorldPlayRollout: rules of context do not add up");
    if (config_.fast_context) {
        const quant::CacheShape& shape = cache_->shape();
        const ContextRules& rules = config_.schedule.context;
        TORCH_CHECK(
            shape.window_latents <= 0 ||
                (shape.sink_latents >= rules.anchor && shape.window_latents >= rules.recent + rules.clip),
            "WorldPlayRollout: fast context needs a cache that keeps the anchor, the recent latents and a clip");
    }
    TORCH_CHECK(!config_.published_store ||
                    (!config_.fast_context && dit_->prope() && dit_->device().is_cpu() && cache_->format() == "bf16"),
                "WorldPlayRollout: a published store is for an uncompressed cache and two branches on the CPU");
    view_.prope = dit_->prope();
    dit_->fill_rope(view_, config_.rows, config_.cols);
}

void WorldPlayRollout::start(const LatentCamera& camera, const at::Tensor& picture) {
    cache_->clear();
    if (config_.published_store) {
        config_.published_store->clear();
        cache_->set_text({});
    }
    latents_.clear();
    cameras_.assign(1, camera);
    cameras_.front().label = 0;
    picture_ = picture.defined() ? picture.unsqueeze(0).to(dit_->device()) : at::Tensor();
    next_ = 0;
    stored_ = 0;
    context_ = {};
    prepared_ = false;
}

std::vector<LatentCamera> WorldPlayRollout::with_new(std::span<const LatentCamera> cameras) const {
    TORCH_CHECK(!cameras_.empty(), "WorldPlayRollout: start() before the first chunk");
    TORCH_CHECK(std::ssize(cameras) == steered_latents(), "WorldPlayRollout: the next chunk needs ", steered_latents(),
                " cameras");
    std::vector<LatentCamera> all = cameras_;
    all.insert(all.end(), cameras.begin(), cameras.end());
    return all;
}

PropeMatrices WorldPlayRollout::matrices(const LatentCamera& camera) const {
    return config_.published_prope ? prope_matrices_bf16(camera.world_to_camera, camera.focal)
                                   : prope_matrices(camera.world_to_camera, camera.focal);
}

// The cache counts latents as they stand in the context: 0..n-1, then the chunk. So do the time positions. With fast
// context the cache counts the walk's, and the time positions alone begin anew. What a published store holds is no
// history to the cache, but has its time positions.
void WorldPlayRollout::begin_pass(const std::vector<std::int64_t>& history, const std::vector<std::int64_t>& chunk,
                                  const std::vector<LatentCamera>& cameras) {
    const std::size_t before = config_.published_store ? static_cast<std::size_t>(chunk.front()) : history.size();
    ChunkPositions positions = reframed_positions(before, static_cast<int>(chunk.size()));
    positions.context.resize(history.size());
    view_.first_latent = config_.fast_context ? chunk.front() : std::ssize(history);
    if (config_.fast_context) view_.chosen = history;
    view_.latents = static_cast<int>(chunk.size());
    view_.history_positions = positions.context;
    view_.new_positions = positions.chunk;
    view_.history_inverse = at::empty({std::ssize(history), 4, 4}, at::kFloat);
    view_.new_projection = at::empty({std::ssize(chunk), 4, 4}, at::kFloat);
    view_.new_inverse = at::empty({std::ssize(chunk), 4, 4}, at::kFloat);
    for (std::size_t i = 0; i < history.size(); ++i) {
        store_matrix(matrices(cameras[static_cast<std::size_t>(history[i])]).inverse,
                     view_.history_inverse.mutable_data_ptr<float>() + 16 * i);
    }
    for (std::size_t i = 0; i < chunk.size(); ++i) {
        const PropeMatrices pair = matrices(cameras[static_cast<std::size_t>(chunk[i])]);
        store_matrix(pair.projection, view_.new_projection.mutable_data_ptr<float>() + 16 * i);
        store_matrix(pair.inverse, view_.new_inverse.mutable_data_ptr<float>() + 16 * i);
    }
    cache_->begin_chunk(view_);
}

ContextChoice WorldPlayRollout::choose(std::int64_t first, const std::vector<LatentCamera>& cameras) const {
    if (config_.published_store) {
        ContextChoice everything;
        everything.latents = range(0, first);
        return everything;
    }
    const int window = config_.fast_context ? cache_->shape().window_latents : 0;
    const std::span until(cameras.data(), std::min(cameras.size(), static_cast<std::size_t>(first) + kLatentsPerChunk));
    return choose_context(config_.schedule.context, first, until, overlap_, window > 0 ? first - window : 0);
}

// All chosen latents at once: they see each other in both directions, and nothing else. Fast context: the chunks that
// are not stored yet, each of which sees itself and the context it was made with.
void WorldPlayRollout::make_context(const std::vector<LatentCamera>& cameras) {
    clock_.mark(context_begins);
    if (config_.fast_context) {
        for (; stored_ < next_; stored_ += kLatentsPerChunk)
            store(choose(stored_, cameras).latents, range(stored_, kLatentsPerChunk), cameras);
    } else if (config_.published_store) {
        read_published_store(cameras);
    } else {
        cache_->clear();
        if (!context_.latents.empty()) store({}, context_.latents, cameras);
    }
    clock_.mark(context_ends);
}

// Of the pass over all earlier latents only the newest chunk's keys and values are kept, beside older ones as they
// were.
void WorldPlayRollout::read_published_store(const std::vector<LatentCamera>& cameras) {
    PublishedStore& published = *config_.published_store;
    while (published.latents() < next_) {
        cache_->set_text({});
        cache_->clear();
        store({}, range(0, published.latents() + kLatentsPerChunk), cameras);
        published.take(*cache_, view_);
    }
    cache_->clear();
    cache_->set_text(published.rows());
}

void WorldPlayRollout::store(const std::vector<std::int64_t>& history, const std::vector<std::int64_t>& latents,
                             const std::vector<LatentCamera>& cameras) {
    begin_pass(history, latents, cameras);
    WorldPlayPass pass;
    if (latents.front() == 0) pass.picture = picture_;
    std::vector<at::Tensor> chosen;
    for (const std::int64_t latent : latents) {
        chosen.push_back(latents_[static_cast<std::size_t>(latent)]);
        pass.labels.push_back(cameras[static_cast<std::size_t>(latent)].label);
    }
    pass.latents = at::stack(chosen);
    pass.timesteps.assign(chosen.size(), config_.schedule.sampler.context_timestep);
    pass.context = true;
    pass.between_blocks = config_.between_blocks;
    dit_->forward(pass, *cache_);
    cache_->commit();
}

void WorldPlayRollout::prepare(std::span<const LatentCamera> expected) {
    const auto cameras = with_new(expected);
    context_ = choose(next_, cameras);
    make_context(cameras);
    prepared_ = true;
}

at::Tensor WorldPlayRollout::generate(std::span<const LatentCamera> cameras) {
    const auto all = with_new(cameras);
    ContextChoice choice = choose(next_, all);
    const bool usable = prepared_ && (config_.fast_context || choice.latents == context_.latents);
    if (prepared_ && !usable) ++made_again_;
    context_ = std::move(choice);
    if (!usable) make_context(all);
    prepared_ = false;

    clock_.mark(denoise_begins);
    const SamplerConfig& sampler = config_.schedule.sampler;
    const WorldPlayChunk chunk =
        plan_chunk(config_.schedule, next_, context_.latents.size(), next_ == 0 && picture_.defined());
    const auto indices = range(next_, kLatentsPerChunk);
    const std::vector<std::int64_t> shape = {dit_->channels(), config_.rows, config_.cols};
    std::vector<at::Tensor> drawn;
    drawn.reserve(indices.size());
    for (const std::int64_t latent : indices) drawn.push_back(noise_(latent, 0, shape));
    at::Tensor x = at::stack(drawn).to(dit_->device());
    if (chunk.fixed > 0) x = at::cat({picture_.to(x.scalar_type()), x.narrow(0, chunk.fixed, x.size(0) - chunk.fixed)});

    begin_pass(config_.published_store ? std::vector<std::int64_t>{} : context_.latents, indices, all);
    WorldPlayPass pass;
    if (next_ == 0) pass.picture = picture_;
    for (const std::int64_t latent : indices) pass.labels.push_back(all[static_cast<std::size_t>(latent)].label);
    pass.between_blocks = config_.between_blocks;
    for (std::size_t step = 0; step < sampler.timesteps.size(); ++step) {
        pass.latents = x;
        pass.timesteps = chunk.timesteps(sampler, step);
        const at::Tensor flow = dit_->forward(pass, *cache_);
        if (config_.on_step) config_.on_step(step, x, flow);
        x = euler_step(sampler, step, x.to(flow.scalar_type()), flow, chunk.fixed);
    }
    clock_.mark(denoise_ends);
    for (const at::Tensor& latent : x.unbind()) latents_.push_back(latent);
    cameras_ = all;
    next_ += kLatentsPerChunk;
    return x;
}

RolloutTimes WorldPlayRollout::last_times() const {
    return {clock_.ms_between(denoise_begins, denoise_ends), clock_.ms_between(context_begins, context_ends)};
}

WorldPlayHistory WorldPlayRollout::history() const {
    WorldPlayHistory history;
    history.cameras = cameras_;
    if (!latents_.empty()) history.latents = at::stack(latents_);
    if (picture_.defined()) history.picture = picture_[0];
    return history;
}

void WorldPlayRollout::restore(const WorldPlayHistory& history) {
    TORCH_CHECK(history.latents.defined() && history.latents.size(0) == std::ssize(history.cameras) &&
                    history.latents.size(0) % kLatentsPerChunk == 0,
                "WorldPlayRollout: a history has a camera for each latent of its whole chunks");
    WorldPlayRollout::start(history.cameras.front(), history.picture); // not what a derived loop makes of it
    cameras_ = history.cameras;
    for (const at::Tensor& latent : history.latents.to(dit_->device()).unbind()) latents_.push_back(latent.clone());
    next_ = history.latents.size(0);
}

} // namespace wander
