#pragma once
// Character references of HTML (&amp; &#39; &eacute) in a prompt that was pasted from a page. Any thread.

#include <string>
#include <string_view>

namespace wander {

// All references, with the semicolon or, where HTML allows it, without; numeric ones that HTML forbids are dropped or
// mended as HTML says. One pass: "&amp;lt;" becomes "&lt;".
std::u32string unescape_html(std::u32string_view text);

// The careful form of text repair: only references that end with a semicolon, and names typed in capitals (&EACUTE;)
// where HTML has no such name.
std::u32string unescape_closed_html(std::u32string_view text);

// What a C1 control code meant: Windows-1252, which maps five of them to themselves. code: 0x80 to 0x9F.
char32_t from_windows_1252(char32_t code);

} // namespace wander
