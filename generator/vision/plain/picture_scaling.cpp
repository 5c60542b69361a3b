#include "generator/vision/plain/picture_scaling.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

namespace wander {
namespace {

constexpr int kFractionBits = 22;
constexpr int kHalf = 1 << (kFractionBits - 1);

// Cubic convolution with a = -1/2 (Keys 1981), zero from 2 on.
double bicubic(double x) {
    constexpr double a = -0.5;
    x = std::abs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

// sinc(x) sinc(x / 3), zero from 3 on.
double lanczos(double x) {
    if (x == 0) return 1;
    if (x < -3 || x >= 3) return 0;
    const auto sinc = [](double y) {
        const double angle = y * std::numbers::pi;
        return std::sin(angle) / angle;
    };
    return sinc(x) * sinc(x / 3);
}

// The source pixels of one target pixel and their weights.
struct Taps {
    int first = 0;
    std::vector<int> weights; // of 2^22 together, but for rounding
};

// An axis of `from` pixels becomes one of `to`; of that the part [begin, begin + count) is wanted.
struct Axis {
    int from = 0;
    int to = 0;
    int begin = 0;
    int count = 0;

    bool stays() const { return from == to && begin == 0 && count == to; }
};

std::vector<Taps> taps_of(const Axis& axis, PictureFilter filter) {
    const double scale = static_cast<double>(axis.from) / axis.to;
    const double widening = std::max(scale, 1.0);
    const double support = (filter == PictureFilter::lanczos ? 3.0 : 2.0) * widening;
    const double shrink = 1.0 / widening;
    std::vector<Taps> all(static_cast<std::size_t>(axis.count));
    std::vector<double> exact;
    for (int i = 0; i < axis.count; ++i) {
        Taps& taps = all[static_cast<std::size_t>(i)];
        if (axis.from == axis.to) { // only a crop
            taps = {axis.begin + i, {1 << kFractionBits}};
            continue;
        }
        const double center = (axis.begin + i + 0.5) * scale;
        taps.first = std::max(static_cast<int>(std::floor(center - support + 0.5)), 0);
        const int end = std::min(static_cast<int>(std::floor(center + support + 0.5)), axis.from);
        exact.clear();
        double sum = 0;
        for (int x = taps.first; x < end; ++x) {
            const double distance = (x - center + 0.5) * shrink;
            exact.push_back(filter == PictureFilter::lanczos ? lanczos(distance) : bicubic(distance));
            sum += exact.back();
        }
        for (const double weight : exact) {
            const double share = (sum != 0 ? weight / sum : weight) * (1 << kFractionBits);
            taps.weights.push_back(static_cast<int>(share < 0 ? share - 0.5 : share + 0.5));
        }
    }
    return all;
}

// One pass. `step` bytes lie between neighbours of the axis.
std::uint8_t weighted(const Taps& taps, const std::uint8_t* first, std::size_t step) {
    int sum = kHalf;
    for (const int weight : taps.weights) {
        sum += weight * *first;
        first += step;
    }
    return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

Picture empty_picture(PictureSize size) {
    assert(size.width > 0 && size.height > 0);
    return {size, std::vector<std::uint8_t>(static_cast<std::size_t>(size.width) * 3 *
                                            static_cast<std::size_t>(size.height))};
}

Picture scale_rows(const Picture& picture, const Axis& axis, PictureFilter filter) {
    const auto taps = taps_of(axis, filter);
    Picture out = empty_picture({axis.count, picture.size.height});
    std::uint8_t* target = out.rgb.data();
    for (int y = 0; y < picture.size.height; ++y) {
        for (const Taps& pixel : taps) {
            const std::uint8_t* first = picture.row(y) + static_cast<std::ptrdiff_t>(pixel.first) * 3;
            for (int colour = 0; colour < 3; ++colour) *target++ = weighted(pixel, first + colour, 3);
        }
    }
    return out;
}

Picture scale_columns(const Picture& picture, const Axis& axis, PictureFilter filter) {
    const auto taps = taps_of(axis, filter);
    Picture out = empty_picture({picture.size.width, axis.count});
    const std::size_t row_bytes = static_cast<std::size_t>(picture.size.width) * 3;
    std::uint8_t* target = out.rgb.data();
    for (const Taps& row : taps) {
        const std::uint8_t* first = picture.row(row.first);
        for (std::size_t i = 0; i < row_bytes; ++i) *target++ = weighted(row, first + i, row_bytes);
    }
    return out;
}

// Only what is wanted is computed: a narrow strip that is scaled to cover a square is a thousand times its size.
Picture scale_part(const Picture& picture, const Axis& x, const Axis& y, PictureFilter filter) {
    Picture out = x.stays() ? picture : scale_rows(picture, x, filter);
    return y.stays() ? out : scale_columns(out, y, filter);
}

// Halves go to the even neighbour, as the public code rounds.
int round_half_even(double value) { return static_cast<int>(std::nearbyint(value)); }

} // namespace

Picture scale_picture(const Picture& picture, PictureSize size, PictureFilter filter) {
    return scale_part(picture, {picture.size.width, size.width, 0, size.width},
                      {picture.size.height, size.height, 0, size.height}, filter);
}

Picture cover_and_crop(const Picture& picture, PictureSize size) {
    const double scale = std::max(static_cast<double>(size.width) / picture.size.width,
                                  static_cast<double>(size.height) / picture.size.height);
    const auto axis = [scale](int from, int wanted) {
        const int covered = std::max(round_half_even(from * scale), wanted);
        return Axis{from, covered, round_half_even((covered - wanted) / 2.0), wanted};
    };
    return scale_part(picture, axis(picture.size.width, size.width), axis(picture.size.height, size.height),
                      PictureFilter::lanczos);
}

std::vector<PictureSize> picture_buckets(int base, int stride, double most_aspect) {
    const int cells = (base / stride) * (base / stride);
    std::vector<PictureSize> buckets;
    for (int high = cells, wide = 1; high > 0;) {
        if (static_cast<double>(std::max(high, wide)) / std::min(high, wide) <= most_aspect) {
            buckets.push_back({wide * stride, high * stride});
        }
        if ((wide + 1) * high <= cells) {
            ++wide;
        } else {
            --high;
        }
    }
    return buckets;
}

PictureSize nearest_bucket(PictureSize picture, const std::vector<PictureSize>& buckets) {
    assert(!buckets.empty());
    const double wanted = static_cast<double>(picture.height) / picture.width;
    PictureSize best = buckets.front();
    double least = -1;
    for (const PictureSize bucket : buckets) {
        // Five digits are part of the rule: they decide between buckets that are nearly as near.
        const double aspect = std::nearbyint(static_cast<double>(bucket.height) / bucket.width * 1e5) / 1e5;
        const double distance = std::abs(aspect - wanted);
        if (least < 0 || distance < least) {
            least = distance;
            best = bucket;
        }
    }
    return best;
}

} // namespace wander
