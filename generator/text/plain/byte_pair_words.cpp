#include "generator/text/plain/byte_pair_words.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace wander {

namespace {

struct CharacterRange { // sorted
    char32_t first;
    char32_t last;
};

#include "generator/text/plain/byte_pair_letters.inc"

template <std::size_t N>
bool within(const CharacterRange (&ranges)[N], char32_t code) {
    const auto* range = std::lower_bound(std::begin(ranges), std::end(ranges), code,
                                         [](const CharacterRange& item, char32_t value) { return item.last < value; });
    return range != std::end(ranges) && range->first <= code;
}

// White_Space of the Unicode data. Not Python's isspace, which has the separators U+001C to U+001F as well.
bool is_space(char32_t code) {
    return (code >= 0x9 && code <= 0xD) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F ||
           code == 0x3000;
}

bool is_line_end(char32_t code) { return code == U'\r' || code == U'\n'; }

enum class Kind { letter, number, space, other };

Kind kind_of(char32_t code) {
    if (code < 0x80) {
        const char32_t small = code | 0x20;
        if (small >= U'a' && small <= U'z') return Kind::letter;
        if (code >= U'0' && code <= U'9') return Kind::number;
        return is_space(code) ? Kind::space : Kind::other;
    }
    if (within(kLetters, code)) return Kind::letter;
    if (within(kNumbers, code)) return Kind::number;
    return is_space(code) ? Kind::space : Kind::other;
}

// Small form of an English letter; the long s is one too.
char32_t folded(char32_t code) {
    if (code == 0x17F) return U's';
    return code >= U'A' && code <= U'Z' ? code | 0x20 : code;
}

// One text: lengths of what each rule takes at a place, 0 for nothing.
class Cutter {
public:
    explicit Cutter(std::u32string_view text) : text_(text) {}

    std::size_t length_at(std::size_t at) const {
        if (const std::size_t length = contraction(at)) return length;
        const Kind kind = kind_of(text_[at]);
        if (kind == Kind::letter) return run(at, Kind::letter);
        if (kind == Kind::number) return 1;
        if (!is_line_end(text_[at])) {
            if (const std::size_t letters = run(at + 1, Kind::letter)) return 1 + letters;
        }
        const std::size_t space = text_[at] == U' ' ? 1 : 0;
        if (const std::size_t others = run(at + space, Kind::other)) {
            std::size_t end = at + space + others;
            while (end < text_.size() && is_line_end(text_[end])) ++end;
            return end - at;
        }
        return white_space(at);
    }

private:
    std::size_t run(std::size_t at, Kind kind) const {
        std::size_t end = at;
        while (end < text_.size() && kind_of(text_[end]) == kind) ++end;
        return end > at ? end - at : 0;
    }

    std::size_t contraction(std::size_t at) const {
        if (text_[at] != U'\'') return 0;
        for (const std::u32string_view tail : {U"s", U"t", U"re", U"ve", U"m", U"ll", U"d"}) {
            const std::u32string_view there = text_.substr(at + 1, tail.size());
            if (std::equal(there.begin(), there.end(), tail.begin(), tail.end(),
                           [](char32_t a, char32_t b) { return folded(a) == b; }))
                return 1 + tail.size();
        }
        return 0;
    }

    std::size_t white_space(std::size_t at) const {
        const std::size_t length = run(at, Kind::space);
        for (std::size_t end = length; end > 0; --end) {
            if (is_line_end(text_[at + end - 1])) return end;
        }
        const bool word_follows = at + length < text_.size();
        return word_follows && length > 1 ? length - 1 : length;
    }

    std::u32string_view text_;
};

} // namespace

std::vector<std::u32string_view> byte_pair_words(std::u32string_view text) {
    const Cutter cutter(text);
    std::vector<std::u32string_view> words;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = cutter.length_at(at);
        words.push_back(text.substr(at, length));
        at += length;
    }
    return words;
}

} // namespace wander
