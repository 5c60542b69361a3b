#include "generator/rollout/clean_chunks.hpp"

#include <algorithm>
#include <numeric>

namespace wander {

namespace {

// Of the sink: they come first and never leave.
std::size_t sink_chunks(const std::vector<CleanChunk>& chunks, const quant::CacheShape& shape) {
    const auto behind =
        std::ranges::find_if(chunks, [&](const CleanChunk& chunk) { return chunk.first_latent >= shape.sink_latents; });
    return static_cast<std::size_t>(behind - chunks.begin());
}

} // namespace

std::optional<std::size_t> first_rebuilt(const std::vector<CleanChunk>& chunks, const quant::CacheShape& shape) {
    if (chunks.empty()) return std::nullopt;
    const std::size_t sink = sink_chunks(chunks, shape);
    const std::int64_t latest = chunks.back().end_latent() - shape.window_latents - kRebuildLead;
    for (std::size_t i = chunks.size(); shape.window_latents > 0 && i-- > sink;) {
        const std::int64_t first = chunks[i].first_latent;
        if (first <= latest && (first - shape.sink_latents) % shape.page_latents == 0) return i;
    }
    const std::int64_t sink_end = sink > 0 ? chunks[sink - 1].end_latent() : 0;
    if (sink < chunks.size() && chunks[sink].first_latent != sink_end) return std::nullopt;
    return sink; // of a walk that is whole, all
}

void forget_oldest(std::vector<CleanChunk>& chunks, const quant::CacheShape& shape, std::int64_t most_latents) {
    std::int64_t held =
        std::accumulate(chunks.begin(), chunks.end(), std::int64_t{0},
                        [](std::int64_t sum, const CleanChunk& chunk) { return sum + chunk.latents.size(0); });
    if (held <= most_latents) return;
    const std::size_t sink = sink_chunks(chunks, shape);
    const std::size_t needed = first_rebuilt(chunks, shape).value_or(sink);
    std::size_t end = sink;
    for (; end < needed && held > most_latents; ++end) held -= chunks[end].latents.size(0);
    const auto at = [&](std::size_t i) { return chunks.begin() + static_cast<std::ptrdiff_t>(i); };
    chunks.erase(at(sink), at(end));
}

} // namespace wander
