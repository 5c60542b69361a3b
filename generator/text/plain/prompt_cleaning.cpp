#include "generator/text/plain/prompt_cleaning.hpp"

#include "generator/text/plain/html.hpp"
#include "generator/text/plain/unicode.hpp"
#include "generator/text/plain/utf8.hpp"

#include <cstddef>
#include <utility>

namespace wander {
namespace {

// Letters that are two letters in print only.
std::u32string_view split_ligature(char32_t code) {
    switch (code) {
        case 0x0132: return U"IJ";
        case 0x0133: return U"ij";
        case 0x0149: return U"\u02BCn";
        case 0x01C4: return U"D\u017D";
        case 0x01C5: return U"D\u017E";
        case 0x01C6: return U"d\u017E";
        case 0x01C7: return U"LJ";
        case 0x01C8: return U"Lj";
        case 0x01C9: return U"lj";
        case 0x01CA: return U"NJ";
        case 0x01CB: return U"Nj";
        case 0x01CC: return U"nj";
        case 0x01F1: return U"DZ";
        case 0x01F2: return U"Dz";
        case 0x01F3: return U"dz";
        case 0xFB00: return U"ff";
        case 0xFB01: return U"fi";
        case 0xFB02: return U"fl";
        case 0xFB03: return U"ffi";
        case 0xFB04: return U"ffl";
        case 0xFB05: return U"\u017Ft";
        case 0xFB06: return U"st";
        default: return {};
    }
}

char32_t straighten(char32_t code) {
    if (code == 0x02BC || (code >= 0x2018 && code <= 0x201B)) return U'\'';
    if (code >= 0x201C && code <= 0x201F) return U'"';
    return code;
}

// Controls that show nothing and mean nothing in a prompt; joiners and direction marks stay.
bool is_removed(char32_t code) {
    if (code < 0x20) return code != U'\t' && code != U'\n' && code != U'\f' && code != U'\r';
    return code == 0x7F || (code >= 0x206A && code <= 0x206F) || code == 0xFEFF || (code >= 0xFFF9 && code <= 0xFFFC);
}

std::u32string with_plain_letters(std::u32string_view text) {
    std::u32string out;
    out.reserve(text.size());
    for (char32_t code : text) {
        if (code >= 0x80 && code <= 0x9F) code = from_windows_1252(code);
        const std::u32string_view letters = split_ligature(code);
        if (letters.empty()) {
            append_normal_width(out, code);
        } else {
            out += letters;
        }
    }
    for (char32_t& code : out) code = straighten(code);
    return out;
}

// \r\n, \r and the separators of Unicode; a C1 "next line" too, where it survived.
std::u32string with_plain_line_ends(std::u32string_view text) {
    std::u32string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char32_t code = text[at];
        if (code == U'\r' && at + 1 < text.size() && text[at + 1] == U'\n') continue;
        const bool end = code == U'\r' || code == 0x2028 || code == 0x2029 || code == 0x85;
        out += end ? U'\n' : code;
    }
    return out;
}

// A terminal's colour and cursor commands: ESC [ numbers letter.
std::u32string without_controls(std::u32string_view text) {
    constexpr char32_t kEscape = 0x1B;
    std::u32string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == kEscape && at + 1 < text.size() && text[at + 1] == U'[') {
            std::size_t end = at + 2;
            while (end < text.size() && ((text[end] >= U'0' && text[end] <= U'9') || text[end] == U';')) ++end;
            const char32_t last = end < text.size() ? text[end] | 0x20u : 0;
            if (last >= U'a' && last <= U'z') {
                at = end;
                continue;
            }
        }
        if (!is_removed(text[at])) out += text[at];
    }
    return out;
}

// Text that was escaped more often than this is not meant to be read.
constexpr int kMaxRounds = 32;

std::u32string repair_line(std::u32string line, bool html) {
    for (int round = 0; round < kMaxRounds; ++round) {
        std::u32string next = html ? unescape_closed_html(line) : line;
        next = normalize_nfc(without_controls(with_plain_line_ends(with_plain_letters(next))));
        if (next == line) break;
        line = std::move(next);
    }
    return line;
}

std::u32string repair(std::u32string_view text) {
    std::u32string out;
    out.reserve(text.size());
    bool html = true; // until a tag shows that the references are meant so
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t found = text.find(U'\n', begin);
        const std::size_t end = found == std::u32string_view::npos ? text.size() : found + 1;
        const std::u32string_view line = text.substr(begin, end - begin);
        if (line.find(U'<') != std::u32string_view::npos) html = false;
        out += repair_line(std::u32string(line), html);
        begin = end;
    }
    return out;
}

std::u32string with_single_spaces(std::u32string_view text) {
    std::u32string out;
    out.reserve(text.size());
    for (const char32_t code : text) {
        if (!is_white_space(code)) {
            out += code;
        } else if (!out.empty() && out.back() != U' ') {
            out += U' ';
        }
    }
    if (!out.empty() && out.back() == U' ') out.pop_back();
    return out;
}

} // namespace

std::string clean_prompt(std::string_view prompt) {
    const std::u32string repaired = repair(decode_utf8(prompt));
    return encode_utf8(with_single_spaces(unescape_html(unescape_html(repaired))));
}

} // namespace wander
