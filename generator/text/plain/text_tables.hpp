#pragma once
// Tables of the Unicode data and of HTML's entity names, made by tools/make_text_tables.py. Room-internal.

#include <cstdint>

namespace wander::text_tables {

struct Decomposition { // sorted by code
    char32_t code;
    char32_t first;
    char32_t second; // 0: a single character
    bool composes;   // first + second becomes code again
};
struct CombiningRange { // sorted
    char32_t first;
    char32_t last;
    std::uint8_t value;
};
struct FullWidth { // of U+FF01 + index; second 0: a single character
    char32_t first;
    char32_t second;
};
struct Entity { // sorted by name
    const char* name;
    char32_t first;
    char32_t second; // 0: a single character
    bool bare;       // valid without a semicolon too
};
struct Capital { // sorted by code; unused places are 0
    char32_t code;
    char32_t capitals[3];
};

#include "generator/text/plain/text_tables.inc"

} // namespace wander::text_tables
