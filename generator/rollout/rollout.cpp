#include "generator/rollout/rollout.hpp"

#include "generator/camera/prope.hpp"
#include "generator/device.hpp"
#include "generator/rollout/stage_clock.hpp"
#include "generator/rollout/store_matrix.hpp"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <future>
#include <utility>

namespace wander {
namespace {

enum Mark { denoise_begins, denoise_ends, context_begins, context_ends };

// For a GPU into pinned memory: a copy from there waits for nothing, neither the host for the passes before it nor they
// for the host.
at::Tensor for_device(const at::Tensor& drawn, at::Device device) {
    if (!device.is_cuda()) return drawn;
    return at::empty(drawn.sizes(), drawn.options().pinned_memory(true)).copy_(drawn);
}
// Likewise the other way: what is there only when the stream has come so far.
at::Tensor for_host(const at::Tensor& made) {
    if (!made.is_cuda()) return made;
    const at::Tensor kept = at::empty(made.sizes(), made.options().device(at::kCPU).pinned_memory(true));
    return kept.copy_(made, /*non_blocking=*/true);
}
at::Tensor to_device(const at::Tensor& drawn, at::Device device) { return drawn.to(device, /*non_blocking=*/true); }

} // namespace

struct Rollout::Impl {
    std::shared_ptr<const WanDit> dit;
    std::unique_ptr<quant::KvCache> cache;
    Config config;
    NoiseSource noise;
    StageClock clock;
    quant::ReadView view; // frequencies and angles stay, the rest is filled for each chunk
    std::int64_t next = 0;
    std::map<std::int64_t, Pose> poses; // of the latents that are visible
    std::vector<CleanChunk> clean;      // with keep_latents
    // Noise of the chunk after this one, CPU: drawn while the GPU works on this one.
    struct Drawn {
        at::Tensor values;
        std::int64_t first_latent = 0;
        int latents = 0;
    } ahead;

    void begin_chunk(const ChunkInput& input);
    void fill_cameras(const std::vector<std::int64_t>& history, const ChunkInput& input);
    void context_pass(const at::Tensor& latents, const ChunkInput& input);
    void keep(const at::Tensor& latents, const ChunkInput& input);
    DitPass pass_of(const at::Tensor& latents, const ChunkInput& input, double timestep) const;
    at::Tensor draw(std::int64_t first, int latents, int step) const;
    at::Tensor draw_all(std::int64_t first, int latents) const;
    // What was drawn ahead for this chunk, on the device; undefined where nothing was.
    at::Tensor take_noise(const ChunkInput& input);
    std::future<Drawn> draw_ahead(const ChunkInput& input) const;
    at::Tensor denoise(const ChunkInput& input, const at::Tensor& drawn) const;
};

void Rollout::Impl::begin_chunk(const ChunkInput& input) {
    const auto history = cache->visible_history(next);
    view.first_latent = next;
    view.latents = input.latents;
    view.history_positions.clear();
    view.new_positions.clear();
    for (std::size_t i = 0; i < history.size(); ++i) {
        view.history_positions.push_back(
            static_cast<float>(config.slot_positions ? static_cast<std::int64_t>(i) : history[i]));
    }
    const std::int64_t first = config.slot_positions ? static_cast<std::int64_t>(history.size()) : next;
    for (int i = 0; i < input.latents; ++i) view.new_positions.push_back(static_cast<float>(first + i));
    if (view.prope) fill_cameras(history, input);
    cache->begin_chunk(view);
}

// Every camera is taken relative to the newest position, so that a walk round the torus stays among small numbers.
void Rollout::Impl::fill_cameras(const std::vector<std::int64_t>& history, const ChunkInput& input) {
    TORCH_CHECK(static_cast<int>(input.poses.size()) == input.latents, "Rollout: one pose for each latent");
    const CameraModel camera{config.focal_x, config.focal_y, config.period, config.translation_scale};
    const Pose& anchor = input.poses.back();
    const auto matrices = [](std::size_t count) {
        return at::empty({static_cast<std::int64_t>(count), 4, 4}, at::kFloat);
    };
    view.history_inverse = matrices(history.size());
    view.new_projection = matrices(input.poses.size());
    view.new_inverse = matrices(input.poses.size());
    std::map<std::int64_t, Pose> visible;
    for (std::size_t i = 0; i < history.size(); ++i) {
        const Pose& pose = poses.at(history[i]);
        store_matrix(prope_inverse(pose, anchor, camera), view.history_inverse.data_ptr<float>() + i * 16);
        visible.emplace(history[i], pose);
    }
    for (std::size_t i = 0; i < input.poses.size(); ++i) {
        store_matrix(prope_projection(input.poses[i], anchor, camera), view.new_projection.data_ptr<float>() + i * 16);
        store_matrix(prope_inverse(input.poses[i], anchor, camera), view.new_inverse.data_ptr<float>() + i * 16);
        visible.emplace(next + static_cast<std::int64_t>(i), input.poses[i]);
    }
    poses = std::move(visible);
}

DitPass Rollout::Impl::pass_of(const at::Tensor& latents, const ChunkInput& input, double timestep) const {
    DitPass pass;
    pass.latents = latents;
    pass.timesteps.assign(static_cast<std::size_t>(input.latents), timestep);
    pass.labels = input.labels;
    pass.token_bias = input.token_bias;
    pass.between_blocks = config.between_blocks;
    return pass;
}

void Rollout::Impl::context_pass(const at::Tensor& latents, const ChunkInput& input) {
    DitPass pass = pass_of(latents, input, config.sampler.context_timestep);
    pass.context = true;
    dit->forward(pass, *cache);
    cache->commit();
    next += input.latents;
}

void Rollout::Impl::keep(const at::Tensor& latents, const ChunkInput& input) {
    clean.push_back({next - input.latents, for_host(latents), input.labels, input.poses, input.steering});
    const auto latent_bytes = static_cast<std::int64_t>(latents.nbytes()) / input.latents;
    forget_oldest(clean, cache->shape(), config.kept_bytes / latent_bytes);
}

at::Tensor Rollout::Impl::draw(std::int64_t first, int latents, int step) const {
    const std::vector<std::int64_t> shape = {dit->config().channels, config.rows, config.cols};
    std::vector<at::Tensor> parts;
    parts.reserve(static_cast<std::size_t>(latents));
    for (int i = 0; i < latents; ++i) parts.push_back(noise(first + i, step, shape));
    return at::stack(parts);
}

// Everything a chunk needs: [steps, latents, C, h, w], CPU.
at::Tensor Rollout::Impl::draw_all(std::int64_t first, int latents) const {
    const std::size_t count = config.sampler.kind == SamplerConfig::Kind::renoise ? config.sampler.timesteps.size() : 1;
    std::vector<at::Tensor> drawn;
    drawn.reserve(count);
    for (std::size_t step = 0; step < count; ++step) drawn.push_back(draw(first, latents, static_cast<int>(step)));
    return at::stack(drawn);
}

at::Tensor Rollout::Impl::take_noise(const ChunkInput& input) {
    const bool at_hand = ahead.values.defined() && ahead.first_latent == next && ahead.latents == input.latents;
    const at::Tensor values = at_hand ? to_device(ahead.values, dit->device()) : at::Tensor();
    ahead = {};
    return values;
}

// Drawing takes the host tens of milliseconds at 480x832, in which a GPU would have nothing to do. One thread beside
// this one, which has passes to hand over; nothing else draws meanwhile.
std::future<Rollout::Impl::Drawn> Rollout::Impl::draw_ahead(const ChunkInput& input) const {
    if (!config.draw_ahead || !dit->device().is_cuda()) return {};
    return std::async(std::launch::async, [this, first = next + input.latents, latents = input.latents] {
        set_own_thread_count(1);
        return Drawn{for_device(draw_all(first, latents), dit->device()), first, latents};
    });
}

// Where nothing was drawn ahead, in a walk's first chunk, each step's noise is drawn when it is due: a GPU then has the
// first pass to do while the host draws for the second.
at::Tensor Rollout::Impl::denoise(const ChunkInput& input, const at::Tensor& drawn) const {
    const SamplerConfig& sampler = config.sampler;
    const std::size_t steps = sampler.timesteps.size();
    const auto noise_of = [&](std::size_t step) {
        if (drawn.defined()) return drawn[static_cast<std::int64_t>(step)];
        return to_device(for_device(draw(next, input.latents, static_cast<int>(step)), dit->device()), dit->device());
    };
    at::Tensor x = noise_of(0);
    for (std::size_t step = 0; step < steps; ++step) {
        const at::Tensor velocity = dit->forward(pass_of(x, input, sampler.timesteps[step]), *cache);
        if (config.on_step) config.on_step(static_cast<int>(step), x, velocity);
        const auto type = velocity.scalar_type();
        if (sampler.kind == SamplerConfig::Kind::euler) {
            const double end = step + 1 < steps ? sampler.sigmas[step + 1] : 0.0;
            x = at::add(x.to(type), velocity, end - sampler.sigmas[step]);
            continue;
        }
        // The reference subtracts in double and adds noise in the type of the latents.
        x = at::sub(x.to(at::kDouble), velocity.to(at::kDouble), sampler.sigmas[step]).to(type);
        if (step + 1 < steps) {
            const double sigma = sampler.sigmas[step + 1];
            x = at::add(x * (1 - sigma), noise_of(step + 1).to(type), sigma);
        }
    }
    return x;
}

Rollout::Rollout(std::shared_ptr<const WanDit> dit, std::unique_ptr<quant::KvCache> cache, Config config,
                 NoiseSource noise) {
    TORCH_CHECK(config.sampler.timesteps.size() == config.sampler.sigmas.size() && !config.sampler.timesteps.empty(),
                "Rollout: one sigma for each timestep, at least one");
    const at::Device device = dit->device();
    impl_ = std::shared_ptr<Impl>(new Impl{
        std::move(dit), std::move(cache), std::move(config), std::move(noise), StageClock(device), {}, 0, {}, {}, {}});
    impl_->view.prope = impl_->dit->config().prope;
    impl_->dit->fill_rope(impl_->view, impl_->config.rows / 2, impl_->config.cols / 2);
}

void Rollout::prefill(const at::Tensor& latents, const ChunkInput& input) {
    TORCH_CHECK(latents.dim() == 4 && latents.size(0) == input.latents, "Rollout: prefill takes [latents, C, h, w]");
    impl_->begin_chunk(input);
    const at::Tensor there = latents.to(impl_->dit->device());
    impl_->context_pass(there, input);
    if (impl_->config.keep_latents) impl_->keep(there, input);
}

at::Tensor Rollout::generate(const ChunkInput& input, const std::function<void(const at::Tensor&)>& denoised) {
    impl_->clock.mark(denoise_begins);
    impl_->begin_chunk(input);
    const at::Tensor drawn = impl_->take_noise(input);
    std::future<Impl::Drawn> ahead = impl_->draw_ahead(input);
    const at::Tensor latents = impl_->denoise(input, drawn);
    impl_->clock.mark(denoise_ends);
    if (denoised) denoised(latents);
    impl_->clock.mark(context_begins);
    impl_->context_pass(latents, input);
    impl_->clock.mark(context_ends);
    if (impl_->config.keep_latents) impl_->keep(latents, input);
    if (ahead.valid()) impl_->ahead = ahead.get();
    return latents;
}

void Rollout::rebuild_history(const std::function<at::Tensor(const std::vector<Pose>&)>& token_bias) {
    Impl& impl = *impl_;
    TORCH_CHECK(impl.config.keep_latents, "Rollout: clean latents were not kept");
    impl.cache->clear();
    if (impl.clean.empty()) return;
    const auto from = first_rebuilt(impl.clean, impl.cache->shape());
    TORCH_CHECK(from && impl.clean.back().end_latent() == impl.next, "Rollout: the newest chunks were not kept");
    for (std::size_t i = 0; i < impl.clean.size(); ++i) {
        const CleanChunk& chunk = impl.clean[i];
        if (i < *from && chunk.first_latent >= impl.cache->shape().sink_latents) continue;
        ChunkInput input;
        input.latents = static_cast<int>(chunk.latents.size(0));
        input.labels = chunk.labels;
        input.poses = chunk.poses;
        if (token_bias) input.token_bias = token_bias(chunk.poses);
        impl.cache->skip_to(chunk.first_latent);
        impl.next = chunk.first_latent;
        impl.begin_chunk(input);
        impl.context_pass(to_device(chunk.latents, impl.dit->device()), input);
    }
}

const std::vector<CleanChunk>& Rollout::clean_chunks() const {
    const at::Device device = impl_->dit->device();
    if (device.is_cuda()) c10::impl::VirtualGuardImpl(at::kCUDA).getStream(device).synchronize();
    return impl_->clean;
}

void Rollout::restore(std::vector<CleanChunk> chunks) {
    reset();
    impl_->clean = std::move(chunks);
    impl_->next = impl_->clean.empty() ? 0 : impl_->clean.back().end_latent();
}

void Rollout::set_next_latent(std::int64_t latent) { impl_->next = latent; }

std::int64_t Rollout::next_latent() const { return impl_->next; }

quant::KvCache& Rollout::cache() { return *impl_->cache; }

RolloutTimes Rollout::last_times() const {
    return {impl_->clock.ms_between(denoise_begins, denoise_ends),
            impl_->clock.ms_between(context_begins, context_ends)};
}

void Rollout::set_between_blocks(std::function<void()> between_blocks) {
    impl_->config.between_blocks = std::move(between_blocks);
}

void Rollout::reset() {
    impl_->cache->clear();
    impl_->poses.clear();
    impl_->clean.clear();
    impl_->ahead = {};
    impl_->next = 0;
}

} // namespace wander
