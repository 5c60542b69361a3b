#include "generator/text/plain/html.hpp"

#include "generator/text/plain/text_tables.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>

namespace wander {
namespace {

namespace tables = text_tables;

constexpr std::size_t kLongestName = 32; // characters of a named reference that are looked at

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_hex(char32_t c) { return is_digit(c) || (c >= U'a' && c <= U'f') || (c >= U'A' && c <= U'F'); }
bool is_small(char32_t c) { return c >= U'a' && c <= U'z'; }
bool is_capital(char32_t c) { return c >= U'A' && c <= U'Z'; }

// nullptr: HTML has no such name.
const tables::Entity* find_entity(std::u32string_view name) {
    std::string text;
    for (const char32_t c : name) {
        if (c >= 0x80) return nullptr;
        text += static_cast<char>(c);
    }
    const auto* entry =
        std::lower_bound(std::begin(tables::kEntities), std::end(tables::kEntities), text,
                         [](const tables::Entity& item, const std::string& value) { return item.name < value; });
    return entry != std::end(tables::kEntities) && entry->name == text ? entry : nullptr;
}

void append(std::u32string& text, const tables::Entity& entity) {
    text += entity.first;
    if (entity.second != 0) text += entity.second;
}

// HTML, "numeric character reference end state".
void append_number(std::u32string& text, char32_t number) {
    const bool no_character = (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
    if (number == 0 || (number >= 0xD800 && number <= 0xDFFF) || number > 0x10FFFF) {
        text += char32_t{0xFFFD};
    } else if (number >= 0x80 && number <= 0x9F) {
        text += from_windows_1252(number);
    } else if (number == 9 || number == 10 || number == 12 || number == 13 ||
               (number >= 0x20 && number != 0x7F && !no_character)) {
        text += number;
    }
}

// A numeric reference at text[at] == '&', text[at + 1] == '#': the place behind it, or `at` when it is none.
std::size_t read_number(std::u32string_view text, std::size_t at, char32_t& number) {
    std::size_t next = at + 2;
    const bool hex = next < text.size() && (text[next] == U'x' || text[next] == U'X');
    if (hex) ++next;
    const std::size_t first = next;
    number = 0;
    for (; next < text.size() && (hex ? is_hex(text[next]) : is_digit(text[next])); ++next) {
        const char32_t c = text[next];
        const char32_t value = is_digit(c) ? c - U'0' : (c | 0x20u) - U'a' + 10;
        number = std::min<char32_t>(number * (hex ? 16 : 10) + value, 0x110000); // more is all the same
    }
    if (next == first) return at;
    return next < text.size() && text[next] == U';' ? next + 1 : next;
}

bool ends_name(char32_t c) {
    return c == U'\t' || c == U'\n' || c == U'\f' || c == U' ' || c == U'<' || c == U'&' || c == U'#' || c == U';';
}

// The reference at text[at] == '&' is appended; returns the place behind what was used, or `at`.
std::size_t append_reference(std::u32string& out, std::u32string_view text, std::size_t at) {
    if (at + 1 < text.size() && text[at + 1] == U'#') {
        char32_t number = 0;
        const std::size_t next = read_number(text, at, number);
        if (next != at) append_number(out, number);
        return next;
    }
    std::size_t end = at + 1;
    while (end < text.size() && end - at - 1 < kLongestName && !ends_name(text[end])) ++end;
    const std::u32string_view name = text.substr(at + 1, end - at - 1);
    if (name.empty()) return at;
    if (end < text.size() && text[end] == U';') {
        if (const auto* entity = find_entity(name)) {
            append(out, *entity);
            return end + 1;
        }
    }
    for (std::size_t length = name.size(); length >= 2; --length) { // the longest beginning that is a name
        const auto* entity = find_entity(name.substr(0, length));
        if (!entity || !entity->bare) continue;
        append(out, *entity);
        return at + 1 + length;
    }
    return at;
}

// A name in capitals that HTML does not have, for one in small letters that it has.
bool append_capitals(std::u32string& out, std::u32string_view name) {
    std::u32string small(name);
    for (char32_t& c : small) {
        if (is_small(c)) return false;
        if (is_capital(c)) c += U'a' - U'A';
    }
    const auto* entity = find_entity(small);
    if (!entity || small == name) return false;
    std::u32string reference = U"&";
    reference += name;
    reference += U';';
    if (unescape_html(reference) != reference) return false; // it begins with a name of HTML's own
    for (const char32_t code : {entity->first, entity->second}) {
        if (code == 0) continue;
        const auto* capital =
            std::lower_bound(std::begin(tables::kCapitals), std::end(tables::kCapitals), code,
                             [](const tables::Capital& item, char32_t value) { return item.code < value; });
        if (capital == std::end(tables::kCapitals) || capital->code != code) {
            out += code;
            continue;
        }
        for (const char32_t part : capital->capitals) {
            if (part != 0) out += part;
        }
    }
    return true;
}

// As append_reference, for closed references only.
std::size_t append_closed(std::u32string& out, std::u32string_view text, std::size_t at) {
    constexpr std::size_t kLongest = 24;
    std::size_t begin = at + 1;
    const bool numeric = begin < text.size() && text[begin] == U'#';
    if (numeric) ++begin;
    std::size_t end = begin;
    while (end < text.size() && (is_digit(text[end]) || is_small(text[end]) || is_capital(text[end]))) ++end;
    if (end == begin || end - begin > kLongest || end == text.size() || text[end] != U';') return at;
    if (numeric) {
        char32_t number = 0;
        if (read_number(text, at, number) != end + 1) return at;
        append_number(out, number);
        return end + 1;
    }
    const std::u32string_view name = text.substr(begin, end - begin);
    if (const auto* entity = find_entity(name)) {
        append(out, *entity);
        return end + 1;
    }
    return append_capitals(out, name) ? end + 1 : at;
}

template <typename Reader>
std::u32string replace_references(std::u32string_view text, Reader read) {
    std::u32string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t next = text[at] == U'&' ? read(out, text, at) : at;
        if (next == at) {
            out += text[at++];
        } else {
            at = next;
        }
    }
    return out;
}

} // namespace

std::u32string unescape_html(std::u32string_view text) { return replace_references(text, append_reference); }

std::u32string unescape_closed_html(std::u32string_view text) { return replace_references(text, append_closed); }

char32_t from_windows_1252(char32_t code) {
    static constexpr std::array<char32_t, 32> kCodes = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                                        0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
                                                        0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                                        0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
    return kCodes[code - 0x80];
}

} // namespace wander
