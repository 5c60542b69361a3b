#include "generator/text/plain/glyph_text.hpp"

#include "generator/text/plain/utf8.hpp"

#include <algorithm>
#include <cassert>
#include <optional>

namespace wander {
namespace {

constexpr int kEndId = 1;
constexpr int kFirstByteId = 3; // behind <pad>, </s> and <unk>
constexpr int kExtraIds = 125;
constexpr std::string_view kExtraHead = "<extra_id_";

struct SpecialToken {
    int id = 0;
    std::size_t bytes = 0;
};

std::optional<SpecialToken> special_token_at(std::string_view text) {
    constexpr std::string_view kNamed[] = {"<pad>", "</s>", "<unk>"}; // ids 0, 1, 2
    for (std::size_t i = 0; i < std::size(kNamed); ++i) {
        if (text.starts_with(kNamed[i])) return SpecialToken{static_cast<int>(i), kNamed[i].size()};
    }
    if (!text.starts_with(kExtraHead)) return std::nullopt;
    const std::string_view digits = text.substr(kExtraHead.size());
    int number = 0;
    std::size_t count = 0;
    for (; count < digits.size() && count < 3 && digits[count] >= '0' && digits[count] <= '9'; ++count) {
        number = 10 * number + (digits[count] - '0');
    }
    const bool padded = count > 1 && digits[0] == '0';
    if (count == 0 || padded || number >= kExtraIds || digits.substr(count, 1) != ">") return std::nullopt;
    return SpecialToken{kFirstByteId + 256 + number, kExtraHead.size() + count + 1};
}

} // namespace

std::vector<std::string> quoted_texts(std::string_view prompt) {
    constexpr char32_t kStraight = U'"', kLeft = U'\u201C', kRight = U'\u201D';
    const std::u32string text = decode_utf8(prompt);
    std::vector<std::string> found;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != kStraight && text[at] != kLeft) continue;
        const char32_t wanted = text[at] == kStraight ? kStraight : kRight;
        const std::size_t end = text.find_first_of(std::u32string{wanted, U'\n'}, at + 1);
        if (end == std::u32string::npos || text[end] != wanted) continue;
        std::string inside = encode_utf8(std::u32string_view(text).substr(at + 1, end - at - 1));
        if (std::find(found.begin(), found.end(), inside) == found.end()) found.push_back(std::move(inside));
        at = end;
    }
    return found;
}

std::string glyph_line(const std::vector<std::string>& texts) {
    std::string line;
    for (const std::string& text : texts) line += "Text \"" + text + "\". ";
    return line;
}

ByT5Tokens byt5_tokens(std::string_view text, std::size_t most) {
    assert(most >= 1);
    ByT5Tokens tokens;
    for (std::size_t at = 0; at < text.size();) {
        const auto special = special_token_at(text.substr(at));
        tokens.ids.push_back(special ? special->id : kFirstByteId + static_cast<unsigned char>(text[at]));
        at += special ? special->bytes : 1;
    }
    tokens.truncated = tokens.ids.size() + 1 > most;
    if (tokens.truncated) tokens.ids.resize(most - 1);
    tokens.ids.push_back(kEndId);
    return tokens;
}

} // namespace wander
