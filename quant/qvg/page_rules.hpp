#pragma once
// The fixed choices of the page encoder, in one place for the CPU, the kernels and the tests.

#include "quant/formats/qvg_page_layout.hpp"

#include <cstdint>

namespace wander::quant::qvg {

// Scale of a four-level block: the e4m3 number nearest to kStartScale * rms (best for Gaussian residuals) and its
// neighbours, two on each side; the one with the least squared error wins, the smaller one on ties. A magnitude m
// becomes s / 2 or, from s on, 3 s / 2, so the error of n of them is their power + n s^2 / 4 - s sum(m) - 2 s sum(max(m
// - s, 0)): 9/4 n s^2 - s (sum(m) + 2 sum(max(m, s))) is compared.
inline constexpr float kStartScale = 0.996F;
inline constexpr int kScaleCandidates = 5;

// The mean is taken over kMeanParts sums, of every kMeanParts-th token each, added in order.
inline constexpr int kMeanParts = 32;

// Clustering runs in whole numbers, so that sums may be taken in any order and tensor cores may take the products: a
// value about its head's mean is a multiple of the head's step, its largest magnitude (the peak) being kFineLevels
// steps, rounded to nearest even. Means are those of these multiples. Distances take only the upper eight bits of them.
inline constexpr int kFineLevels = 127 * 256;
inline constexpr float kCoarseShare = 1.0F / 256.0F;
inline constexpr float kLeastPeak = 1e-30F; // what is smaller counts as nothing
inline constexpr int kMaxTokens = 65535;    // a sum of kFineLevels as often as this is less than 2^31

// Adding this rounds to a whole number, which then stands in the low bits of the float.
inline constexpr float kRounder = 12582912.0F;

// Sums over channels are four, one of every fourth eight channels, then ((0 + 1) + (2 + 3)): a thread or vector each.
inline constexpr int kSumParts = 4;
inline constexpr int kSumStretch = 8;

// Rounds of assignment and update after the start. Ids are those of the last assignment, centroids the means of their
// members.
WANDER_HOST_DEVICE constexpr int lloyd_iterations(int centroids) { return centroids <= 16 ? 5 : 4; }

// Later stages of a page draw from a seed of their own.
WANDER_HOST_DEVICE constexpr std::uint64_t stage_seed(std::uint64_t seed, int stage) {
    return seed + 0xd1342543de82ef95ULL * static_cast<std::uint64_t>(stage);
}

// A session codebook is trained on its first page with this many rounds; every kSessionPages-th page after it publishes
// a new version: each centroid moves to the mean of its members of that page and of all before, what is older counting
// kSessionDecay times less with every version.
inline constexpr int kSessionRounds = 8;
inline constexpr int kSessionPages = 16;
inline constexpr float kSessionDecay = 0.5F;

// Directions of a page with a basis, and the rounds that find them from rows of -1 and 1.
inline constexpr int kBasisRank = 4;
inline constexpr int kBasisRounds = 5;
WANDER_HOST_DEVICE constexpr float start_sign(int direction, int channel) {
    std::uint64_t z = 0x9e3779b97f4a7c15ULL * (1ULL + static_cast<std::uint64_t>(direction * kQvgMaxHeadDim + channel));
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    return ((z >> 40) & 1U) != 0 ? 1.0F : -1.0F;
}

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

// For a page whose heads are those from `first_head` on of a larger one: they draw what they draw there.
WANDER_HOST_DEVICE constexpr std::uint64_t seed_from_head(std::uint64_t seed, int first_head) {
    return seed + 0x9e3779b97f4a7c15ULL * static_cast<std::uint64_t>(first_head) * (kQvgMaxCentroids * kStartDraws);
}

} // namespace wander::quant::qvg
