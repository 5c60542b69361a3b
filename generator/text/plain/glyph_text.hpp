#pragma once
// Text that a prompt wants to see written in the picture, and how it is put to byT5 (hy-worldplay.md 3.2). Needs no
// weights and no torch. Pure, any thread.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

// What stands between straight or between curly double quotes, from left to right, each text once. A pair never spans a
// line break; an empty pair is a text of length 0. Bytes that are no UTF-8 count as U+FFFD.
std::vector<std::string> quoted_texts(std::string_view prompt);

// "Text \"OPEN\". " for each of them; no colour and no font is asked for. Empty without texts.
std::string glyph_line(const std::vector<std::string>& texts);

struct ByT5Tokens {
    std::vector<int> ids; // end token last, also after a cut
    bool truncated = false;
};
// A byte is its value + 3; the special tokens <pad>, </s>, <unk> and <extra_id_0> to <extra_id_124> are one id each. At
// most `most` ids, the end token (1) among them; most >= 1.
ByT5Tokens byt5_tokens(std::string_view text, std::size_t most = 256);

} // namespace wander
