#include "generator/train/pose_features.hpp"

#include <ATen/ATen.h>

#include <numbers>
#include <vector>

namespace wander::train {
namespace {

constexpr std::int64_t kHarmonics = 34;
constexpr double kEyeHeight = 0.62;    // world units
constexpr double kFarDistance = 13;    // ground hits beyond it, and of rays at or above the horizon, are taken there
constexpr double kHorizon = 0.0488;    // rays flatter than this meet no ground
constexpr double kLeastDescent = 0.04; // keeps a division finite whose result is not used
constexpr double kSubRay = 0.25;       // of a token's width or height, off its centre

// [.., n] angles times k orders -> [.., 2 k]: sine and cosine of one order side by side.
at::Tensor harmonics(const at::Tensor& angles, const at::Tensor& orders) {
    const at::Tensor turned = angles.unsqueeze(-1) * orders;
    return at::stack({turned.sin(), turned.cos()}, -1).flatten(-2);
}

// x, z of places at distances along directions: [.., n] azimuths, [n or k] distances that broadcast -> [.., 2].
at::Tensor offsets(const at::Tensor& azimuths, const at::Tensor& distances) {
    return at::stack({azimuths.sin() * distances, azimuths.cos() * distances}, -1);
}

// Bilinear, periodic; value i of n sits at i * period / n. map [worlds, C, n, n], points [B, N, T, K, 2] float64 ->
// [B, N, T, K * C], point-major.
at::Tensor read_map(const at::Tensor& map, const at::Tensor& points, const at::Tensor& worlds, double period) {
    const std::int64_t n = map.size(3);
    // One row and column more, so that the last cell meets the first.
    const at::Tensor wider = at::cat({map, map.narrow(3, 0, 1)}, 3);
    const at::Tensor closed = at::cat({wider, wider.narrow(2, 0, 1)}, 2).index_select(0, worlds);
    // Corners at -1 and 1 are cells 0 and n.
    const at::Tensor grid = (at::remainder(points, period) * (2 / period) - 1).to(map.scalar_type());
    const auto b = points.size(0), frames = points.size(1), tokens = points.size(2), k = points.size(3);
    constexpr std::int64_t kBilinear = 0, kBorder = 1;
    const at::Tensor read =
        at::grid_sampler_2d(closed, grid.reshape({b, frames * tokens, k, 2}), kBilinear, kBorder, true);
    TORCH_CHECK(n > 0 && read.size(1) == map.size(1), "PoseFeatures: map of another shape");
    return read.permute({0, 2, 3, 1}).reshape({b, frames, tokens, k * map.size(1)});
}

at::Tensor numbers(const std::vector<double>& values, at::Device device) {
    return at::tensor(values, at::kDouble).to(device);
}

} // namespace

// All [B, N, T, ..] float64.
struct PoseFeatures::Rays {
    at::Tensor azimuth;   // [.., 3]: of the centre and of the two sub-rays beside it
    at::Tensor elevation; // [..]
    at::Tensor ground;    // [.., 4]: distances to the ground hits of the four sub-rays
    at::Tensor around;    // [.., 4]: their azimuths
};

PoseFeatures::PoseFeatures(const DitConfig& config, const LatentGeometry& geometry, at::Device device)
    : period_(geometry.camera.period) {
    TORCH_CHECK(period_ > 0, "PoseFeatures: the world must be a torus");
    const int rows = geometry.rows / 2, cols = geometry.cols / 2;
    // Square pixels: the focal length over the height follows from that over the width.
    const double focal_x = geometry.camera.focal_x, focal_y = focal_x * cols / rows;
    const double du = kSubRay / cols / focal_x, dv = kSubRay / rows / focal_y;
    std::vector<double> u, v;
    for (int row = 0; row < rows; ++row) {
        for (int col = 0; col < cols; ++col) {
            const double centre_u = ((col + 0.5) / cols - 0.5) / focal_x;
            const double centre_v = ((row + 0.5) / rows - 0.5) / focal_y;
            u.insert(u.end(), {centre_u, centre_u - du, centre_u + du});
            v.insert(v.end(), {centre_v, centre_v - dv, centre_v + dv});
        }
    }
    u_ = numbers(u, device).view({-1, 3});
    v_ = numbers(v, device).view({-1, 3});
    azimuth_orders_ = numbers({1, 2, 3, 4, 6, 8}, device);
    elevation_orders_ = numbers({1, 2, 4}, device);
    const double turn = 2 * std::numbers::pi / period_;
    position_steps_ = numbers({turn, 2 * turn, 4 * turn, 8 * turn}, device).unsqueeze(1);
    fine_distances_ = numbers(config.fine_distances, device);
    coarse_distances_ = numbers(config.coarse_distances, device);
    const auto fine_points = 1 + 2 * fine_distances_.size(0) + 4;
    count_ = kHarmonics + (fine_points + 2 * coarse_distances_.size(0)) * config.map_channels;
}

PoseFeatures::Rays PoseFeatures::rays_of(const at::Tensor& cameras) const {
    const at::Tensor yaw = cameras.select(2, 2).unsqueeze(2).unsqueeze(3); // [B, N, 1, 1]
    const at::Tensor pitch = cameras.select(2, 3).unsqueeze(2).unsqueeze(3);
    const at::Tensor cp = pitch.cos(), sp = pitch.sin();
    // The rays of three rows (the centre's, a quarter token up and down), turned by the pitch: down and ahead.
    const at::Tensor down = cp * v_ - sp, ahead = sp * v_ + cp; // [B, N, T, 3]
    const at::Tensor centre_u = u_.select(1, 0), centre_ahead = ahead.select(3, 0);
    Rays rays;
    rays.azimuth = yaw + at::atan2(u_, ahead.narrow(3, 0, 1));
    rays.elevation = at::atan2(-down.select(3, 0), (centre_u.square() + centre_ahead.square()).sqrt());
    // Four sub-rays: upper left, upper right, lower left, lower right.
    const at::Tensor side = u_.narrow(1, 1, 2).repeat({1, 2});                // [T, 4]
    const at::Tensor sub_down = down.narrow(3, 1, 2).repeat_interleave(2, 3); // [B, N, T, 4]
    const at::Tensor sub_ahead = ahead.narrow(3, 1, 2).repeat_interleave(2, 3);
    const at::Tensor hit = (side.square() + sub_ahead.square()).sqrt() * kEyeHeight / sub_down.clamp_min(kLeastDescent);
    const at::Tensor far = at::full({}, kFarDistance, hit.options());
    rays.ground = at::where(sub_down > kHorizon, hit, far).clamp_max(kFarDistance);
    rays.around = yaw + at::atan2(side, sub_ahead);
    return rays;
}

at::Tensor PoseFeatures::operator()(const at::Tensor& fine, const at::Tensor& coarse, const at::Tensor& cameras,
                                    const at::Tensor& worlds, at::ScalarType out) const {
    const at::Tensor exact = cameras.to(at::kDouble);
    const Rays rays = rays_of(exact);
    const auto b = exact.size(0), n = exact.size(1), tokens = u_.size(0);
    const at::Tensor place = exact.narrow(2, 0, 2);                                    // [B, N, 2]
    const at::Tensor turned = position_steps_ * place.unsqueeze(2);                    // [B, N, 4, 2]
    const at::Tensor position = at::stack({turned.sin(), turned.cos()}, 3).flatten(2); // order, sine, x first

    // Directions of the two sub-rays, then distances along each.
    const at::Tensor beside = rays.azimuth.narrow(3, 1, 2).unsqueeze(4);
    const at::Tensor origin = place.unsqueeze(2).unsqueeze(3); // [B, N, 1, 1, 2]
    const at::Tensor here = origin.expand({b, n, tokens, 1, 2});
    const at::Tensor fine_points = at::cat(
        {here, origin + offsets(beside, fine_distances_).flatten(3, 4), origin + offsets(rays.around, rays.ground)}, 3);
    const at::Tensor coarse_points = origin + offsets(beside, coarse_distances_).flatten(3, 4);
    std::vector<at::Tensor> parts = {harmonics(rays.azimuth.select(3, 0), azimuth_orders_).to(out),
                                     harmonics(rays.elevation, elevation_orders_).to(out),
                                     position.to(out).unsqueeze(2).expand({b, n, tokens, position.size(2)}),
                                     read_map(fine, fine_points, worlds, period_).to(out),
                                     read_map(coarse, coarse_points, worlds, period_).to(out)};
    if (padded_count() > count_)
        parts.push_back(at::zeros({b, n, tokens, padded_count() - count_}, parts[0].options()));
    return at::cat(parts, 3);
}

} // namespace wander::train
