#pragma once
// The fixed choices of the page encoder, in one place for the CPU, the kernels and the tests.

#include "quant/formats/qvg_page_layout.hpp"

#include <cstdint>

namespace wander::quant::qvg {

// Scale of a four-level block: the e4m3 number nearest to kStartScale * rms (best for Gaussian residuals) and its
// neighbours, two on each side; the one with the least squared error wins, the smaller one on ties.
inline constexpr float kStartScale = 0.996F;
inline constexpr int kScaleCandidates = 5;

// The mean is taken over kMeanParts sums, of every kMeanParts-th token each, added in order.
inline constexpr int kMeanParts = 32;

// Rounds of assignment and update after the start. Ids are those of the last assignment, centroids the means of their
// members.
WANDER_HOST_DEVICE constexpr int lloyd_iterations(int centroids) { return centroids <= 16 ? 5 : 4; }

// Start: each centroid is one token, the one of kStartDraws drawn tokens that lies farthest from those chosen before.
inline constexpr int kStartDraws = 8;

// splitmix64 of the page's seed and the place of the draw.
WANDER_HOST_DEVICE constexpr int drawn_token(std::uint64_t seed, int head, int centroid, int draw, int tokens) {
    std::uint64_t z =
        seed + 0x9e3779b97f4a7c15ULL *
                   (1ULL + static_cast<std::uint64_t>((head * kQvgMaxCentroids + centroid) * kStartDraws + draw));
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    return static_cast<int>(z % static_cast<std::uint64_t>(tokens));
}

} // namespace wander::quant::qvg
