#include "generator/memory/context_choice.hpp"

#include <algorithm>
#include <cassert>

namespace wander {

namespace {

// The clip's latents whose views are compared.
constexpr std::int64_t kComparedLatents[] = {0, 2};

// Points of the new views that the clip saw, all pairs together.
std::int64_t seen_by_clip(std::int64_t clip, std::span<const LatentCamera> cameras, std::span<const LatentCamera> chunk,
                          const ViewOverlap& overlap) {
    std::int64_t points = 0;
    for (const LatentCamera& camera : chunk) {
        for (const std::int64_t offset : kComparedLatents) {
            points +=
                overlap.seen(camera.world_to_camera, cameras[static_cast<std::size_t>(clip + offset)].camera_to_world);
        }
    }
    return points;
}

} // namespace

bool ContextRules::valid() const {
    return clip > 2 && recent >= clip && anchor >= 0 && recent % clip == 0 && anchor % clip == 0 &&
           latents == recent + anchor + clip;
}

bool context_needs_cameras(const ContextRules& rules, std::int64_t first) { return first > rules.latents; }

ContextChoice choose_context(const ContextRules& rules, std::int64_t first, std::span<const LatentCamera> cameras,
                             const ViewOverlap& overlap, std::int64_t oldest) {
    assert(rules.valid());
    ContextChoice choice;
    const auto take = [&choice](std::int64_t begin, std::int64_t count) {
        for (std::int64_t i = begin; i < begin + count; ++i) choice.latents.push_back(i);
    };
    if (!context_needs_cameras(rules, first)) {
        take(0, first);
        return choice;
    }
    assert(cameras.size() > static_cast<std::size_t>(first));
    const std::size_t new_latents =
        std::min(cameras.size() - static_cast<std::size_t>(first), static_cast<std::size_t>(rules.clip));
    const auto chunk = cameras.subspan(static_cast<std::size_t>(first), new_latents);
    const double all =
        static_cast<double>(overlap.points()) * static_cast<double>(chunk.size() * std::size(kComparedLatents));
    std::int64_t best = -1;
    for (std::int64_t clip = rules.anchor; clip + rules.clip <= first - rules.recent; clip += rules.clip) {
        if (clip < oldest) continue;
        const std::int64_t points = seen_by_clip(clip, cameras, chunk, overlap);
        choice.distances.push_back(1 - static_cast<double>(points) / all);
        if (points <= best) continue;
        best = points;
        choice.clip = clip;
    }
    take(0, rules.anchor);
    take(*choice.clip, rules.clip);
    take(first - rules.recent, rules.recent);
    return choice;
}

ChunkPositions reframed_positions(std::size_t context_latents, int chunk_latents) {
    ChunkPositions positions;
    for (std::size_t i = 0; i < context_latents; ++i) positions.context.push_back(static_cast<float>(i));
    for (int i = 0; i < chunk_latents; ++i)
        positions.chunk.push_back(static_cast<float>(context_latents + static_cast<std::size_t>(i)));
    return positions;
}

} // namespace wander
