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

std::uint32_t important_latents(const at::Tensor& keys, int latents) {
    const std::int64_t tokens = keys.size(0) / latents;
    const at::Tensor sketch = keys.to(at::kFloat)
                                  .abs()
                                  .view({latents, tokens, keys.size(1), keys.size(2)})
                                  .mean(at::IntArrayRef{1, 3})
                                  .to(at::kCPU)
                                  .contiguous(); // [latents, heads]
    const auto row = [&](int n) { return sketch.const_data_ptr<float>() + n * sketch.size(1); };
    std::vector<double> score(static_cast<std::size_t>(latents));
    for (int n = 1; n < latents; ++n) {
        double change = 0;
        double size = 0;
        for (std::int64_t head = 0; head < sketch.size(1); ++head) {
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
