#pragma once
// What the goldens of both HY-WorldPlay networks have in common: cameras, a cache, what a roll-out is fed with, views,
// and keys as the reference keeps them.

#include "generator/camera/latent_camera.hpp"
#include "generator/memory/context_choice.hpp"
#include "generator/rollout/worldplay_rollout.hpp"
#include "tests/support/golden.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

namespace wander::testing {

// [1, C, T, h, w] <-> [T, C, h, w]
inline at::Tensor frames_first(const at::Tensor& clip) { return clip[0].transpose(0, 1).contiguous(); }
inline at::Tensor channels_first(const at::Tensor& frames) { return frames.transpose(0, 1).unsqueeze(0).contiguous(); }

// From two outputs of the case and, where it has one, the third.
inline std::vector<LatentCamera> cameras_of(const GoldenCase& golden, const std::string& matrices_name,
                                            const std::string& lens_name, const std::string& label_name) {
    const at::Tensor matrices = golden.output(matrices_name).to(at::kDouble).contiguous();
    const at::Tensor k = golden.output(lens_name).to(at::kDouble);
    std::vector<LatentCamera> cameras(static_cast<std::size_t>(matrices.size(0)));
    for (std::size_t i = 0; i < cameras.size(); ++i) {
        LatentCamera& camera = cameras[i];
        std::copy_n(matrices.const_data_ptr<double>() + 16 * i, 16, camera.world_to_camera.begin());
        camera.camera_to_world = rigid_inverse(camera.world_to_camera);
        const at::Tensor lens = k[static_cast<std::int64_t>(i)];
        camera.focal = {lens[0][0].item<double>(), lens[1][1].item<double>()};
        if (golden.has_output(label_name))
            camera.label = golden.output(label_name)[static_cast<std::int64_t>(i)].item<int>();
    }
    return cameras;
}

// Three uniform inputs of the case -> the points of the overlap measure.
inline std::vector<BallPoint> ball_of(const GoldenCase& golden, const char* r, const char* phi, const char* u) {
    const at::Tensor a = golden.tensor(r), b = golden.tensor(phi), c = golden.tensor(u);
    std::vector<BallPoint> ball;
    for (std::int64_t i = 0; i < a.numel(); ++i) {
        ball.push_back(ball_point(a.const_data_ptr<float>()[i], b.const_data_ptr<float>()[i],
                                  c.const_data_ptr<float>()[i], golden.config().at("radius")));
    }
    return ball;
}

// Uncompressed and without a window, for a network of these sizes.
template <class NetConfig>
std::unique_ptr<quant::KvCache> cache_of(const NetConfig& config, int tokens, at::Device device = at::kCPU,
                                         at::ScalarType compute = at::kFloat) {
    quant::CacheShape shape;
    shape.layers = config.layers;
    shape.heads = config.heads;
    shape.head_dim = config.head_dim;
    shape.tokens_per_latent = tokens;
    shape.page_latents = kLatentsPerChunk;
    return unwrap(quant::KvCache::create(shape, {}, device, compute));
}

// What a roll-out of a case is fed with.
struct CaseInputs {
    // Of the latents that are made next.
    std::span<const LatentCamera> next(const WorldPlayRollout& rollout) const {
        const std::int64_t first = std::max<std::int64_t>(rollout.next_latent(), 1);
        return std::span(cameras).subspan(static_cast<std::size_t>(first),
                                          static_cast<std::size_t>(rollout.steered_latents()));
    }
    NoiseSource noise_source() const {
        return [values = noise](std::int64_t latent, int, const std::vector<std::int64_t>&) {
            return values[latent].clone();
        };
    }

    std::vector<LatentCamera> cameras;
    std::vector<BallPoint> ball;
    at::Tensor noise;   // [latents, C, h, w]
    at::Tensor picture; // [C, h, w]
};

// ReadView of a pass over `count` latents of rows x cols, after `history` ones that the cache holds; cameras of both in
// one list.
inline quant::ReadView view_of(const WorldPlayNet& net, int rows, int cols, int history, int count,
                               std::span<const LatentCamera> cameras) {
    quant::ReadView view;
    net.fill_rope(view, rows, cols);
    view.prope = true;
    view.first_latent = history;
    view.latents = count;
    const ChunkPositions positions = reframed_positions(static_cast<std::size_t>(history), count);
    view.history_positions = positions.context;
    view.new_positions = positions.chunk;
    at::Tensor projection = at::empty({history + count, 4, 4}, at::kFloat), inverse = at::empty_like(projection);
    for (std::int64_t i = 0; i < history + count; ++i) {
        const LatentCamera& camera = cameras[static_cast<std::size_t>(i)];
        const PropeMatrices pair = prope_matrices(camera.world_to_camera, camera.focal);
        std::copy(pair.projection.begin(), pair.projection.end(), projection.mutable_data_ptr<float>() + 16 * i);
        std::copy(pair.inverse.begin(), pair.inverse.end(), inverse.mutable_data_ptr<float>() + 16 * i);
    }
    view.history_inverse = inverse.narrow(0, 0, history).contiguous();
    view.new_inverse = inverse.narrow(0, history, count).contiguous();
    view.new_projection = projection.narrow(0, history, count).contiguous();
    return view;
}

// Each latent's matrix on every group of four channels of rows [latents * tokens, heads, d].
inline at::Tensor turned(const at::Tensor& rows, const at::Tensor& matrices) {
    const std::int64_t latents = matrices.size(0);
    const at::Tensor groups = rows.view({latents, rows.size(0) / latents, rows.size(1), rows.size(2) / 4, 4});
    return at::einsum("lij,lthgj->lthgi", {matrices, groups}).reshape(rows.sizes());
}

// Interleaved pairs turned by time, row and column.
inline at::Tensor rotated(const at::Tensor& rows, const quant::ReadView& view) {
    const at::Tensor positions = at::tensor(std::vector<double>(view.new_positions.begin(), view.new_positions.end()));
    const at::Tensor time = positions.to(at::kDouble).unsqueeze(1) * view.time_frequencies.unsqueeze(0);
    const std::int64_t latents = time.size(0), tokens = view.space_angles.size(0);
    const at::Tensor angles =
        at::cat({time.unsqueeze(1).expand({latents, tokens, time.size(1)}),
                 view.space_angles.unsqueeze(0).expand({latents, tokens, view.space_angles.size(1)})},
                2)
            .reshape({latents * tokens, 1, -1});
    const at::Tensor pairs = rows.to(at::kDouble).view({rows.size(0), rows.size(1), -1, 2});
    const at::Tensor a = pairs.select(3, 0), b = pairs.select(3, 1);
    return at::stack({a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()}, 3)
        .reshape(rows.sizes());
}

} // namespace wander::testing
