#pragma once
// Runs the Self-Forcing cases: network, roll-out and cache out of case.json, inputs by name.

#include "generator/rollout/rollout.hpp"
#include "tests/support/golden.hpp"

#include <cmath>
#include <memory>

namespace wander::testing {

inline DitConfig self_forcing_config(const nlohmann::json& c) {
    DitConfig config;
    config.dim = c.at("dim");
    config.layers = c.at("layers");
    config.heads = c.at("heads");
    config.head_dim = c.at("head_dim");
    config.ffn = c.at("ffn");
    config.channels = c.at("channels");
    config.freq_dim = c.at("freq_dim");
    config.eps = c.at("eps");
    config.rope_theta = c.at("rope_theta");
    config.rope_time_channels = 2 * c.at("rope_pairs").at(0).get<int>();
    config.rope_row_channels = 2 * c.at("rope_pairs").at(1).get<int>();
    config.rope_col_channels = 2 * c.at("rope_pairs").at(2).get<int>();
    config.text_dim = c.at("text_dim");
    config.text_len = c.at("text_len");
    return config;
}

struct SelfForcingSetup {
    int local_attn_size = -1; // latents in view, sink and own chunk included; -1: all
    int sink_size = 0;
    std::string prefix; // of the inputs' names
    std::vector<int> chunk_frames;
    std::int64_t prefilled = 0;
    at::Device device = at::kCPU;
    at::ScalarType compute = at::kFloat;
};

class SelfForcingRun {
public:
    SelfForcingRun(const GoldenCase& golden, SelfForcingSetup setup)
        : golden_(golden), setup_(std::move(setup)), dit_(load(golden, setup_)) {
        dit_->set_text(golden.tensor("prompt/0"));
        const auto& c = golden.config();
        Rollout::Config config;
        config.sampler = SamplerConfig::self_forcing(c.at("shift"), c.at("step_list").get<std::vector<int>>());
        config.sampler.context_timestep = c.at("context_timestep");
        config.rows = c.at("lat_h");
        config.cols = c.at("lat_w");
        config.on_step = [this](int step, const at::Tensor& x, const at::Tensor& velocity) {
            if (on_step) on_step(step, x, velocity);
        };
        rollout_ = std::make_unique<Rollout>(dit_, make_cache(), config, noise());
    }

    quant::CacheShape cache_shape() const {
        const auto& c = golden_.config();
        quant::CacheShape shape;
        shape.layers = c.at("layers");
        shape.heads = c.at("heads");
        shape.head_dim = c.at("head_dim");
        shape.tokens_per_latent = c.at("tokens_per_frame");
        shape.page_latents = c.at("frames_per_chunk");
        shape.sink_latents = setup_.sink_size;
        if (setup_.local_attn_size > 0) {
            shape.window_latents = setup_.local_attn_size - setup_.sink_size - shape.page_latents;
        }
        return shape;
    }

    ChunkInput chunk(int latents) const {
        ChunkInput input;
        input.latents = latents;
        return input;
    }

    // The cached keys of a latent range as the reference keeps them: turned by RoPE, absolute positions, in double.
    at::Tensor roped_keys(int layer, std::int64_t first, int latents) {
        return rope(rollout_->cache().read_keys(layer, first, latents), first, +1);
    }
    at::Tensor rope(const at::Tensor& rows, std::int64_t first_latent, int direction) const {
        quant::ReadView view;
        dit_->fill_rope(view, golden_.config().at("lat_h").get<int>() / 2, golden_.config().at("lat_w").get<int>() / 2);
        return turn(rows, view, first_latent, direction);
    }
    static at::Tensor turn(const at::Tensor& rows, const quant::ReadView& view, std::int64_t first_latent,
                           int direction) {
        const std::int64_t tokens = view.space_angles.size(0);
        const std::int64_t latents = rows.size(0) / tokens;
        const std::int64_t time_pairs = view.time_frequencies.size(0);
        const std::int64_t pairs = time_pairs + view.space_angles.size(1);
        const at::Tensor position = at::arange(first_latent, first_latent + latents, at::kDouble);
        const at::Tensor time =
            at::outer(position, view.time_frequencies).unsqueeze(1).expand({latents, tokens, time_pairs});
        const at::Tensor space = view.space_angles.unsqueeze(0).expand({latents, tokens, pairs - time_pairs});
        const at::Tensor angle = at::cat({time, space}, 2).reshape({rows.size(0), 1, pairs}) * direction;
        const at::Tensor pair = rows.to(at::kCPU, at::kDouble).reshape({rows.size(0), rows.size(1), pairs, 2});
        const at::Tensor a = pair.select(-1, 0), b = pair.select(-1, 1);
        return at::stack({a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()}, -1).flatten(-2);
    }

    Rollout& rollout() { return *rollout_; }
    WanDit& dit() { return *dit_; }

    std::function<void(int, const at::Tensor&, const at::Tensor&)> on_step;

private:
    static std::shared_ptr<WanDit> load(const GoldenCase& golden, const SelfForcingSetup& setup) {
        return std::make_shared<WanDit>(
            unwrap(WanDit::load(self_forcing_config(golden.config()), golden.source(), setup.device, setup.compute)));
    }
    std::unique_ptr<quant::KvCache> make_cache() const {
        return unwrap(quant::KvCache::create(cache_shape(), {}, setup_.device, setup_.compute));
    }

    // The case names noise by chunk, the roll-out asks by absolute latent.
    NoiseSource noise() const {
        return [this](std::int64_t latent, int step, const std::vector<std::int64_t>&) {
            std::int64_t offset = latent - setup_.prefilled;
            std::size_t chunk = 0;
            const auto frames = [&](std::size_t index) {
                return setup_.chunk_frames.empty() ? golden_.config().at("frames_per_chunk").get<int>()
                                                   : setup_.chunk_frames.at(index);
            };
            while (offset >= frames(chunk)) offset -= frames(chunk++);
            const std::string name = step == 0
                                         ? "noise/chunk" + std::to_string(chunk)
                                         : "renoise/chunk" + std::to_string(chunk) + "/step" + std::to_string(step);
            return golden_.tensor(setup_.prefix + name)[offset];
        };
    }

    const GoldenCase& golden_;
    SelfForcingSetup setup_;
    std::shared_ptr<WanDit> dit_;
    std::unique_ptr<Rollout> rollout_;
};

} // namespace wander::testing
