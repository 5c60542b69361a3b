#include "generator/text/plain/utf8.hpp"

namespace wander {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// Unicode 15, table 3-7: how many bytes follow a first byte, and what the second may be (later ones are 80 to BF).
struct Sequence {
    int following = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
};

Sequence sequence_of(unsigned char first) {
    if (first >= 0xC2 && first <= 0xDF) return {1};
    if (first == 0xE0) return {2, 0xA0, 0xBF};
    if (first == 0xED) return {2, 0x80, 0x9F};
    if (first >= 0xE1 && first <= 0xEF) return {2};
    if (first == 0xF0) return {3, 0x90, 0xBF};
    if (first >= 0xF1 && first <= 0xF3) return {3};
    if (first == 0xF4) return {3, 0x80, 0x8F};
    return {};
}

} // namespace

std::u32string decode_utf8(std::string_view text) {
    std::u32string codes;
    codes.reserve(text.size());
    std::size_t at = 0;
    while (at < text.size()) {
        const auto first = static_cast<unsigned char>(text[at++]);
        if (first < 0x80) {
            codes += first;
            continue;
        }
        Sequence sequence = sequence_of(first);
        if (sequence.following == 0) {
            codes += kReplacement;
            continue;
        }
        char32_t code = first & (0x3Fu >> sequence.following);
        while (sequence.following > 0 && at < text.size()) {
            const auto byte = static_cast<unsigned char>(text[at]);
            if (byte < sequence.low || byte > sequence.high) break;
            code = code << 6 | (byte & 0x3Fu);
            sequence = {sequence.following - 1};
            ++at;
        }
        codes += sequence.following == 0 ? code : kReplacement;
    }
    return codes;
}

void append_utf8(std::string& text, char32_t code) {
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) code = kReplacement;
    const auto add = [&text](char32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (code < 0x80) return add(code);
    if (code < 0x800) {
        add(0xC0 | code >> 6);
    } else if (code < 0x10000) {
        add(0xE0 | code >> 12);
        add(0x80 | (code >> 6 & 0x3F));
    } else {
        add(0xF0 | code >> 18);
        add(0x80 | (code >> 12 & 0x3F));
        add(0x80 | (code >> 6 & 0x3F));
    }
    add(0x80 | (code & 0x3F));
}

std::string encode_utf8(std::u32string_view text) {
    std::string bytes;
    bytes.reserve(text.size());
    for (const char32_t code : text) append_utf8(bytes, code);
    return bytes;
}

} // namespace wander
