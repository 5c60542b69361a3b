#include "gui/plain/capacity_forecast.hpp"

#include <algorithm>
#include <cmath>

namespace wander::gui {

namespace {

constexpr double kUsableShare = 0.95; // the driver, the desktop and the allocator's slack need the rest

// What the open chunk, the sink and the newest chunks keep uncompressed.
std::int64_t raw_latents(const CapacityFacts& facts, const ChunkTelemetry& chunk, std::int64_t view) {
    const std::int64_t sink = chunk.rules.keep_sink ? facts.sink_latents : 0;
    const std::int64_t recent = std::int64_t{facts.chunk_latents} * chunk.rules.keep_recent;
    return std::min<std::int64_t>(view, sink + recent + facts.chunk_latents);
}

} // namespace

CapacityForecast forecast_capacity(const CapacityFacts& facts, const ChunkTelemetry& chunk, double ratio) {
    CapacityForecast forecast;
    forecast.device_total = chunk.device_total_bytes;
    if (facts.raw_latent_bytes <= 0 || ratio <= 0) return forecast;
    const auto raw_bytes = static_cast<double>(facts.raw_latent_bytes);
    const std::int64_t held = (chunk.index + 1) * facts.chunk_latents;
    const std::int64_t view = facts.view_latents > 0 ? facts.view_latents : held;
    forecast.full = held >= view;
    const std::int64_t raw = raw_latents(facts, chunk, view);
    const auto packed = static_cast<double>(view - raw);
    forecast.cache_bytes = static_cast<std::int64_t>(std::llround((static_cast<double>(raw) + packed / ratio) * raw_bytes));
    if (chunk.device_total_bytes <= 0) return forecast;
    // Everything else of the program is there already: weights, scratch, the decoder's state.
    const std::int64_t rest = chunk.device_used_bytes - chunk.cache_bytes;
    forecast.device_bytes = rest + std::max(forecast.cache_bytes, chunk.cache_bytes);
    const double usable = static_cast<double>(chunk.device_total_bytes) * kUsableShare - static_cast<double>(rest);
    const double spare = usable / raw_bytes - static_cast<double>(raw);
    forecast.most_latents = static_cast<int>(std::max(0.0, std::floor(static_cast<double>(raw) + spare * ratio)));
    forecast.fits = static_cast<double>(forecast.device_bytes) <= kUsableShare * static_cast<double>(chunk.device_total_bytes);
    return forecast;
}

} // namespace wander::gui
