#include "generator/world/start_picture.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <vector>

// Own copies of the two libraries' functions, so that other users of them in the program do not collide.
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_MAX_DIMENSIONS 16384
#define STBI_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace wander {

namespace {

constexpr std::uintmax_t kMaxFileBytes = 64 << 20;
constexpr std::int64_t kMaxPixels = 1 << 27; // 400 MB decoded: more is a mistake or an attack

Error refusal(const std::filesystem::path& path, const std::string& why) {
    return {ErrorCode::bad_input, fmt::format("{}: {}; use a PNG or JPEG picture", path.string(), why)};
}

Result<std::vector<unsigned char>> read_bytes(const std::filesystem::path& path) {
    std::error_code failed;
    const auto size = std::filesystem::file_size(path, failed);
    if (failed) return refusal(path, fmt::format("cannot be read ({})", failed.message()));
    if (size == 0 || size > kMaxFileBytes)
        return refusal(path, fmt::format("{} bytes are no picture this program takes", size));
    std::vector<unsigned char> bytes(size);
    std::ifstream file(path, std::ios::binary);
    if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size)))
        return refusal(path, "cannot be read");
    return bytes;
}

} // namespace

Result<Picture> read_picture_levels(const std::filesystem::path& path) {
    auto bytes = read_bytes(path);
    if (!bytes) return bytes.error();
    const int count = static_cast<int>(bytes->size());
    int w = 0;
    int h = 0;
    int channels = 0;
    if (!stbi_info_from_memory(bytes->data(), count, &w, &h, &channels)) return refusal(path, "is not a picture");
    if (static_cast<std::int64_t>(w) * h > kMaxPixels)
        return refusal(path, fmt::format("{} x {} pixels are too many", w, h));
    const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
        stbi_load_from_memory(bytes->data(), count, &w, &h, &channels, 3), stbi_image_free);
    if (!pixels) return refusal(path, fmt::format("is damaged ({})", stbi_failure_reason()));

    const std::size_t count_rgb = static_cast<std::size_t>(w) * static_cast<std::size_t>(h) * 3;
    return Picture{{w, h}, {pixels.get(), pixels.get() + count_rgb}};
}

Result<at::Tensor> read_picture(const std::filesystem::path& path, int width, int height) {
    auto levels = read_picture_levels(path);
    if (!levels) return levels.error();
    const int w = levels->size.width, h = levels->size.height;
    at::Tensor picture =
        at::from_blob(levels->rgb.data(), {h, w, 3}, at::kByte).to(at::kFloat).permute({2, 0, 1}).unsqueeze(0);
    const std::int64_t crop_w =
        std::min<std::int64_t>(w, std::max<std::int64_t>(1, std::llround(static_cast<double>(h) * width / height)));
    const std::int64_t crop_h =
        std::min<std::int64_t>(h, std::max<std::int64_t>(1, std::llround(static_cast<double>(w) * height / width)));
    picture = picture.narrow(3, (w - crop_w) / 2, crop_w).narrow(2, (h - crop_h) / 2, crop_h).contiguous();
    if (crop_w != width || crop_h != height) {
        const std::vector<std::int64_t> size = {height, width};
        // Averaging over each target pixel's area when shrinking, since plain interpolation would flicker fine detail.
        picture = crop_w >= width && crop_h >= height ? at::adaptive_avg_pool2d(picture, size)
                                                      : at::upsample_bilinear2d(picture, size, false);
    }
    return picture / 127.5 - 1;
}

} // namespace wander
