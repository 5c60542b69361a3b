#include "quant/cache/converter.hpp"

#include "quant/cache/frame_importance.hpp"

#include <algorithm>

namespace wander::quant {

void Converter::settle(std::int64_t newest_first_latent, int chunk_latents) {
    const std::int64_t recent =
        newest_first_latent - static_cast<std::int64_t>(policy_.keep_recent - 1) * chunk_latents;
    for (auto& group : table_.groups()) {
        const bool kept = group->sink && policy_.keep_sink;
        if (!kept && !group->settled && group->full() && group->end_latent() <= recent) {
            group->settled = true;
            change(*group);
        }
    }
}

void Converter::convert_old(int groups) {
    for (auto& group : table_.groups()) {
        if (groups > 0 && group->settled && !is_done(*group)) {
            change(*group);
            --groups;
        }
    }
    if (!wants_codebooks()) {
        codebooks_.drop_unused();
    }
}

bool Converter::wants_codebooks() const {
    const FormatRegistry& registry = FormatRegistry::instance();
    return format_->uses_session_codebook() ||
           (format_->packed() &&
            std::any_of(policy_.layer_formats.begin(), policy_.layer_formats.end(), [&](const LayerFormat& entry) {
                return registry.find(entry.format)->uses_session_codebook();
            }));
}

std::int64_t Converter::waiting() const {
    return std::count_if(table_.groups().begin(), table_.groups().end(),
                         [this](const auto& group) { return group->settled && !is_done(*group); });
}

// An uncompressed cache is uncompressed in every layer. A group that its format cannot hold (the sink may be shorter
// than a page) stays as it is.
const PageFormat* Converter::target(const PageGroup& group, int layer) const {
    const PageFormat* raw = FormatRegistry::instance().find("bf16");
    const PageFormat* format = format_;
    if (format_->packed()) {
        for (const LayerFormat& entry : policy_.layer_formats) {
            if (layer >= entry.first_layer && layer <= entry.last_layer) {
                format = FormatRegistry::instance().find(entry.format);
            }
        }
    }
    const bool fits =
        format->supports(codec_.page_shape(group, true)) && format->supports(codec_.page_shape(group, false));
    return fits ? format : raw;
}

bool Converter::is_done(const PageGroup& group) const {
    for (std::size_t layer = 0; layer < group.keys.size(); ++layer) {
        const PageFormat* format = target(group, static_cast<int>(layer));
        if (group.keys[layer].format != format || group.values[layer].format != format) {
            return false;
        }
    }
    return true;
}

void Converter::change(PageGroup& group) {
    std::vector<PageRef> batch;
    const PageFormat* batch_format = nullptr;
    const auto flush = [&] {
        if (!batch.empty()) {
            codec_.convert(batch, *batch_format, arena_, codebooks_);
            batch.clear();
        }
    };
    for (std::size_t layer = 0; layer < group.keys.size(); ++layer) {
        const PageFormat* format = target(group, static_cast<int>(layer));
        for (const bool is_key : {true, false}) {
            const PageRef ref{&group, static_cast<int>(layer), is_key};
            if (ref.page().format == format) {
                continue;
            }
            if (format->prunes() && group.kept == 0xffffffffU) {
                group.kept = important_latents(codec_.read(group, static_cast<int>(layer), true, 0, group.capacity),
                                               group.capacity);
            }
            group.lossy_history = group.lossy_history || !ref.page().format->lossless();
            if (format != batch_format) {
                flush();
                batch_format = format;
            }
            batch.push_back(ref);
            if (batch.size() >= codec_.batch_pages(group, ref.page(), *format)) {
                flush();
            }
        }
    }
    flush();
}

} // namespace wander::quant
