#include "generator/wan/pose_embedding.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace wander {

namespace {

constexpr int kHarmonics = 34;
constexpr std::array kAzimuthOrders = {1, 2, 3, 4, 6, 8};
constexpr std::array kElevationOrders = {1, 2, 4};
constexpr std::array kPositionOrders = {1, 2, 4, 8};
constexpr double kSubRay = 0.25;    // of a token's width or height, off its centre
constexpr double kHorizon = 0.0488; // rays flatter than this meet no ground

int fine_points(const PoseEmbeddingConfig& c) { return 1 + 2 * static_cast<int>(c.fine_distances.size()) + 4; }
int coarse_points(const PoseEmbeddingConfig& c) { return 2 * static_cast<int>(c.coarse_distances.size()); }
int feature_count(const PoseEmbeddingConfig& c) {
    return kHarmonics + (fine_points(c) + coarse_points(c)) * c.map_channels;
}

// Bilinear, periodic; value i sits at coordinate i * period / cells.
class MapReader {
public:
    MapReader(const at::Tensor& map, int world, double period)
        : cells_(static_cast<int>(map.size(1))),
          channels_(static_cast<int>(map.size(3))),
          scale_(cells_ / period),
          values_(map.const_data_ptr<float>() + static_cast<std::ptrdiff_t>(world) * cells_ * cells_ * channels_) {}

    void read(double x, double z, float*& out) const {
        const Axis ax = axis(x);
        const Axis az = axis(z);
        const float* v00 = value(az.low, ax.low);
        const float* v01 = value(az.low, ax.high);
        const float* v10 = value(az.high, ax.low);
        const float* v11 = value(az.high, ax.high);
        for (int c = 0; c < channels_; ++c) {
            const float near = v00[c] + (v01[c] - v00[c]) * ax.weight;
            const float far = v10[c] + (v11[c] - v10[c]) * ax.weight;
            *out++ = near + (far - near) * az.weight;
        }
    }

private:
    struct Axis {
        int low;
        int high;
        float weight;
    };
    Axis axis(double coordinate) const {
        double cell = std::fmod(coordinate * scale_, cells_);
        if (cell < 0) cell += cells_;
        const double floor = std::floor(cell);
        const int low = static_cast<int>(floor) % cells_;
        return {low, (low + 1) % cells_, static_cast<float>(cell - floor)};
    }
    const float* value(int z, int x) const {
        return values_ + (static_cast<std::ptrdiff_t>(z) * cells_ + x) * channels_;
    }

    int cells_;
    int channels_;
    double scale_;
    const float* values_;
};

} // namespace

std::map<std::string, std::vector<std::int64_t>> PoseEmbedding::tensor_shapes(const PoseEmbeddingConfig& c) {
    return {{"pose_embedding.0.weight", {c.hidden, feature_count(c)}},
            {"pose_embedding.0.bias", {c.hidden}},
            {"pose_embedding.2.weight", {c.hidden, c.hidden}},
            {"pose_embedding.2.bias", {c.hidden}},
            {"pose_embedding.4.weight", {c.dim, c.hidden}},
            {"pose_embedding.4.bias", {c.dim}},
            {"pose_embedding.world", {c.worlds, c.hidden}},
            {"map_embedding.fine", {c.worlds, c.map_channels, c.fine_cells, c.fine_cells}},
            {"map_embedding.coarse", {c.worlds, c.map_channels, c.coarse_cells, c.coarse_cells}}};
}

Result<PoseEmbedding> PoseEmbedding::load(const PoseEmbeddingConfig& config, const TensorSource& source,
                                          at::Device device) {
    PoseEmbedding e;
    e.config_ = config;
    std::map<std::string, at::Tensor> found;
    for (const auto& [name, shape] : tensor_shapes(config)) {
        auto tensor = source(name, shape);
        if (!tensor) return tensor.error();
        found[name] = *tensor;
    }
    const auto map = [&](const char* name) {
        return found[name].to(at::kCPU, at::kFloat).permute({0, 2, 3, 1}).contiguous();
    };
    e.fine_ = map("map_embedding.fine");
    e.coarse_ = map("map_embedding.coarse");
    for (int layer = 0; layer < 3; ++layer) {
        const std::string name = "pose_embedding." + std::to_string(2 * layer);
        e.weight_[layer] = found[name + ".weight"].to(device, at::kFloat, false, true);
        e.bias_[layer] = found[name + ".bias"].to(device, at::kFloat, false, true);
    }
    e.world_rows_ = found["pose_embedding.world"].to(device, at::kFloat, false, true);
    return e;
}

at::Tensor PoseEmbedding::features(double x, double z, double yaw, double pitch, int world, int rows, int cols) const {
    TORCH_CHECK(world >= 0 && world < config_.worlds, "pose embedding: world ", world, " of ", config_.worlds);
    at::Tensor result = at::empty({static_cast<std::int64_t>(rows) * cols, feature_count(config_)}, at::kFloat);
    float* out = result.mutable_data_ptr<float>();
    const MapReader fine(fine_, world, config_.period);
    const MapReader coarse(coarse_, world, config_.period);
    const double focal_y = config_.focal * cols / rows;
    const double du = kSubRay / cols / config_.focal;
    const double dv = kSubRay / rows / focal_y;
    const double cp = std::cos(pitch);
    const double sp = std::sin(pitch);
    const auto harmonic = [&out](double angle) {
        *out++ = static_cast<float>(std::sin(angle));
        *out++ = static_cast<float>(std::cos(angle));
    };

    for (int row = 0; row < rows; ++row) {
        for (int col = 0; col < cols; ++col) {
            const double u = ((col + 0.5) / cols - 0.5) / config_.focal;
            const double v = ((row + 0.5) / rows - 0.5) / focal_y;
            const double down = cp * v - sp; // the ray's direction, turned by the pitch: down and ahead
            const double ahead = sp * v + cp;
            const double azimuth = yaw + std::atan2(u, ahead);
            const double elevation = std::atan2(-down, std::hypot(u, ahead));
            for (int k : kAzimuthOrders) harmonic(k * azimuth);
            for (int k : kElevationOrders) harmonic(k * elevation);
            for (int k : kPositionOrders) {
                const double ax = 2 * std::numbers::pi * k * x / config_.period;
                const double az = 2 * std::numbers::pi * k * z / config_.period;
                for (double value : {std::sin(ax), std::sin(az), std::cos(ax), std::cos(az)})
                    *out++ = static_cast<float>(value);
            }

            fine.read(x, z, out);
            const std::array sub_rays = {yaw + std::atan2(u - du, ahead), yaw + std::atan2(u + du, ahead)};
            for (double angle : sub_rays) {
                for (double r : config_.fine_distances)
                    fine.read(x + r * std::sin(angle), z + r * std::cos(angle), out);
            }
            for (double sub_v : {v - dv, v + dv}) {
                for (double sub_u : {u - du, u + du}) {
                    const double sub_down = cp * sub_v - sp;
                    const double sub_ahead = sp * sub_v + cp;
                    double r = config_.far_distance;
                    if (sub_down > kHorizon)
                        r = std::min(r, config_.eye_height * std::hypot(sub_u, sub_ahead) / sub_down);
                    const double angle = yaw + std::atan2(sub_u, sub_ahead);
                    fine.read(x + r * std::sin(angle), z + r * std::cos(angle), out);
                }
            }
            for (double angle : sub_rays) {
                for (double r : config_.coarse_distances)
                    coarse.read(x + r * std::sin(angle), z + r * std::cos(angle), out);
            }
        }
    }
    return result;
}

at::Tensor PoseEmbedding::tokens(double x, double z, double yaw, double pitch, int world, int rows, int cols) const {
    at::Tensor h = features(x, z, yaw, pitch, world, rows, cols).to(weight_[0].device());
    h = at::silu(at::linear(h, weight_[0], bias_[0] + world_rows_[world]));
    h = at::silu(at::linear(h, weight_[1], bias_[1]));
    return at::linear(h, weight_[2], bias_[2]);
}

} // namespace wander
