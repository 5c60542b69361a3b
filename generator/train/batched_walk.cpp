#include "generator/train/batched_walk.hpp"

#include "generator/train/dit_parts.hpp"
#include "generator/train/history_rotation.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace wander::train {

struct BatchedWalk::Impl {
    DitConfig config;
    LatentGeometry geometry;
    BatchedWalkConfig walk;
    at::Device device;
    at::ScalarType compute;
    PoseFeatures features;
    RopeTable slots;  // sink, window, new chunk
    at::Tensor ranks; // [window, 1 + window] int64: ranks of the slots, by which ring index is the oldest
    DitWeights weights;

    // Slot 0 is the sink; the others are a ring over the window.
    std::vector<at::Tensor> keys, values;                 // of each layer [R, 1 + window, T, D], compute type
    std::vector<at::Tensor> rotated_keys, rotated_values; // [R, (2 + window) T, 2 H, 64]: history, then the new chunk
    at::Tensor cameras;                                   // [R, 1 + window, 4]
    at::Tensor worlds, with_pose;
    std::int64_t filled = 0; // slots in use
    std::int64_t oldest = 0; // ring index (slot - 1) that is overwritten next, once all are in use

    // Of the present chunk.
    Turns turns;
    at::Tensor pose; // wide [R, 1, T, D]
    at::Tensor camera;

    Impl(const DitConfig& dit, const LatentGeometry& latent, BatchedWalkConfig config_of_walk, at::Device on,
         at::ScalarType type)
        : config(dit),
          geometry(latent),
          walk(std::move(config_of_walk)),
          device(on),
          compute(type),
          features(dit, latent, on),
          slots(rope_table(dit, latent, walk.window + 2, on, wide_type(type))) {
        std::vector<std::int64_t> table;
        for (int first = 0; first < walk.window; ++first) {
            table.push_back(0);
            for (int i = 0; i < walk.window; ++i) table.push_back(1 + (i - first + walk.window) % walk.window);
        }
        ranks = at::tensor(table, at::kLong).view({walk.window, 1 + walk.window}).to(on);
    }

    std::int64_t tokens() const { return geometry.tokens(); }
    void make_room(std::int64_t walks);
    void begin_chunk(const at::Tensor& new_cameras);
    void rotate_all(const at::Tensor& anchor);
    at::Tensor slot_positions() const;
    at::Tensor embed(const at::Tensor& latents) const;
    at::Tensor attention(std::size_t layer, const at::Tensor& qkv);
    void store(std::size_t layer, std::int64_t slot, const at::Tensor& key, const at::Tensor& value);
    at::Tensor run(const at::Tensor& latents, double timestep, const at::Tensor& labels, bool context);
    void context_pass(const at::Tensor& latents, const at::Tensor& labels);
};

void BatchedWalk::Impl::make_room(std::int64_t walks) {
    if (!keys.empty() && keys[0].size(0) == walks) return;
    keys.clear();
    values.clear();
    rotated_keys.clear();
    rotated_values.clear();
    const at::TensorOptions options = at::TensorOptions(device).dtype(compute);
    for (int layer = 0; layer < config.layers; ++layer) {
        for (auto* ring : {&keys, &values})
            ring->push_back(at::empty({walks, 1 + walk.window, tokens(), config.dim}, options));
        for (auto* rotated : {&rotated_keys, &rotated_values}) {
            rotated->push_back(at::empty(
                {walks, (2 + walk.window) * tokens(), 2 * std::int64_t{config.heads}, config.head_dim}, options));
        }
    }
    cameras = at::zeros({walks, 1 + walk.window, 4}, at::TensorOptions(device).dtype(at::kFloat));
}

// Rank of each used slot: the sink 0, then from the oldest latent to the newest. From a table, since a copy from the
// host would wait for the device.
at::Tensor BatchedWalk::Impl::slot_positions() const {
    return ranks.select(0, filled == 1 + walk.window ? oldest : 0).narrow(0, 0, filled);
}

void BatchedWalk::Impl::rotate_all(const at::Tensor& anchor) {
    const at::Tensor positions = slot_positions();
    HistoryRotation history;
    history.cos = slots.cos.index_select(0, positions);
    history.sin = slots.sin.index_select(0, positions);
    history.camera_inverse =
        camera_matrices(cameras.narrow(1, 0, filled), anchor, geometry.camera, wide_type(compute)).inverse;
    for (std::size_t layer = 0; layer < keys.size(); ++layer) {
        history.keys = keys[layer].narrow(1, 0, filled);
        history.values = values[layer].narrow(1, 0, filled);
        rotate_history(history, rotated_keys[layer], rotated_values[layer]);
    }
}

void BatchedWalk::Impl::begin_chunk(const at::Tensor& new_cameras) {
    camera = new_cameras.to(device, at::kFloat).unsqueeze(1); // [R, 1, 4]
    const at::Tensor anchor = camera.select(1, 0).narrow(1, 0, 2);
    const CameraMatrices own = camera_matrices(camera, anchor, geometry.camera, wide_type(compute));
    turns = {slots.cos.narrow(0, filled, 1), slots.sin.narrow(0, filled, 1), own.projection, own.inverse};
    pose = pose_tokens(weights, features, camera, worlds, with_pose, compute);
    if (filled > 0) rotate_all(anchor);
}

at::Tensor BatchedWalk::Impl::embed(const at::Tensor& latents) const {
    return weights.patch(to_patches(latents.to(wide_type(compute)).unsqueeze(1))) + pose;
}

// qkv [R, 1, T, 3 D] -> what the chunk reads from history and itself, [R, T, 2 H, 64].
at::Tensor BatchedWalk::Impl::attention(std::size_t layer, const at::Tensor& qkv) {
    const BlockWeights& block = weights.blocks[layer];
    const TurnedQkv turned = rotate_qkv(qkv, block.norm_q, block.norm_k, turns, config.eps);
    const std::int64_t before = filled * tokens();
    rotated_keys[layer].narrow(1, before, tokens()).copy_(turned.k);
    rotated_values[layer].narrow(1, before, tokens()).copy_(turned.v);
    const auto seen = [&](const at::Tensor& rotated) {
        return rotated.narrow(1, 0, before + tokens()).transpose(1, 2);
    };
    const at::Tensor q = turned.q.transpose(1, 2), k = seen(rotated_keys[layer]), v = seen(rotated_values[layer]);
    // Histories of many lengths while the window fills: an engine that is not planned for each of them.
    const bool flash = q.is_cuda() && compute == at::kBFloat16;
    const at::Tensor o = flash ? std::get<0>(at::_scaled_dot_product_flash_attention(q, k, v))
                               : at::scaled_dot_product_attention(q, k, v);
    return o.transpose(1, 2).contiguous();
}

// key, value: products [R, 1, T, D]; the key is normed here.
void BatchedWalk::Impl::store(std::size_t layer, std::int64_t slot, const at::Tensor& key, const at::Tensor& value) {
    const at::Tensor exact = key.select(1, 0).to(wide_type(compute));
    const at::Tensor normed =
        exact * at::rsqrt(exact.square().mean(-1, true) + config.eps) * weights.blocks[layer].norm_k;
    keys[layer].select(1, slot).copy_(normed);
    values[layer].select(1, slot).copy_(value.select(1, 0));
}

// Velocity [R, C, h, w]; nothing for a context pass, which stores keys and values and stops with the last ones.
at::Tensor BatchedWalk::Impl::run(const at::Tensor& latents, double timestep, const at::Tensor& labels, bool context) {
    const std::int64_t dim = config.dim;
    const at::Tensor label_rows = labels.to(device, at::kFloat).view({-1, 1});
    const Modulation modulation = modulation_of(weights, config, at::full_like(label_rows, timestep), label_rows);
    const std::int64_t slot = filled < 1 + walk.window ? filled : 1 + oldest;
    at::Tensor x = embed(latents);
    at::Tensor h = norm_modulate(x, modulation.blocks[0][0], modulation.blocks[0][1], config.eps, compute);
    const std::size_t last = weights.blocks.size() - 1;
    for (std::size_t layer = 0; layer <= last; ++layer) {
        const BlockWeights& block = weights.blocks[layer];
        const auto& factors = modulation.blocks[layer];
        if (context && layer == last) {
            const LinearWeights kv{block.qkv.weight.narrow(0, dim, 2 * dim), block.qkv.bias.narrow(0, dim, 2 * dim)};
            const at::Tensor both = kv(h);
            store(layer, slot, both.narrow(3, 0, dim), both.narrow(3, dim, dim));
            return {};
        }
        const at::Tensor qkv = block.qkv(h);
        if (context) store(layer, slot, qkv.narrow(3, dim, dim), qkv.narrow(3, 2 * dim, dim));
        const at::Tensor y = block.out(unrotate_joined(attention(layer, qkv), turns.camera));
        const AddedAndNormed middle = gated_add_norm(x, y, factors[2], factors[3], factors[4], config.eps, compute);
        const at::Tensor z = block.ffn_2(at::gelu(block.ffn_0(middle.h), "tanh"));
        const bool end = layer == last;
        const at::Tensor& shift = end ? modulation.head_shift : modulation.blocks[layer + 1][0];
        const at::Tensor& scale = end ? modulation.head_scale : modulation.blocks[layer + 1][1];
        const AddedAndNormed next =
            gated_add_norm(middle.x, z, factors[5], shift, scale, config.eps, end ? wide_type(compute) : compute);
        x = next.x;
        h = next.h;
    }
    return from_patches(weights.head(h), geometry).select(1, 0);
}

void BatchedWalk::Impl::context_pass(const at::Tensor& latents, const at::Tensor& labels) {
    run(latents, geometry.context_timestep, labels, true);
    const bool full = filled == 1 + walk.window;
    cameras.select(1, full ? 1 + oldest : filled).copy_(camera.select(1, 0));
    if (full) {
        oldest = (oldest + 1) % walk.window;
    } else {
        ++filled;
    }
}

BatchedWalk::BatchedWalk(const DitConfig& config, const LatentGeometry& geometry, BatchedWalkConfig walk,
                         at::Device device, at::ScalarType compute) {
    TORCH_CHECK(walk.window > 0 && !walk.sigmas.empty(), "BatchedWalk: a window and at least one step");
    const c10::NoGradGuard no_gradients;
    impl_ = std::make_unique<Impl>(config, geometry, std::move(walk), device, compute);
}
BatchedWalk::~BatchedWalk() = default;
BatchedWalk::BatchedWalk(BatchedWalk&&) noexcept = default;
BatchedWalk& BatchedWalk::operator=(BatchedWalk&&) noexcept = default;

void BatchedWalk::set_weights(const Parameters& parameters) {
    const c10::NoGradGuard no_gradients;
    impl_->weights = dit_weights(parameters, impl_->config, impl_->compute);
}

void BatchedWalk::begin(const at::Tensor& latents, const at::Tensor& cameras, const at::Tensor& worlds,
                        const at::Tensor& with_pose) {
    const c10::NoGradGuard no_gradients;
    Impl& impl = *impl_;
    TORCH_CHECK(!impl.weights.blocks.empty(), "BatchedWalk: weights come first");
    impl.make_room(latents.size(0));
    impl.filled = 0;
    impl.oldest = 0;
    impl.worlds = worlds.to(impl.device);
    impl.with_pose = with_pose.defined() ? with_pose.to(impl.device) : at::Tensor();
    push(latents, cameras, at::zeros({latents.size(0)}, at::kFloat));
}

void BatchedWalk::push(const at::Tensor& latents, const at::Tensor& cameras, const at::Tensor& labels) {
    const c10::NoGradGuard no_gradients;
    impl_->begin_chunk(cameras);
    impl_->context_pass(latents.to(impl_->device), labels);
}

BatchedWalk::Chunk BatchedWalk::generate(const at::Tensor& noise, const at::Tensor& cameras, const at::Tensor& labels) {
    const c10::NoGradGuard no_gradients;
    Impl& impl = *impl_;
    TORCH_CHECK(impl.filled > 0, "BatchedWalk: begin() comes first");
    impl.begin_chunk(cameras);
    Chunk chunk;
    at::Tensor x = noise.to(impl.device, wide_type(impl.compute));
    const std::vector<double>& sigmas = impl.walk.sigmas;
    for (std::size_t step = 0; step < sigmas.size(); ++step) {
        chunk.middle = x;
        const at::Tensor velocity = impl.run(x, sigmas[step] * 1000, labels, false);
        x = at::add(x, velocity, (step + 1 < sigmas.size() ? sigmas[step + 1] : 0.0) - sigmas[step]);
    }
    chunk.latents = x;
    impl.context_pass(x, labels);
    return chunk;
}

std::int64_t BatchedWalk::walks() const { return impl_->keys.empty() ? 0 : impl_->keys[0].size(0); }

} // namespace wander::train
