// Time and label embeddings. Few distinct values ever occur, so everything that follows from them is kept.

#include "generator/wan/dit_weights.hpp"

#include <ATen/ATen.h>

#include <cmath>

namespace wander {
namespace {

// Embedded world: 81 labels times three timesteps.
constexpr std::size_t kMaxCached = 512;

bool all_same(const DitPass& pass) {
    for (std::size_t i = 1; i < pass.timesteps.size(); ++i) {
        if (pass.timesteps[i] != pass.timesteps[0]) return false;
        if (!pass.labels.empty() && pass.labels[i] != pass.labels[0]) return false;
    }
    return true;
}

} // namespace

at::Tensor sinusoidal_embedding(const std::vector<double>& values, int width) {
    const int half = width / 2;
    at::Tensor out = at::empty({static_cast<std::int64_t>(values.size()), width}, at::kDouble);
    double* row = out.data_ptr<double>();
    for (const double value : values) {
        for (int i = 0; i < half; ++i) {
            const double angle = value * std::pow(10000.0, -static_cast<double>(i) / half);
            row[i] = std::cos(angle);
            row[half + i] = std::sin(angle);
        }
        row += width;
    }
    return out;
}

TimeVectors WanDit::Weights::time_vectors(double timestep, int label) const {
    const auto embed = [&](double value, const nn::Linear& first, const nn::Linear& second) {
        const at::Tensor waves = sinusoidal_embedding({value}, config.freq_dim).to(device, wide);
        return second(at::silu(first(waves)));
    };
    at::Tensor e = embed(timestep, time_0, time_2);
    if (config.action_label) e = e + embed(label, action_0, action_2);
    return {e.view({config.dim}), time_projection(at::silu(e)).view({6, config.dim})};
}

DitModulation WanDit::Weights::modulation_of(const DitPass& pass) const {
    const auto find = [&](std::size_t latent) {
        const std::pair<double, int> key{pass.timesteps.at(latent), config.action_label ? pass.labels.at(latent) : 0};
        const std::lock_guard lock(time_mutex);
        if (const auto found = time_cache.find(key); found != time_cache.end()) return found->second;
        const TimeVectors time = time_vectors(key.first, key.second);
        DitModulation factors{modulation + time.projection, head_modulation + time.embedding};
        factors.blocks.select(1, 1).add_(1);
        factors.blocks.select(1, 4).add_(1);
        factors.head.select(0, 1).add_(1);
        if (time_cache.size() >= kMaxCached) time_cache.clear();
        return time_cache.emplace(key, std::move(factors)).first->second;
    };
    if (all_same(pass)) {
        const DitModulation one = find(0);
        return {one.blocks.unsqueeze(2), one.head.unsqueeze(1)};
    }
    std::vector<at::Tensor> block_rows, head_rows;
    for (std::size_t i = 0; i < pass.timesteps.size(); ++i) {
        const DitModulation one = find(i);
        block_rows.push_back(one.blocks);
        head_rows.push_back(one.head);
    }
    return {at::stack(block_rows, 2), at::stack(head_rows, 1)};
}

} // namespace wander
