#include "app/picture_file.hpp"

#include <cstring>
#include <fstream>
#include <memory>
#include <system_error>
#include <vector>

// Private to this file: the generator has its own, and neither room includes the other's.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace wander {

namespace {
constexpr std::uintmax_t kMaxFileBytes = 16 << 20;
constexpr int kMaxSide = 4096;
} // namespace

Result<render::Pixels> read_picture_file(const std::filesystem::path& path) {
    std::error_code error;
    const std::uintmax_t bytes = std::filesystem::file_size(path, error);
    if (error) return Error{ErrorCode::bad_input, path.string() + ": " + error.message()};
    if (bytes > kMaxFileBytes)
        return Error{ErrorCode::bad_input, path.string() + ": larger than 16 MiB, use a smaller picture"};
    std::vector<char> data(bytes);
    std::ifstream file(path, std::ios::binary);
    if (!file.read(data.data(), static_cast<std::streamsize>(bytes))) {
        return Error{ErrorCode::io, path.string() + ": cannot be read"};
    }
    const auto* raw = reinterpret_cast<const stbi_uc*>(data.data());
    int width = 0;
    int height = 0;
    int channels = 0;
    if (!stbi_info_from_memory(raw, static_cast<int>(bytes), &width, &height, &channels)) {
        return Error{ErrorCode::bad_input, path.string() + ": not a PNG or JPEG picture"};
    }
    if (width > kMaxSide || height > kMaxSide) {
        return Error{ErrorCode::bad_input,
                     path.string() + ": larger than 4096 pixels on a side, use a smaller picture"};
    }
    const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
        stbi_load_from_memory(raw, static_cast<int>(bytes), &width, &height, &channels, 4), stbi_image_free);
    if (!pixels)
        return Error{ErrorCode::bad_input, path.string() + ": damaged picture (" + stbi_failure_reason() + ")"};
    render::Pixels picture{{width, height}, {}};
    picture.rgba.assign(pixels.get(), pixels.get() + picture.size.bytes());
    return picture;
}

} // namespace wander
