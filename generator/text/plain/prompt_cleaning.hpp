#pragma once
// What the published pipeline does to a prompt before its tokenizer sees it (self-forcing.md 7.1). Any thread.
//
// Line by line until nothing changes: HTML references, C1 codes read as Windows-1252, Latin ligatures split, full-width
// and half-width forms made normal, curly quotes straightened, line ends made \n, terminal escapes and control
// characters removed, NFC. Then HTML references twice, and every run of white space one space.
//
// One part of the original is left out on purpose: its guess at text that was decoded wrongly twice ("Ã©"). It is right
// for damaged text and wrong for some that is meant so; of 1,000 hard strings 21 differ by it.

#include <string>
#include <string_view>

namespace wander {

// Any bytes in (what is no UTF-8 becomes U+FFFD), valid UTF-8 out.
std::string clean_prompt(std::string_view prompt);

} // namespace wander
