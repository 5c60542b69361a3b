#include "generator/plain/png.hpp"

#include <cassert>
#include <cstdlib>
#include <memory>
#include <string_view>

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

namespace wander {

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

Result<std::string> png_bytes(std::span<const std::uint8_t> rgb, int width, int height,
                              const std::map<std::string, std::string>& facts) {
    assert(width > 0 && height > 0 &&
           rgb.size() == static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    int length = 0;
    const std::unique_ptr<unsigned char, void (*)(void*)> png(
        stbi_write_png_to_mem(rgb.data(), width * 3, width, height, 3, &length), std::free);
    if (!png) return Error{ErrorCode::out_of_memory, "no memory for the picture"};

    const std::string_view plain(reinterpret_cast<const char*>(png.get()), static_cast<std::size_t>(length));
    std::string bytes(plain.substr(0, kSignatureBytes + kHeaderChunkBytes));
    for (const auto& [key, value] : facts) {
        if (!key.empty()) bytes += text_chunk(key, value);
    }
    bytes += plain.substr(kSignatureBytes + kHeaderChunkBytes);
    return bytes;
}

} // namespace wander
