#include "generator/frame_pixels.hpp"

#include "generator/wan/decode_kernels.hpp"

#include <ATen/ATen.h>

#if WANDER_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

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

// On the frame's device, [H, W, 4].
void to_rgba(const at::Tensor& frame, PixelRange range, const at::Tensor& out) {
#if WANDER_CUDA
    const bool bf16 = frame.scalar_type() == at::kBFloat16;
    if (frame.is_cuda() && (bf16 || frame.scalar_type() == at::kFloat)) {
        const ByteScale bytes(range);
        const cuda::PixelsJob job{.x = frame.const_data_ptr(),
                                  .bf16 = bf16,
                                  .channel_stride = frame.stride(0),
                                  .row_stride = frame.stride(1),
                                  .column_stride = frame.stride(2),
                                  .rows = static_cast<int>(frame.size(1)),
                                  .columns = static_cast<int>(frame.size(2)),
                                  .scale = bytes.scale,
                                  .offset = bytes.offset,
                                  .out = out.mutable_data_ptr()};
        cuda::launch_pixels(job, c10::cuda::getCurrentCUDAStream(frame.device().index()).stream());
        return;
    }
#endif
    out.copy_(rgba_of(frame, range));
}

} // namespace

at::Tensor rgb_of(const at::Tensor& frames, PixelRange range) {
    const ByteScale bytes(range);
    const at::Tensor rgb = (frames.to(at::kFloat) * bytes.scale + bytes.offset).clamp_(0, 255).round_().to(at::kByte);
    return rgb.permute({0, 2, 3, 1});
}

at::Tensor rgba_of(const at::Tensor& frame, PixelRange range) {
    const at::Tensor rgb = rgb_of(frame.unsqueeze(0), range)[0];
    const at::Tensor alpha = at::full({frame.size(1), frame.size(2), 1}, 255, rgb.options());
    return at::cat({rgb, alpha}, 2);
}

void frame_to_host(const at::Tensor& frame, PixelRange range, std::uint8_t* out) {
    const std::int64_t height = frame.size(1);
    const std::int64_t width = frame.size(2);
    if (!frame.is_cpu()) {
        const at::Tensor pixels = at::empty({height, width, 4}, frame.options().dtype(at::kByte));
        to_rgba(frame, range, pixels);
        at::from_blob(out, {height, width, 4}, at::kByte).copy_(pixels);
        return;
    }
    const ByteScale bytes(range);
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
    to_rgba(frame, range, at::from_blob(out, {frame.size(1), frame.size(2), 4}, frame.options().dtype(at::kByte)));
}

} // namespace wander
