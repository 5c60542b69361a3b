#include "generator/train/dit_parts.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <numeric>

namespace wander::train {
namespace {

constexpr std::int64_t kShift = 0, kScale = 1, kLaterScale = 4; // rows of a block's modulation

LinearWeights wide_linear(const Parameters& parameters, const std::string& name) {
    return {parameters.at(name + ".weight").flatten(1), parameters.at(name + ".bias")};
}

// Collects tensors, casts them together, and hands out views in their order.
class Joined {
public:
    void add(const at::Tensor& tensor) { flat_.push_back(tensor.flatten()); }
    void add(const Parameters& parameters, const std::string& name) {
        add(parameters.at(name + ".weight"));
        add(parameters.at(name + ".bias"));
    }
    void cast(at::ScalarType type) {
        sizes_.reserve(flat_.size());
        for (const at::Tensor& tensor : flat_) sizes_.push_back(tensor.numel());
        all_ = at::cat(flat_).to(type);
        flat_.clear();
    }
    // The next `count` tensors, side by side, for each group.
    std::vector<at::Tensor> cut(const std::vector<int>& groups) const {
        std::vector<std::int64_t> sizes;
        std::size_t at = 0;
        for (const int count : groups) {
            std::int64_t sum = 0;
            for (int i = 0; i < count; ++i) sum += sizes_[at++];
            sizes.push_back(sum);
        }
        TORCH_CHECK(at == sizes_.size(), "dit_weights: not everything was taken");
        return all_.split_with_sizes(sizes);
    }

private:
    std::vector<at::Tensor> flat_;
    std::vector<std::int64_t> sizes_;
    at::Tensor all_;
};

at::Tensor sinusoidal(const at::Tensor& values, int width, at::ScalarType wide) {
    const int half = width / 2;
    const at::Tensor steps =
        at::exp(at::arange(half, values.options().dtype(at::kDouble)) * (-std::log(10000.0) / half));
    const at::Tensor angles = values.to(at::kDouble).unsqueeze(-1) * steps;
    return at::cat({angles.cos(), angles.sin()}, -1).to(wide);
}

} // namespace

at::ScalarType wide_type(at::ScalarType compute) { return compute == at::kDouble ? at::kDouble : at::kFloat; }

at::Tensor LinearWeights::operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }

DitWeights dit_weights(const Parameters& parameters, const DitConfig& config, at::ScalarType compute) {
    const std::int64_t dim = config.dim, ffn = config.ffn, hidden = config.pose_hidden;
    DitWeights w;
    w.patch = wide_linear(parameters, "patch_embedding");
    w.time_0 = wide_linear(parameters, "time_embedding.0");
    w.time_2 = wide_linear(parameters, "time_embedding.2");
    w.time_projection = wide_linear(parameters, "time_projection.1");
    w.action_0 = wide_linear(parameters, "action_in.mlp.0");
    w.action_2 = wide_linear(parameters, "action_in.mlp.2");
    w.head = wide_linear(parameters, "head.head");
    w.world_rows = parameters.at("pose_embedding.world");
    w.fine = parameters.at("map_embedding.fine");
    w.coarse = parameters.at("map_embedding.coarse");

    Joined joined;
    std::vector<int> groups;
    std::vector<at::Tensor> modulation;
    for (int layer = 0; layer < config.layers; ++layer) {
        const std::string block = "blocks." + std::to_string(layer) + ".";
        const std::string attention = block + "self_attn.";
        modulation.push_back(parameters.at(block + "modulation"));
        for (const char* part : {"q", "k", "v"}) joined.add(parameters.at(attention + part + ".weight"));
        for (const char* part : {"q", "k", "v"}) joined.add(parameters.at(attention + part + ".bias"));
        joined.add(at::cat({parameters.at(attention + "o.weight"), parameters.at(attention + "prope_proj.weight")}, 1));
        joined.add(parameters.at(attention + "o.bias"));
        joined.add(parameters, block + "ffn.0");
        joined.add(parameters, block + "ffn.2");
        groups.insert(groups.end(), {3, 3, 1, 1, 1, 1, 1, 1});
    }
    const at::Tensor pose_0 = parameters.at("pose_embedding.0.weight");
    const std::int64_t padded = (pose_0.size(1) + 7) / 8 * 8;
    joined.add(at::constant_pad_nd(pose_0, {0, padded - pose_0.size(1)}));
    joined.add(parameters.at("pose_embedding.0.bias"));
    joined.add(parameters, "pose_embedding.2");
    joined.add(parameters, "pose_embedding.4");
    groups.insert(groups.end(), {1, 1, 1, 1, 1, 1});
    joined.cast(compute);
    const std::vector<at::Tensor> parts = joined.cut(groups);

    auto next = parts.begin();
    const auto take = [&next](std::int64_t out) {
        const at::Tensor weight = (next++)->view({out, -1});
        return LinearWeights{weight, *next++};
    };
    for (int layer = 0; layer < config.layers; ++layer) {
        const std::string attention = "blocks." + std::to_string(layer) + ".self_attn.";
        BlockWeights block;
        block.qkv = take(3 * dim);
        block.out = take(dim);
        block.ffn_0 = take(ffn);
        block.ffn_2 = take(dim);
        block.norm_q = parameters.at(attention + "norm_q.weight");
        block.norm_k = parameters.at(attention + "norm_k.weight");
        w.blocks.push_back(std::move(block));
    }
    w.pose_0 = take(hidden);
    w.pose_2 = take(hidden);
    w.pose_4 = take(dim);

    const at::Tensor rows = at::cat(modulation); // [layers, 6, D]
    at::Tensor ones = at::zeros({1, 6, 1}, rows.options());
    ones.select(1, kScale).fill_(1);
    ones.select(1, kLaterScale).fill_(1);
    w.modulation = (rows + ones).unsqueeze(2).unsqueeze(3);
    const at::Tensor head_rows = parameters.at("head.modulation").squeeze(0);
    w.head_modulation = (head_rows + ones.narrow(1, 0, 2).squeeze(0)).unsqueeze(1).unsqueeze(2);
    return w;
}

Modulation modulation_of(const DitWeights& w, const DitConfig& config, const at::Tensor& timesteps,
                         const at::Tensor& labels) {
    const at::ScalarType wide = w.modulation.scalar_type();
    const auto embed = [&](const at::Tensor& values, const LinearWeights& first, const LinearWeights& second) {
        return second(at::silu(first(sinusoidal(values, config.freq_dim, wide))));
    };
    const at::Tensor e = embed(timesteps, w.time_0, w.time_2) + embed(labels, w.action_0, w.action_2); // [B, N, D]
    const at::Tensor projection =
        w.time_projection(at::silu(e)).unflatten(2, {6, config.dim}).permute({2, 0, 1, 3}); // [6, B, N, D]
    // Every slice of the sum is contiguous.
    const std::vector<at::Tensor> all = (w.modulation + projection.contiguous()).flatten(0, 1).unbind();
    Modulation result;
    for (std::size_t layer = 0; layer < w.blocks.size(); ++layer) {
        std::array<at::Tensor, 6> rows;
        for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = all[layer * 6 + i];
        result.blocks.push_back(std::move(rows));
    }
    result.head_shift = w.head_modulation.select(0, kShift) + e;
    result.head_scale = w.head_modulation.select(0, kScale) + e;
    return result;
}

at::Tensor to_patches(const at::Tensor& latents) {
    const auto b = latents.size(0), n = latents.size(1), c = latents.size(2), h = latents.size(3) / 2,
               w = latents.size(4) / 2;
    return latents.reshape({b, n, c, h, 2, w, 2}).permute({0, 1, 3, 5, 2, 4, 6}).reshape({b, n, h * w, c * 4});
}

at::Tensor from_patches(const at::Tensor& tokens, const LatentGeometry& geometry) {
    const auto b = tokens.size(0), n = tokens.size(1), c = tokens.size(3) / 4;
    return tokens.reshape({b, n, geometry.rows / 2, geometry.cols / 2, 2, 2, c})
        .permute({0, 1, 6, 2, 4, 3, 5})
        .reshape({b, n, c, geometry.rows, geometry.cols});
}

at::Tensor pose_tokens(const DitWeights& w, const PoseFeatures& features, const at::Tensor& cameras,
                       const at::Tensor& worlds, const at::Tensor& with_pose, at::ScalarType compute) {
    const at::ScalarType wide = wide_type(compute);
    const at::Tensor row = w.world_rows.index_select(0, worlds).to(compute).unsqueeze(1).unsqueeze(2);
    at::Tensor h = w.pose_0(features(w.fine, w.coarse, cameras, worlds, compute)) + row;
    h = w.pose_4(at::silu(w.pose_2(at::silu(h)))).to(wide);
    return with_pose.defined() ? h * with_pose.to(wide).view({-1, 1, 1, 1}) : h;
}

CameraMatrices camera_matrices(const at::Tensor& cameras, const at::Tensor& anchor, const CameraModel& camera,
                               at::ScalarType wide) {
    const at::Tensor exact = cameras.to(at::kDouble);
    at::Tensor moved = exact.narrow(2, 0, 2) - anchor.to(at::kDouble).unsqueeze(1); // [B, N, 2]
    if (camera.period > 0) moved = moved - at::round(moved / camera.period) * camera.period;
    moved = moved * camera.translation_scale;
    const at::Tensor x = moved.select(2, 0), z = moved.select(2, 1), yaw = exact.select(2, 2),
                     pitch = exact.select(2, 3);
    const at::Tensor cy = yaw.cos(), sy = yaw.sin(), cp = pitch.cos(), sp = pitch.sin();
    const at::Tensor zero = at::zeros_like(x), one = at::ones_like(x);
    // Camera-to-world: R = Ry(yaw) Rx(pitch), t = (x, 0, z).
    const at::Tensor& r00 = cy;
    const at::Tensor r01 = sy * sp, r02 = sy * cp, r12 = -sp, r20 = -sy, r21 = cy * sp, r22 = cy * cp;
    const double fx = camera.focal_x, fy = camera.focal_y;
    const auto matrix = [&](const std::vector<at::Tensor>& entries) {
        return at::stack(entries, 2).unflatten(2, {4, 4}).to(wide);
    };
    CameraMatrices result;
    result.inverse = matrix({r00 / fx, r01 / fy, r02, x, //
                             zero, cp / fy, r12, zero,   //
                             r20 / fx, r21 / fy, r22, z, //
                             zero, zero, zero, one});
    // World-to-camera [R^T | -R^T t], its first two rows times the focal lengths.
    result.projection = matrix({r00 * fx, zero, r20 * fx, (r00 * x + r20 * z) * -fx,    //
                                r01 * fy, cp * fy, r21 * fy, (r01 * x + r21 * z) * -fy, //
                                r02, r12, r22, -(r02 * x + r22 * z),                    //
                                zero, zero, zero, one});
    return result;
}

RopeTable rope_table(const DitConfig& config, const LatentGeometry& geometry, std::int64_t slots, at::Device device,
                     at::ScalarType wide) {
    const int rows = geometry.rows / 2, cols = geometry.cols / 2;
    const auto steps = [&](int channels) {
        return at::exp(at::arange(channels / 2, at::kDouble) *
                       (-2 * std::log(config.rope_theta) / std::max(1, channels)));
    };
    // Angles of one axis: [positions, pairs], spread over [slots, rows, cols, pairs].
    const auto axis = [&](std::int64_t positions, int channels, std::vector<std::int64_t> place) {
        const at::Tensor angles = at::arange(positions, at::kDouble).unsqueeze(1) * steps(channels);
        place.push_back(channels / 2);
        return angles.view(place).expand({slots, rows, cols, channels / 2});
    };
    const at::Tensor angles = at::cat({axis(slots, config.rope_time_channels, {slots, 1, 1}),
                                       axis(rows, config.rope_row_channels, {1, rows, 1}),
                                       axis(cols, config.rope_col_channels, {1, 1, cols})},
                                      3)
                                  .reshape({slots, static_cast<std::int64_t>(rows) * cols, config.head_dim / 2});
    return {angles.cos().to(device, wide), angles.sin().to(device, wide)};
}

} // namespace wander::train
