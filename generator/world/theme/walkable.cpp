// Where one may stand, from the footprints of what is solid.

#include "generator/world/theme/theme.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace wander {

namespace {

constexpr float kShore = 0.05f; // units kept from a pond's mean radius

// Distance to a footprint, negative inside. In float, as the places were first drawn: the border of a cell is decided
// by the last digits.
float footprint_distance(const scene::Primitive& p, float x, float z) {
    const float dx = scene::wrapped(x - p.x);
    const float dz = scene::wrapped(z - p.z);
    if (p.shape == scene::Shape::box || p.shape == scene::Shape::gable || p.shape == scene::Shape::pyramid) {
        const float beyond_x = std::abs(p.cos_turn * dx - p.sin_turn * dz) - p.size_x;
        const float beyond_z = std::abs(p.sin_turn * dx + p.cos_turn * dz) - p.size_z;
        const float ex = std::max(beyond_x, 0.0f);
        const float ez = std::max(beyond_z, 0.0f);
        const float outside = std::sqrt(ex * ex + ez * ez);
        return outside > 0 ? outside : std::max(beyond_x, beyond_z);
    }
    return std::sqrt(dx * dx + dz * dz) - p.size_x;
}

} // namespace

bool is_free(const scene::Scene& scene, double x, double z) {
    const auto px = static_cast<float>(x);
    const auto pz = static_cast<float>(z);
    for (const scene::Pond& pond : scene.ponds) {
        const float dx = scene::wrapped(px - pond.x);
        const float dz = scene::wrapped(pz - pond.z);
        const float shore = pond.radius + kShore;
        if (dx * dx + dz * dz < shore * shore) return false;
    }
    return std::none_of(scene.primitives.begin(), scene.primitives.end(), [&](const scene::Primitive& p) {
        return p.keep_away > 0 && footprint_distance(p, px, pz) < p.keep_away;
    });
}

std::vector<std::string> walkable_rows(const scene::Scene& scene) {
    constexpr char kDigits[] = "0123456789abcdef";
    constexpr double kCell = static_cast<double>(scene::kPeriod) / kWalkableCells;
    std::vector<std::string> rows;
    for (int j = 0; j < kWalkableCells; ++j) {
        std::string row;
        for (int i = 0; i < kWalkableCells; i += 4) {
            unsigned digit = 0;
            for (int bit = 0; bit < 4; ++bit)
                digit = digit * 2 + (is_free(scene, (i + bit + 0.5) * kCell, (j + 0.5) * kCell) ? 1U : 0U);
            row += kDigits[digit];
        }
        rows.push_back(row);
    }
    return rows;
}

double free_share(const std::vector<std::string>& rows) {
    constexpr int kBits = 4; // of a digit
    int free = 0;
    std::size_t digits = 0;
    for (const std::string& row : rows) {
        digits += row.size();
        for (const char digit : row)
            free += std::popcount(static_cast<unsigned>(digit >= 'a' ? digit - 'a' + 10 : digit - '0'));
    }
    return digits == 0 ? 0 : static_cast<double>(free) / static_cast<double>(digits * kBits);
}

} // namespace wander
