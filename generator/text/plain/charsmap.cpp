#include "generator/text/plain/charsmap.hpp"

#include "generator/text/plain/unicode.hpp"
#include "generator/text/plain/utf8.hpp"

#include <cstring>

namespace wander {
namespace {

std::optional<std::string> decode_base64(std::string_view text) {
    static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (!text.empty() && text.back() == '=') text.remove_suffix(1);
    std::string bytes;
    bytes.reserve(text.size() * 3 / 4);
    std::uint32_t bits = 0;
    int count = 0;
    for (const char digit : text) {
        const std::size_t value = kDigits.find(digit);
        if (value == std::string_view::npos) return std::nullopt;
        bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xFFFFFF;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes += static_cast<char>(bits >> count & 0xFF);
    }
    return bytes;
}

// A unit of the double array (Darts): the label of the edge that leads here, whether a text ends here, and where its
// children lie; at such an end, the child of label 0 holds the value.
char32_t label(std::uint32_t unit) { return unit & (1u << 31 | 0xFF); }
bool has_value(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t children(std::uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
std::uint32_t value_of(std::uint32_t unit) { return unit & ~(1u << 31); }

// What follows a character and belongs to it, as far as that matters for chunks of less than six bytes.
bool is_attached(char32_t code) {
    return combining_class(code) != 0 || code == 0x200C || code == 0x200D || (code >= 0xFE00 && code <= 0xFE0F) ||
           (code >= 0x20DD && code <= 0x20E4) || code == 0x0488 || code == 0x0489;
}

char32_t code_at(std::string_view text, std::size_t at) {
    return decode_utf8(text.substr(at, utf8_length(text[at]))).front();
}

} // namespace

std::optional<Charsmap> Charsmap::parse(std::string_view base64) {
    const auto bytes = decode_base64(base64);
    std::uint32_t size = 0; // of the trie in bytes
    if (!bytes || bytes->size() < sizeof size) return std::nullopt;
    std::memcpy(&size, bytes->data(), sizeof size);
    if (size == 0 || size % sizeof(std::uint32_t) != 0 || size > bytes->size() - sizeof size) return std::nullopt;
    Charsmap map;
    map.trie_.resize(size / sizeof(std::uint32_t));
    std::memcpy(map.trie_.data(), bytes->data() + sizeof size, size);
    map.texts_ = bytes->substr(sizeof size + size);
    return map;
}

std::optional<std::string_view> Charsmap::find(std::string_view chunk) const {
    std::uint32_t at = children(trie_[0]);
    for (const char c : chunk) {
        const auto byte = static_cast<unsigned char>(c);
        at ^= byte;
        if (byte == 0 || at >= trie_.size() || label(trie_[at]) != byte) return std::nullopt;
        const std::uint32_t unit = trie_[at];
        at ^= children(unit);
        if (!has_value(unit)) continue;
        if (at >= trie_.size() || value_of(trie_[at]) >= texts_.size()) return std::nullopt;
        const std::string_view rest = std::string_view(texts_).substr(value_of(trie_[at]));
        return rest.substr(0, rest.find('\0'));
    }
    return std::nullopt;
}

std::string Charsmap::apply(std::string_view text) const {
    constexpr std::size_t kShort = 6;
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const bool line_end = text.substr(at).starts_with("\r\n");
        std::size_t end = at + (line_end ? 2 : utf8_length(text[at]));
        const bool control = code_at(text, at) < 0x20;
        while (!control && end < text.size() && is_attached(code_at(text, end))) end += utf8_length(text[end]);
        const std::string_view chunk = text.substr(at, end - at);
        if (const auto whole = chunk.size() < kShort ? find(chunk) : std::nullopt) {
            out += *whole;
            at = end;
            continue;
        }
        for (; at < end; at += utf8_length(text[at])) {
            const std::string_view character = text.substr(at, utf8_length(text[at]));
            out += find(character).value_or(character);
        }
    }
    return encode_utf8(decode_utf8(out)); // a map may be damaged
}

} // namespace wander
