#pragma once
// The part of Unicode that prompts need: composed normal form, white space, width. Any thread.

#include <string>
#include <string_view>

namespace wander {

// Normalization Form C (Unicode Standard Annex 15).
std::u32string normalize_nfc(std::u32string_view text);

// Canonical combining class: 0 for everything that is no mark.
int combining_class(char32_t code);

// As Python's str.isspace.
bool is_white_space(char32_t code);

// Full-width and half-width forms (U+FF01 to U+FFEF, U+3000) become what they are a form of; all else is appended as
// is.
void append_normal_width(std::u32string& text, char32_t code);

} // namespace wander
