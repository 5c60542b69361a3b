#include "generator/evaluate/plain/picture_measures.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

namespace wander::evaluate {

namespace {

constexpr int kWindow = 11;
constexpr int kReach = kWindow / 2;
constexpr double kSigma = 1.5;

struct Plane {
    int width = 0;
    int height = 0;
    std::vector<double> values;
    const double* row(int y) const { return values.data() + static_cast<std::ptrdiff_t>(y) * width; }
    double* row(int y) { return values.data() + static_cast<std::ptrdiff_t>(y) * width; }
};

Plane luma_of(const Picture& picture, int width, int height) {
    assert(picture.size() == static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    Plane plane{width, height, std::vector<double>(picture.size() / 3)};
    for (std::size_t i = 0; i < plane.values.size(); ++i) {
        plane.values[i] = 0.299 * picture[3 * i] + 0.587 * picture[3 * i + 1] + 0.114 * picture[3 * i + 2];
    }
    return plane;
}

std::array<double, kWindow> gaussian() {
    std::array<double, kWindow> taps{};
    double sum = 0;
    for (int i = 0; i < kWindow; ++i) {
        const double x = i - kReach;
        sum += taps[static_cast<std::size_t>(i)] = std::exp(-x * x / (2 * kSigma * kSigma));
    }
    for (double& tap : taps) tap /= sum;
    return taps;
}

// Of a * b, where the window lies inside.
Plane blurred_product(const Plane& a, const Plane& b) {
    static const std::array<double, kWindow> kTaps = gaussian();
    const int width = a.width - kWindow + 1;
    const int height = a.height - kWindow + 1;
    Plane across{width, a.height,
                 std::vector<double>(static_cast<std::size_t>(width) * static_cast<std::size_t>(a.height))};
    std::vector<double> product(static_cast<std::size_t>(a.width));
    for (int y = 0; y < a.height; ++y) {
        std::transform(a.row(y), a.row(y) + a.width, b.row(y), product.begin(),
                       [](double p, double q) { return p * q; });
        for (int i = 0; i < kWindow; ++i) {
            const double tap = kTaps[static_cast<std::size_t>(i)];
            for (int x = 0; x < width; ++x)
                across.row(y)[x] += tap * product[static_cast<std::size_t>(x) + static_cast<std::size_t>(i)];
        }
    }
    Plane out{width, height, std::vector<double>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height))};
    for (int y = 0; y < height; ++y) {
        for (int i = 0; i < kWindow; ++i) {
            const double tap = kTaps[static_cast<std::size_t>(i)];
            for (int x = 0; x < width; ++x) out.row(y)[x] += tap * across.row(y + i)[x];
        }
    }
    return out;
}

// Of the Laplacian over four neighbours, inside the border.
double laplacian_variance(const Plane& plane) {
    double sum = 0;
    double squares = 0;
    for (int y = 1; y + 1 < plane.height; ++y) {
        for (int x = 1; x + 1 < plane.width; ++x) {
            const double value = plane.row(y - 1)[x] + plane.row(y + 1)[x] + plane.row(y)[x - 1] + plane.row(y)[x + 1] -
                                 4 * plane.row(y)[x];
            sum += value;
            squares += value * value;
        }
    }
    const double count = static_cast<double>(plane.width - 2) * (plane.height - 2);
    return squares / count - sum / count * (sum / count);
}

} // namespace

double mean_squared_error(const Picture& a, const Picture& b) {
    assert(a.size() == b.size() && !a.empty());
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const int difference = static_cast<int>(a[i]) - static_cast<int>(b[i]);
        sum += difference * difference;
    }
    return static_cast<double>(sum) / (255.0 * 255.0) / static_cast<double>(a.size());
}

double psnr_db(double mean_squared_error) {
    return mean_squared_error > 0 ? std::min(kEqualDb, -10 * std::log10(mean_squared_error)) : kEqualDb;
}

double ssim(const Picture& a, const Picture& b, int width, int height) {
    assert(width >= kWindow && height >= kWindow);
    constexpr double kC1 = 0.01 * 255 * 0.01 * 255;
    constexpr double kC2 = 0.03 * 255 * 0.03 * 255;
    const Plane x = luma_of(a, width, height);
    const Plane y = luma_of(b, width, height);
    const Plane one{width, height, std::vector<double>(x.values.size(), 1.0)};
    const Plane mean_x = blurred_product(x, one);
    const Plane mean_y = blurred_product(y, one);
    const Plane xx = blurred_product(x, x);
    const Plane yy = blurred_product(y, y);
    const Plane xy = blurred_product(x, y);
    double sum = 0;
    for (std::size_t i = 0; i < xx.values.size(); ++i) {
        const double mx = mean_x.values[i];
        const double my = mean_y.values[i];
        const double variance = xx.values[i] - mx * mx + yy.values[i] - my * my;
        const double covariance = xy.values[i] - mx * my;
        sum += (2 * mx * my + kC1) * (2 * covariance + kC2) / ((mx * mx + my * my + kC1) * (variance + kC2));
    }
    return sum / static_cast<double>(xx.values.size());
}

double sharpness_of(const Picture& picture, int width, int height) {
    assert(picture.size() == static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    assert(width > 2 && height > 2);
    Plane grey{width, height, std::vector<double>(picture.size() / 3)};
    for (std::size_t i = 0; i < grey.values.size(); ++i)
        grey.values[i] = (picture[3 * i] + picture[3 * i + 1] + picture[3 * i + 2]) / (3 * 255.0);
    return laplacian_variance(grey);
}

Look look_of(const Picture& picture, int width, int height) {
    const Plane luma = luma_of(picture, width, height);
    Look look;
    for (std::size_t i = 0; i < luma.values.size(); ++i) {
        look.luma += luma.values[i];
        const auto [low, high] = std::minmax({picture[3 * i], picture[3 * i + 1], picture[3 * i + 2]});
        look.saturation += high > 0 ? static_cast<double>(high - low) / high : 0.0;
    }
    look.luma /= static_cast<double>(luma.values.size());
    look.saturation /= static_cast<double>(luma.values.size());
    look.laplacian_variance = laplacian_variance(luma);
    return look;
}

Look mean_look(std::span<const Picture> pictures, int width, int height) {
    Look mean;
    for (const Picture& picture : pictures) {
        const Look look = look_of(picture, width, height);
        mean.luma += look.luma / static_cast<double>(pictures.size());
        mean.saturation += look.saturation / static_cast<double>(pictures.size());
        mean.laplacian_variance += look.laplacian_variance / static_cast<double>(pictures.size());
    }
    return mean;
}

} // namespace wander::evaluate
