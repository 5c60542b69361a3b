#include "render/screenshot.hpp"

#include "render/atomic_file.hpp"

#include <array>
#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

namespace wander::render {

namespace {

constexpr std::size_t kSignatureBytes = 8;
constexpr std::size_t kHeaderChunkBytes = 4 + 4 + 13 + 4; // length, "IHDR", data, checksum
constexpr std::size_t kMaxKeyBytes = 79;

// The checksum of PNG chunks (CRC-32, ISO 3309), bit by bit: text is short.
std::uint32_t crc32(std::string_view bytes) {
    std::uint32_t crc = 0xffffffffu;
    for (const char byte : bytes) {
        crc ^= static_cast<std::uint8_t>(byte);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) ? 0xedb88320u : 0u);
    }
    return ~crc;
}

void append_big_endian(std::string& out, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xffu);
}

// An uncompressed iTXt chunk without language and translated key.
std::string text_chunk(const std::string& key, const std::string& value) {
    std::string body = "iTXt" + key.substr(0, kMaxKeyBytes);
    body.append(5, '\0'); // end of key, compression flag and method, end of language, end of translated key
    body += value;
    std::string chunk;
    append_big_endian(chunk, static_cast<std::uint32_t>(body.size() - 4));
    chunk += body;
    append_big_endian(chunk, crc32(body));
    return chunk;
}

} // namespace

Result<void> write_png(const std::filesystem::path& file, const PixelView& picture,
                       const std::map<std::string, std::string>& facts) {
    assert(!picture.size.empty());
    const std::size_t pixels = picture.size.bytes() / 4;
    std::vector<std::uint8_t> rgb(pixels * 3);
    for (std::size_t i = 0; i < pixels; ++i) {
        for (std::size_t c = 0; c < 3; ++c) rgb[i * 3 + c] = picture.rgba[i * 4 + c];
    }
    int length = 0;
    const std::unique_ptr<unsigned char, void (*)(void*)> png(
        stbi_write_png_to_mem(rgb.data(), picture.size.width * 3, picture.size.width, picture.size.height, 3, &length),
        std::free);
    if (!png) return Error{ErrorCode::out_of_memory, "cannot write " + file.string() + ": no memory for the picture"};

    const std::string_view plain(reinterpret_cast<const char*>(png.get()), static_cast<std::size_t>(length));
    std::string bytes(plain.substr(0, kSignatureBytes + kHeaderChunkBytes));
    for (const auto& [key, value] : facts) {
        if (!key.empty()) bytes += text_chunk(key, value);
    }
    bytes += plain.substr(kSignatureBytes + kHeaderChunkBytes);
    return write_file_atomically(file, bytes);
}

} // namespace wander::render
