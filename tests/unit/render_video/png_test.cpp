#include "render/screenshot.hpp"

#include "tests/unit/render_video/test_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#include <stb_image.h>

namespace wander::render {
namespace {

std::string read_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
    return value;
}

// CRC-32 by polynomial division over a table, unlike the writer's.
std::uint32_t table_crc(const std::string& bytes) {
    std::uint32_t table[256];
    for (std::uint32_t n = 0; n < 256; ++n) {
        std::uint32_t c = n;
        for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
        table[n] = c;
    }
    std::uint32_t crc = 0xffffffffu;
    for (const char byte : bytes) crc = table[(crc ^ static_cast<std::uint8_t>(byte)) & 0xff] ^ (crc >> 8);
    return ~crc;
}

// Key and text of every iTXt chunk; checks the checksum of every chunk.
std::map<std::string, std::string> text_chunks(const std::string& png) {
    std::map<std::string, std::string> texts;
    for (std::size_t at = 8; at + 12 <= png.size();) {
        const std::uint32_t length = big_endian(png, at);
        const std::string body = png.substr(at + 4, length + 4);
        EXPECT_EQ(big_endian(png, at + 8 + length), table_crc(body)) << body.substr(0, 4);
        if (body.starts_with("iTXt")) {
            const std::string key = body.c_str() + 4;
            texts[key] = body.substr(4 + key.size() + 5);
        }
        at += 12 + length;
    }
    return texts;
}

TEST(Png, PixelsAndFactsComeBack) {
    const test::TestFolder folder;
    const PixelSize size{7, 5};
    std::vector<std::uint8_t> rgba(size.bytes());
    for (std::size_t i = 0; i < rgba.size(); ++i) rgba[i] = static_cast<std::uint8_t>(i * 37);
    const std::map<std::string, std::string> facts{
        {"model", "embedded"}, {"prompt", "Straße im Schnee"}, {"seed", "0"}};
    const auto written = write_png(folder / "a.png", {size, rgba.data()}, facts);
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(folder.files(), 1u);

    int width = 0;
    int height = 0;
    int channels = 0;
    stbi_uc* pixels = stbi_load((folder / "a.png").c_str(), &width, &height, &channels, 0);
    ASSERT_NE(pixels, nullptr);
    EXPECT_EQ(width, 7);
    EXPECT_EQ(height, 5);
    ASSERT_EQ(channels, 3);
    for (std::size_t i = 0; i < 35; ++i) {
        for (std::size_t c = 0; c < 3; ++c) EXPECT_EQ(pixels[i * 3 + c], rgba[i * 4 + c]);
    }
    stbi_image_free(pixels);
    EXPECT_EQ(text_chunks(read_file(folder / "a.png")), facts);
}

TEST(Png, MissingFolderIsAnError) {
    const test::TestFolder folder;
    const std::vector<std::uint8_t> rgba(16, 0);
    const auto written = write_png(folder / "no/a.png", {{2, 2}, rgba.data()}, {});
    ASSERT_FALSE(written);
    EXPECT_NE(written.error().message.find("no/a.png"), std::string::npos);
}

} // namespace
} // namespace wander::render
