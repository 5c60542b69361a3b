#pragma once
// Which earlier latents a HY-WorldPlay network reads again for a new chunk, and where they stand in time. No torch.
//
// While all earlier latents fit, all are taken. Then: the first chunk if the model anchors it, the newest `recent`
// latents, and the one earlier clip of four whose views overlap the new ones most. Clips start at every fourth latent
// after the anchor and before the recent ones. Distance of a clip = mean over the new poses and over the clip's latents
// +0 and +2 of (1 - overlap); of equal distances the earliest clip counts. Overlaps are compared as whole numbers of
// points, so ties are exact. Pure functions, any thread (hy-worldplay.md 5 and 7.3).

#include "generator/camera/latent_camera.hpp"
#include "generator/memory/view_overlap.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace wander {

struct ContextRules {
    int latents = 20; // most of the context
    int recent = 12;
    int anchor = 4; // first latents that always stay; 0: none
    int clip = 4;   // latents of the found clip, and of a chunk

    static ContextRules worldplay_8b() { return {20, 12, 4, 4}; }
    static ContextRules worldplay_8b_of(int latents) { return {latents, latents - 8, 4, 4}; }
    static ContextRules wan_5b() { return {16, 12, 0, 4}; }
    // Quant VideoGen's long contexts: 48 or 56 latents, of which four are found.
    static ContextRules wan_5b_long(int latents) { return {latents, latents - 4, 0, 4}; }
    // recent + anchor + clip make up the whole, all in whole clips: else chosen latents could meet.
    bool valid() const;
};

struct ContextChoice {
    std::vector<std::int64_t> latents; // ascending
    std::optional<std::int64_t> clip;  // first latent of the found clip
    std::vector<double> distances;     // of every candidate, oldest first; empty while all latents fit
};

// cameras: every latent up to the new chunk's last one; the new chunk begins at `first`. It needs at least one camera
// of the new chunk where a clip has to be found. Clips that begin before latent `oldest` are no candidates; at least
// one clip must be.
ContextChoice choose_context(const ContextRules& rules, std::int64_t first, std::span<const LatentCamera> cameras,
                             const ViewOverlap& overlap, std::int64_t oldest = 0);
// Does the choice need the new chunk's cameras? While not, the context pass need not wait for the keys.
bool context_needs_cameras(const ContextRules& rules, std::int64_t first);

// Time positions are numbered anew for each chunk ("temporal reframing"): the context 0..n-1 in ascending order, then
// the chunk. Rotated keys of the chunk before are useless, un-rotated ones are not.
struct ChunkPositions {
    std::vector<float> context;
    std::vector<float> chunk;
};
ChunkPositions reframed_positions(std::size_t context_latents, int chunk_latents);

} // namespace wander
