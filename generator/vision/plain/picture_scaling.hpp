#pragma once
// Pictures of 8 bits a colour, scaled and cropped as HunyuanVideo 1.5's picture side was trained with: the arithmetic
// of Pillow 11.3, level by level (hy-worldplay.md 3.3). No torch. Pure, any thread.

#include "generator/plain/picture_size.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace wander {

struct Picture {
    PictureSize size;
    std::vector<std::uint8_t> rgb; // rows from the top, three bytes a pixel

    const std::uint8_t* row(int y) const {
        return rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(size.width) * 3;
    }
};

enum class PictureFilter { bicubic, lanczos };

// Every target pixel is a weighted mean of the pixels below the filter, which is widened where the picture shrinks.
// First along rows, then along columns, rounded to 8 bits after each; weights are integers of 22 fractional bits. An
// axis whose length stays is left alone. Both sides of either size are at least 1.
Picture scale_picture(const Picture& picture, PictureSize size, PictureFilter filter);

// Scaled with Lanczos so that both sides are covered, then the middle of it.
Picture cover_and_crop(const Picture& picture, PictureSize size);

// Sizes of about base * base pixels whose sides are multiples of `stride` and at most `most_aspect` apart, from high to
// wide. base is a multiple of stride.
std::vector<PictureSize> picture_buckets(int base = 640, int stride = 16, double most_aspect = 4.0);
// The one with the nearest height / width; the first of equals. buckets: at least one.
PictureSize nearest_bucket(PictureSize picture, const std::vector<PictureSize>& buckets);

} // namespace wander
