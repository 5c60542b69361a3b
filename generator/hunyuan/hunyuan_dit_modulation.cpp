// What timestep and label of a latent do to the network. A row per (timestep, label) is kept: a walk meets few of them,
// and the matrices behind a row are 1.4 billion values.

#include "generator/hunyuan/hunyuan_dit_weights.hpp"

#include <ATen/ATen.h>

#include <set>

namespace wander {
namespace {

// A row of the published sizes is 2.7 MB. Five timesteps of some 25 labels; more make the cache begin anew.
constexpr std::size_t kMaxRows = 128;

} // namespace

at::Tensor HunyuanDit::Weights::vectors(const std::vector<double>& timesteps, const std::vector<int>& labels) const {
    return time(timesteps, device, wide) + action({labels.begin(), labels.end()}, device, wide);
}

void HunyuanDit::Weights::make_rows(const std::vector<Key>& keys) const {
    std::vector<double> timesteps;
    std::vector<int> labels;
    for (const auto& [timestep, label] : keys) {
        timesteps.push_back(timestep);
        labels.push_back(label);
    }
    const auto count = static_cast<std::int64_t>(keys.size());
    const at::Tensor active = at::silu(vectors(timesteps, labels)).to(compute);
    std::vector<at::Tensor> layers;
    layers.reserve(blocks.size());
    for (const HunyuanBlock& block : blocks) layers.push_back(block.modulation(active).to(wide));
    const at::Tensor rows = at::stack(layers, 1).view({count, config.layers, 6, config.dim});
    rows.select(2, 1).add_(1);
    rows.select(2, 4).add_(1);
    const at::Tensor head_rows = head_modulation(active).to(wide).view({count, 2, config.dim});
    head_rows.select(1, 1).add_(1);
    for (std::int64_t i = 0; i < count; ++i)
        rows_[keys[static_cast<std::size_t>(i)]] = {rows[i].clone(), head_rows[i].clone()};
}

HunyuanDit::Weights::Modulation HunyuanDit::Weights::modulation_of(const DitPass& pass) const {
    const std::lock_guard lock(rows_mutex_);
    std::vector<Key> keys;
    for (std::size_t i = 0; i < pass.timesteps.size(); ++i) keys.emplace_back(pass.timesteps[i], pass.labels.at(i));
    std::set<Key> all(keys.begin(), keys.end());
    std::vector<Key> missing;
    for (const Key& key : all)
        if (!rows_.contains(key)) missing.push_back(key);
    if (!missing.empty()) {
        if (rows_.size() + missing.size() > kMaxRows) {
            rows_.clear();
            missing.assign(all.begin(), all.end());
        }
        make_rows(missing);
    }
    if (all.size() == 1) keys.resize(1);
    std::vector<at::Tensor> block_rows, head_rows;
    for (const Key& key : keys) {
        const Rows& rows = rows_.at(key);
        block_rows.push_back(rows.blocks);
        head_rows.push_back(rows.head);
    }
    return {at::stack(block_rows, 2), at::stack(head_rows, 1)};
}

} // namespace wander
