#include "tests/unit/quant/cache_model.hpp"

#include "quant/cache/frame_importance.hpp"
#include "quant/cache/logit_bias.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <iterator>

namespace wander::test {

using quant::FormatRegistry;
using quant::PageFormat;

void CacheModel::clear() {
    keys_.clear();
    values_.clear();
    groups_.clear();
    next_ = 0;
    used_session_codebooks_ = false;
}

std::vector<std::int64_t> CacheModel::visible(std::int64_t first) const {
    std::vector<std::int64_t> latents;
    for (std::int64_t latent = 0; latent < first; ++latent) {
        const bool recent = setup_.shape.window_latents <= 0 || latent >= first - setup_.shape.window_latents;
        if (latent < setup_.shape.sink_latents || recent) {
            latents.push_back(latent);
        }
    }
    return latents;
}

void CacheModel::begin(std::int64_t first) {
    const auto seen = visible(first);
    std::erase_if(groups_, [&](const auto& entry) {
        const Group& group = entry.second;
        return std::none_of(seen.begin(), seen.end(),
                            [&](std::int64_t l) { return l >= group.first && l < group.end; });
    });
}

void CacheModel::before_writes(const quant::KvCache& cache) {
    for (auto& [start, group] : groups_) {
        if (group.end > next_) continue; // not full
        for (int layer = 0; layer < setup_.shape.layers; ++layer) {
            group.layers[static_cast<std::size_t>(layer)].before =
                cache.read_keys(layer, group.first, static_cast<int>(group.end - group.first));
        }
    }
}

void CacheModel::commit(const quant::KvCache& cache, std::int64_t first, int latents,
                        const std::vector<at::Tensor>& keys, const std::vector<at::Tensor>& values) {
    const PageFormat* raw = FormatRegistry::instance().find("bf16");
    for (int n = 0; n < latents; ++n) {
        const std::int64_t latent = first + n;
        for (const at::Tensor& layer : keys) keys_[latent].push_back(slice(layer, n));
        for (const at::Tensor& layer : values) values_[latent].push_back(slice(layer, n));
        const std::int64_t sink = setup_.shape.sink_latents;
        const std::int64_t page = setup_.shape.page_latents;
        const bool in_sink = latent < sink;
        Group group;
        group.first = in_sink ? 0 : sink + (latent - sink) / page * page;
        group.end = in_sink ? sink : group.first + page;
        group.sink = in_sink;
        group.layers.resize(static_cast<std::size_t>(setup_.shape.layers));
        for (LayerPages& pages : group.layers) pages.format = raw;
        groups_.try_emplace(group.first, std::move(group));
    }
    next_ = first + latents;
    const std::int64_t recent = first - static_cast<std::int64_t>(rules_.keep_recent - 1) * latents;
    for (auto& [start, group] : groups_) {
        if (!group.settled && group.end <= recent && !(group.sink && rules_.keep_sink)) {
            group.settled = true;
            change(cache, group);
        }
    }
    int visits = setup_.policy.convert_groups_per_commit;
    for (auto& [start, group] : groups_) {
        if (group.settled && !done(group) && visits-- > 0) {
            change(cache, group);
        }
    }
}

// An uncompressed cache is uncompressed in every layer; what a format cannot hold stays uncompressed.
const PageFormat* CacheModel::target(const Group& group, int layer) const {
    const FormatRegistry& registry = FormatRegistry::instance();
    const PageFormat* format = registry.find(format_);
    if (format->packed()) {
        for (const quant::LayerFormat& entry : rules_.layer_formats) {
            if (layer >= entry.first_layer && layer <= entry.last_layer) format = registry.find(entry.format);
        }
    }
    const bool fits = format->supports(page_shape(group, true)) && format->supports(page_shape(group, false));
    return fits ? format : registry.find("bf16");
}

bool CacheModel::done(const Group& group) const {
    for (int layer = 0; layer < setup_.shape.layers; ++layer) {
        if (group.layers[static_cast<std::size_t>(layer)].format != target(group, layer)) return false;
    }
    return true;
}

// The cache has done it already.
void CacheModel::change(const quant::KvCache& cache, Group& group) {
    const int latents = static_cast<int>(group.end - group.first);
    for (int layer = 0; layer < setup_.shape.layers; ++layer) {
        LayerPages& pages = group.layers[static_cast<std::size_t>(layer)];
        const PageFormat* to = target(group, layer);
        if (pages.format == to) continue;
        if (to->prunes() && group.kept == 0xffffffffU) {
            std::vector<at::Tensor> sketches;
            for (const at::Tensor& latent : pages.before.chunk(latents)) {
                sketches.push_back(quant::importance_sketch(latent));
            }
            group.kept = quant::important_latents(at::stack(sketches));
        }
        group.lossy_history = group.lossy_history || !pages.format->lossless();
        pages.format = to;
        used_session_codebooks_ = used_session_codebooks_ || to->uses_session_codebook();
        if (!to->packed()) continue;
        pages.touched = true;
        const bool measured =
            rules_.bias_correction && !to->prunes() && setup_.shape.head_dim % quant::kNoiseChannels == 0;
        if (!measured) {
            pages.noise.reset();
            continue;
        }
        const at::Tensor error =
            cache.read_keys(layer, group.first, latents).to(at::kDouble) - pages.before.to(at::kDouble);
        const at::Tensor noise = error.square()
                                     .reshape({error.size(0), error.size(1), -1, quant::kNoiseChannels})
                                     .mean(at::IntArrayRef{0, 3});
        pages.noise = pages.noise.defined() ? pages.noise + noise : noise;
    }
}

const at::Tensor& CacheModel::keys(std::int64_t latent, int layer) const {
    return keys_.at(latent)[static_cast<std::size_t>(layer)];
}
const at::Tensor& CacheModel::values(std::int64_t latent, int layer) const {
    return values_.at(latent)[static_cast<std::size_t>(layer)];
}

const CacheModel::Group& CacheModel::group_of(std::int64_t latent) const {
    return std::prev(groups_.upper_bound(latent))->second;
}

bool CacheModel::untouched(std::int64_t latent, int layer) const {
    return !group_of(latent).layers[static_cast<std::size_t>(layer)].touched;
}

bool CacheModel::pruned(std::int64_t latent, int layer) const {
    const Group& group = group_of(latent);
    const bool kept = (group.kept >> (latent - group.first)) & 1U;
    return group.layers[static_cast<std::size_t>(layer)].format->prunes() && !kept;
}

std::vector<bool> CacheModel::one_row(const std::vector<std::int64_t>& history, int layer) const {
    std::vector<bool> rows;
    for (const std::int64_t latent : history) rows.push_back(pruned(latent, layer));
    return rows;
}

at::Tensor CacheModel::noise(const std::vector<std::int64_t>& history, int layer) const {
    if (!rules_.bias_correction || history.empty()) return {};
    const at::Tensor none = at::zeros({setup_.shape.heads, setup_.shape.head_dim / quant::kNoiseChannels}, at::kDouble);
    std::vector<at::Tensor> rows;
    for (const std::int64_t latent : history) {
        const LayerPages& pages = group_of(latent).layers[static_cast<std::size_t>(layer)];
        const at::Tensor& of_page = pages.format->packed() && pages.noise.defined() ? pages.noise : none;
        rows.push_back(of_page.unsqueeze(0).expand({setup_.shape.tokens_per_latent, -1, -1}));
    }
    return at::cat(rows, 0);
}

std::string CacheModel::cell_format(std::int64_t latent) const {
    std::vector<std::string_view> names;
    for (const LayerPages& pages : group_of(latent).layers) {
        if (std::find(names.begin(), names.end(), pages.format->name()) == names.end())
            names.push_back(pages.format->name());
    }
    std::string together;
    for (const std::string_view name : names) together += (together.empty() ? "" : " / ") + std::string(name);
    return together;
}

bool CacheModel::lossy_history(std::int64_t latent) const { return group_of(latent).lossy_history; }

quant::PageShape CacheModel::page_shape(const Group& group, bool is_key) const {
    return {static_cast<int>(group.end - group.first) * setup_.shape.tokens_per_latent,
            setup_.shape.heads,
            setup_.shape.head_dim,
            is_key,
            setup_.compute,
            setup_.shape.tokens_per_latent};
}

std::int64_t CacheModel::bytes() const {
    std::int64_t sum = 0;
    for (const auto& [start, group] : groups_) {
        quant::EncodeOptions options;
        options.centroids = setup_.policy.centroids;
        options.kept = group.kept;
        for (const LayerPages& pages : group.layers) {
            for (const bool is_key : {true, false})
                sum += pages.format->bytes(page_shape(group, is_key), options).total();
            // float32, beside the page
            if (pages.format->packed() && pages.noise.defined()) sum += pages.noise.numel() * 4;
        }
    }
    return sum;
}

std::int64_t CacheModel::waiting() const {
    return std::count_if(groups_.begin(), groups_.end(),
                         [this](const auto& entry) { return entry.second.settled && !done(entry.second); });
}

at::Tensor CacheModel::slice(const at::Tensor& rows, int latent) const {
    const std::int64_t tokens = setup_.shape.tokens_per_latent;
    return rows.narrow(0, latent * tokens, tokens);
}

} // namespace wander::test
