#include "generator/frame_pixels.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace wander {

namespace {

// byte = value * scale + offset. Both are exact for [-1, 1] and [0, 1], and so are the products of 16-bit values.
struct ByteScale {
    explicit ByteScale(PixelRange range) : scale(255.0f / (range.white - range.black)), offset(-range.black * scale) {}
    float scale;
    float offset;
};

inline std::uint8_t to_byte(float value, const ByteScale& bytes) {
    const float scaled = std::clamp(value * bytes.scale + bytes.offset, 0.0f, 255.0f);
    return static_cast<std::uint8_t>(std::nearbyint(scaled));
}

at::Tensor to_rgba(const at::Tensor& frame, PixelRange range) {
    const ByteScale bytes(range);
    const at::Tensor rgb = (frame.to(at::kFloat) * bytes.scale + bytes.offset).clamp_(0, 255).round_().to(at::kByte);
    const at::Tensor alpha = at::full({1, frame.size(1), frame.size(2)}, 255, rgb.options());
    return at::cat({rgb, alpha}).permute({1, 2, 0});
}

} // namespace

void frame_to_host(const at::Tensor& frame, PixelRange range, std::uint8_t* out) {
    const ByteScale bytes(range);
    const std::int64_t height = frame.size(1);
    const std::int64_t width = frame.size(2);
    if (!frame.is_cpu()) {
        at::from_blob(out, {height, width, 4}, at::kByte).copy_(to_rgba(frame, range));
        return;
    }
    const at::Tensor values = frame.to(at::kFloat);
    const float* data = values.const_data_ptr<float>();
    const std::int64_t channel = values.stride(0);
    const std::int64_t row = values.stride(1);
    const std::int64_t column = values.stride(2);
    for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
            const float* pixel = data + y * row + x * column;
            for (std::int64_t c = 0; c < 3; ++c) *out++ = to_byte(pixel[c * channel], bytes);
            *out++ = 255;
        }
    }
}

void frame_to_device(const at::Tensor& frame, PixelRange range, void* out) {
    at::from_blob(out, {frame.size(1), frame.size(2), 4}, frame.options().dtype(at::kByte))
        .copy_(to_rgba(frame, range));
}

} // namespace wander
