#pragma once
// The shipped world's transformer, walking and training, in float32 on the CPU.

#include "generator/rollout/rollout.hpp"
#include "generator/train/clip.hpp"
#include "generator/train/parameters.hpp"
#include "generator/weights/safetensors.hpp"
#include "generator/world/embedded_world.hpp"

#include <ATen/ATen.h>

#include <memory>
#include <stdexcept>

namespace wander::test {

template <typename T>
T value_of(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
}

inline train::TensorSource tensors_of(const Safetensors& file) {
    return [file](const std::string& name, const std::vector<std::int64_t>& shape) { return file.tensor(name, shape); };
}

struct ShippedWorld {
    EmbeddedWorld world = value_of(EmbeddedWorld::read(WANDER_SOURCE_DIR "/assets/world"));
    Safetensors file = value_of(Safetensors::open(world.folder / "dit.safetensors"));
    train::Parameters parameters =
        value_of(train::Parameters::load(world.dit.tensor_shapes(), tensors_of(file), at::kCPU, "transformer"));
    std::shared_ptr<const WanDit> walking =
        std::make_shared<WanDit>(value_of(WanDit::load(world.dit, parameters.source(), at::kCPU, at::kFloat)));

    train::LatentGeometry geometry() const {
        return {world.latent_rows(), world.latent_cols(), world.camera, world.sampler.context_timestep};
    }
    Rollout::Config rollout_config() const { return rollout_config(geometry(), world.sampler); }

    static Rollout::Config rollout_config(const train::LatentGeometry& geometry, const SamplerConfig& sampler) {
        Rollout::Config config;
        config.sampler = sampler;
        config.sampler.context_timestep = geometry.context_timestep;
        config.rows = geometry.rows;
        config.cols = geometry.cols;
        config.slot_positions = true;
        config.period = geometry.camera.period;
        config.translation_scale = geometry.camera.translation_scale;
        config.focal_x = geometry.camera.focal_x;
        config.focal_y = geometry.camera.focal_y;
        return config;
    }
};

inline const ShippedWorld& shipped_world() {
    static const ShippedWorld world;
    return world;
}

inline std::unique_ptr<quant::KvCache> cache_for(const DitConfig& dit, const train::LatentGeometry& geometry,
                                                 int window, at::ScalarType type) {
    quant::CacheShape shape;
    shape.layers = dit.layers;
    shape.heads = dit.heads;
    shape.head_dim = dit.head_dim;
    shape.tokens_per_latent = geometry.tokens();
    shape.page_latents = 4;
    shape.sink_latents = 1;
    shape.window_latents = window;
    return value_of(quant::KvCache::create(shape, quant::CachePolicy{}, at::kCPU, type));
}

inline ChunkInput chunk_input(const WanDit& dit, const train::LatentGeometry& geometry, const Pose& pose, int label,
                              int world) {
    ChunkInput input;
    input.labels = {label};
    input.poses = {pose};
    input.token_bias =
        dit.pose_tokens(pose.x, pose.z, pose.yaw, pose.pitch, world, geometry.rows / 2, geometry.cols / 2);
    return input;
}

} // namespace wander::test
