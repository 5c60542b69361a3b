#pragma once
// UTF-8 to code points and back. Any thread.

#include <cstddef>
#include <string>
#include <string_view>

namespace wander {

// Any bytes: a byte, or the longest beginning of a sequence, that cannot be UTF-8 becomes U+FFFD; so do surrogates.
std::u32string decode_utf8(std::string_view text);
// Code points that are none become U+FFFD.
std::string encode_utf8(std::u32string_view text);
void append_utf8(std::string& text, char32_t code);

// Bytes of the character at `at` of valid UTF-8.
inline std::size_t utf8_length(char first) {
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

} // namespace wander
