#include "generator/plain/capacity_forecast.hpp"

#include <algorithm>
#include <cmath>

namespace wander {

namespace {

constexpr double kUsableShare = 0.95; // the driver, the desktop and the allocator's slack need the rest
// What torch's allocator keeps in pieces that nobody fits into, measured while INT2 filled windows of 42 and 180
// latents (docs/performance.md, "Small cards"): a third of a chunk, which comes while the window fills, and a share of
// the slabs of packed pages, some of which lie in holes of uncompressed ones.
constexpr double kLeftoverShare = 0.35;
constexpr double kSlabShare = 0.02;

// Sink and newest chunks stay uncompressed. Measured between chunks: the newest is committed, and what will leave with
// the next one is still there, so as many latents are held as a chunk sees. The open pages of the next chunk take the
// room of those of the last, which the allocator keeps.
std::int64_t raw_latents(const CapacityFacts& facts, const quant::CacheRules& rules, std::int64_t view) {
    const std::int64_t sink = rules.keep_sink ? facts.sink_latents : 0;
    const std::int64_t recent = std::int64_t{facts.chunk_latents} * rules.keep_recent;
    return std::min<std::int64_t>(view, sink + recent);
}

} // namespace

CapacityForecast forecast_capacity(const CapacityFacts& facts, const quant::CacheRules& rules, const CapacityNow& now) {
    CapacityForecast forecast;
    forecast.device_total = now.device_total_bytes;
    if (facts.raw_latent_bytes <= 0 || now.ratio <= 0) return forecast;
    const auto raw_bytes = static_cast<double>(facts.raw_latent_bytes);
    const std::int64_t held = now.latents;
    const std::int64_t view = facts.view_latents > 0 ? facts.view_latents : held;
    forecast.full = held >= view;
    const std::int64_t raw = raw_latents(facts, rules, view);
    const auto packed = static_cast<double>(view - raw);
    const auto packed_now = static_cast<double>(std::max<std::int64_t>(0, std::min(held, view) - raw));
    forecast.cache_bytes =
        static_cast<std::int64_t>(std::llround((static_cast<double>(raw) + packed / now.ratio) * raw_bytes));
    if (now.device_total_bytes <= 0) return forecast;
    // Everything else of the program is there already: weights, scratch, the decoder's state. Kept rows go where
    // others need their memory, so a walk needs none of it.
    const std::int64_t rest = now.device_used_bytes - now.cache_bytes - now.kept_row_bytes;
    forecast.device_bytes = rest + std::max(forecast.cache_bytes, now.cache_bytes);
    if (now.ratio > 1 && packed > packed_now) {
        const double leftover = kLeftoverShare * static_cast<double>(facts.chunk_latents) * raw_bytes;
        const double slabs = kSlabShare * packed / now.ratio * raw_bytes;
        forecast.device_bytes += std::llround((leftover + slabs) * (1 - packed_now / packed));
    }
    const double usable = static_cast<double>(now.device_total_bytes) * kUsableShare - static_cast<double>(rest);
    const double spare = usable / raw_bytes - static_cast<double>(raw);
    forecast.most_latents = static_cast<int>(std::max(0.0, std::floor(static_cast<double>(raw) + spare * now.ratio)));
    forecast.fits =
        static_cast<double>(forecast.device_bytes) <= kUsableShare * static_cast<double>(now.device_total_bytes);
    return forecast;
}

} // namespace wander
