#include "gui/plain/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace wander::gui {

namespace {

template <typename Value>
Summary summarize_values(const ChunkHistory& history, Value value) {
    std::vector<double> values;
    values.reserve(history.size());
    for (const ChunkTelemetry& chunk : history.chunks()) {
        values.push_back(value(chunk.ms));
    }
    if (values.empty()) {
        return {};
    }
    const double newest = values.back();
    return {newest, percentile(values, 50), percentile(std::move(values), 99)};
}

} // namespace

double percentile(std::vector<double> values, double p) {
    if (values.empty()) {
        return 0;
    }
    const double rank = std::clamp(p, 0.0, 100.0) / 100.0 * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(rank);
    const auto at_below = values.begin() + static_cast<std::ptrdiff_t>(below);
    std::nth_element(values.begin(), at_below, values.end());
    const double low = *at_below;
    if (below + 1 == values.size()) {
        return low;
    }
    const double high = *std::min_element(at_below + 1, values.end());
    return std::lerp(low, high, rank - static_cast<double>(below));
}

double stage_ms(const StageMs& ms, Stage stage) {
    switch (stage) {
        case Stage::denoise: return ms.denoise;
        case Stage::context: return ms.context;
        case Stage::encode: return ms.encode;
        case Stage::expand: return ms.expand;
        case Stage::decode: return ms.decode;
    }
    return 0;
}

std::array<double, kStageCount> stacked_ms(const StageMs& ms) {
    const double passes = ms.denoise + ms.context;
    const double expand = std::min(ms.expand, passes);
    const double encode = std::min(ms.encode, passes - expand);
    const double left = passes > 0 ? (passes - expand - encode) / passes : 0;
    return {ms.denoise * left, ms.context * left, encode, expand, ms.decode};
}

Summary summarize(const ChunkHistory& history, Stage stage) {
    return summarize_values(history, [stage](const StageMs& ms) { return stage_ms(ms, stage); });
}

Summary summarize_total(const ChunkHistory& history) {
    return summarize_values(history, [](const StageMs& ms) { return ms.total; });
}

Summary summarize_period(const ChunkHistory& history) {
    std::vector<double> values;
    for (const ChunkTelemetry& chunk : history.chunks()) {
        if (chunk.ms.period > 0) {
            values.push_back(chunk.ms.period);
        }
    }
    if (values.empty()) {
        return {};
    }
    return {history.newest().ms.period, percentile(values, 50), percentile(values, 99)};
}

} // namespace wander::gui
