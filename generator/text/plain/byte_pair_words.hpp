#pragma once
// Cuts text into the pieces that a byte-pair tokenizer of the Qwen2 kind merges within. Pure, any thread.
//
// The first rule that fits, again and again (L letters, N numbers, S white space, all of Unicode):
//   1. 's 't 're 've 'm 'll 'd, in small or capital letters
//   2. letters, with one character in front that is no letter, number, CR or LF
//   3. one number
//   4. characters that are none of L, N, S, with one space in front and all CR and LF behind
//   5. white space up to its last CR or LF
//   6. white space but for the character before the next word
//   7. white space

#include <string>
#include <string_view>
#include <vector>

namespace wander {

// Views of `text` one after another, nothing left out.
std::vector<std::u32string_view> byte_pair_words(std::u32string_view text);

} // namespace wander
