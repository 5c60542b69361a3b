#pragma once
// How far two pictures are apart, and what a picture is like on its own. RGB8 pictures, rows tightly packed; no torch.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wander::evaluate {

using Picture = std::vector<std::uint8_t>; // width * height * 3

// Mean squared error over all values of two pictures, in [0, 1]^2.
double mean_squared_error(const Picture& a, const Picture& b);

inline constexpr double kEqualDb = 100; // said of equal pictures, so that no infinity enters a mean
inline constexpr double kFrameCapDb = 60;
double psnr_db(double mean_squared_error);

// Structural similarity of the luma (BT.601 weights, 0..255) with a Gaussian window of 11x11, sigma 1.5, K1 0.01,
// K2 0.03, over the positions where the window lies inside the picture (Wang et al. 2004).
double ssim(const Picture& a, const Picture& b, int width, int height);

// Variance of the 4-neighbour Laplacian of the grey picture, the mean of its three values in 0..1 (tiny-world.md 6).
double sharpness_of(const Picture& picture, int width, int height);

// Without a reference: what drifts when a walk goes wrong slowly.
struct Look {
    double luma = 0;               // mean, 0..255
    double saturation = 0;         // mean of (max - min) / max over pixels, 0..1
    double laplacian_variance = 0; // of the luma; sharpness
};
Look look_of(const Picture& picture, int width, int height);
Look mean_look(std::span<const Picture> pictures, int width, int height);

} // namespace wander::evaluate
