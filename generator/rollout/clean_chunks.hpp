#pragma once
// What a causal walk was so far: its clean latents, chunk by chunk, and which of them make the cache again.

#include "generator/plain/control_state.hpp"
#include "quant/kv_cache.hpp"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace wander {

struct CleanChunk {
    std::int64_t first_latent = 0;
    at::Tensor latents;           // [F, C, h, w] as the sampler made them, CPU
    std::vector<int> labels;      // ChunkInput's
    std::vector<Pose> poses;      // likewise
    std::vector<double> steering; // likewise
    std::int64_t end_latent() const { return first_latent + latents.size(0); }
};

// A chunk's keys and values depend on those of the chunks that it saw. Making them again begins this many latents
// before the first one that can be seen, so that those that are seen had most of what they had: docs/performance.md,
// "Walks that go on".
inline constexpr std::int64_t kRebuildLead = 24;

// For the chunk behind the last one: those of the sink are made again, and everything from this chunk on. It begins a
// cache page, since no page may be made by half. Nothing: too few chunks are kept for that. The same for a walk of
// which more is kept.
std::optional<std::size_t> first_rebuilt(const std::vector<CleanChunk>& chunks, const quant::CacheShape& shape);

// Forgets the oldest chunks behind the sink, until `most_latents` are left or every one is needed to go on.
void forget_oldest(std::vector<CleanChunk>& chunks, const quant::CacheShape& shape, std::int64_t most_latents);

} // namespace wander
