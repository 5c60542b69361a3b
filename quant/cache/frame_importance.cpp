#include "quant/cache/frame_importance.hpp"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace wander::quant {

namespace {

constexpr double kKeptShare = 0.58;
// Weights of the published score: change of the sketch and recency.
constexpr double kChangeWeight = 0.7;
constexpr double kRecencyWeight = 0.3;

} // namespace

int important_latent_count(int latents) { return static_cast<int>(std::ceil(kKeptShare * latents)); }

at::Tensor importance_sketch(const at::Tensor& keys) {
    return keys.abs().mean(at::IntArrayRef{0, 2}, false, at::kFloat);
}

std::uint32_t important_latents(const at::Tensor& sketches) {
    const auto latents = static_cast<int>(sketches.size(0));
    const auto row = [&](int n) { return sketches.const_data_ptr<float>() + n * sketches.size(1); };
    std::vector<double> score(static_cast<std::size_t>(latents));
    for (int n = 1; n < latents; ++n) {
        double change = 0;
        double size = 0;
        for (std::int64_t head = 0; head < sketches.size(1); ++head) {
            change += std::abs(static_cast<double>(row(n)[head]) - row(n - 1)[head]);
            size += std::abs(static_cast<double>(row(n - 1)[head]));
        }
        score[static_cast<std::size_t>(n)] =
            kChangeWeight * change / std::max(size, 1e-12) + kRecencyWeight * n / (latents - 1);
    }
    score[0] = 1e9;
    std::vector<int> order(static_cast<std::size_t>(latents));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
        return score[static_cast<std::size_t>(a)] > score[static_cast<std::size_t>(b)];
    });
    const int kept = important_latent_count(latents);
    std::uint32_t mask = 0;
    for (int i = 0; i < kept; ++i) {
        mask |= 1U << order[static_cast<std::size_t>(i)];
    }
    return mask;
}

} // namespace wander::quant
