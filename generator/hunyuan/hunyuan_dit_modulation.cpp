// What timestep and label of a latent do to the network. A row per (timestep, label) is kept: a walk meets few of them,
// and the matrices behind a row are 1.4 billion values.

#include "generator/hunyuan/hunyuan_dit_weights.hpp"

#include <ATen/ATen.h>

#include <utility>

namespace wander {
namespace {

// A row of the published sizes is 2.7 MB. Five timesteps of some 25 labels; more make the cache begin anew.
constexpr std::size_t kMaxRows = 128;

} // namespace

at::Tensor HunyuanDit::Weights::vectors(const std::vector<double>& timesteps, const std::vector<int>& labels) const {
    return time(timesteps, device, wide) + action({labels.begin(), labels.end()}, device, wide);
}

// One at a time: products of several rows round otherwise, and a row must not depend on what came beside it, or a walk
// that goes on would not be the walk that was saved.
const HunyuanDit::Weights::Rows& HunyuanDit::Weights::rows_of(const Key& key) const {
    if (const auto found = rows_.find(key); found != rows_.end()) return found->second;
    const at::Tensor active = at::silu(vectors({key.first}, {key.second})).to(compute);
    std::vector<at::Tensor> layers;
    layers.reserve(blocks.size());
    for (const HunyuanBlock& block : blocks) layers.push_back(block.modulation(active).to(wide));
    Rows rows{at::cat(layers).view({config.layers, 6, config.dim}),
              head_modulation(active).to(wide).view({2, config.dim}).clone()};
    rows.blocks.select(1, 1).add_(1);
    rows.blocks.select(1, 4).add_(1);
    rows.head[1].add_(1);
    return rows_.emplace(key, std::move(rows)).first->second;
}

HunyuanDit::Weights::Modulation HunyuanDit::Weights::modulation_of(const DitPass& pass) const {
    const std::lock_guard lock(rows_mutex_);
    if (rows_.size() + pass.timesteps.size() > kMaxRows) rows_.clear();
    const auto same = [&](std::size_t i) {
        return pass.timesteps[i] == pass.timesteps[0] && pass.labels.at(i) == pass.labels[0];
    };
    std::size_t groups = 1;
    for (std::size_t i = 0; i < pass.timesteps.size(); ++i)
        if (!same(i)) groups = pass.timesteps.size();
    std::vector<at::Tensor> block_rows, head_rows;
    for (std::size_t i = 0; i < groups; ++i) {
        const Rows& rows = rows_of({pass.timesteps[i], pass.labels[i]});
        block_rows.push_back(rows.blocks);
        head_rows.push_back(rows.head);
    }
    return {at::stack(block_rows, 2), at::stack(head_rows, 1)};
}

} // namespace wander
