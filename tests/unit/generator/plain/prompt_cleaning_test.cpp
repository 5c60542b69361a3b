// Cleaning of prompts: bad bytes, normal form, HTML references, the tables of text repair. Goldens: tests/parity.

#include "generator/text/plain/prompt_cleaning.hpp"
#include "generator/text/plain/html.hpp"
#include "generator/text/plain/unicode.hpp"
#include "generator/text/plain/utf8.hpp"

#include <gtest/gtest.h>

namespace wander {
namespace {

std::string nfc(std::u32string_view text) { return encode_utf8(normalize_nfc(text)); }

TEST(Utf8, BadBytesBecomeOneReplacementForEachPart) {
    EXPECT_EQ(decode_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), U"a\u00E9\u20AC\U0001F600");
    EXPECT_EQ(decode_utf8("\xFF"), U"\uFFFD");
    EXPECT_EQ(decode_utf8("\xC0\x80"), U"\uFFFD\uFFFD");                     // overlong
    EXPECT_EQ(decode_utf8("\xED\xA0\x80"), U"\uFFFD\uFFFD\uFFFD");           // a surrogate
    EXPECT_EQ(decode_utf8("\xE2\x82"), U"\uFFFD");                           // cut off
    EXPECT_EQ(decode_utf8("\xE2\x82z"), U"\uFFFDz");                         // cut off, text goes on
    EXPECT_EQ(decode_utf8("\xF4\x90\x80\x80"), U"\uFFFD\uFFFD\uFFFD\uFFFD"); // beyond the last code point
    EXPECT_EQ(encode_utf8(std::u32string{0xD800, 0x110000}), "\uFFFD\uFFFD");
}

TEST(Nfc, ComposesDecomposesAndSorts) {
    EXPECT_EQ(nfc(U"e\u0301"), "\u00E9");
    EXPECT_EQ(nfc(U"a\u0301\u0301"), "\u00E1\u0301");  // the second one finds no partner
    EXPECT_EQ(nfc(U"q\u0307\u0323"), "q\u0323\u0307"); // sorted by class
    EXPECT_EQ(nfc(U"\u1E0B\u0323"), "\u1E0D\u0307");   // taken apart, sorted, composed
    EXPECT_EQ(nfc(U"\u0958"), "\u0915\u093C");         // excluded from composition
    EXPECT_EQ(nfc(U"\u212B"), "\u00C5");               // a singleton
    EXPECT_EQ(nfc(U"\u1112\u1161\u11AB"), "\uD55C");   // Hangul
    EXPECT_EQ(nfc(U"\uD558\u11AB"), "\uD55C");
    EXPECT_EQ(nfc(U"\u1112\u1161\u11A7"), "\uD558\u11A7"); // the place before the first tail is none
    EXPECT_EQ(nfc(U"\u0301e"), "\u0301e");                 // a mark without a letter
    EXPECT_EQ(nfc(U"a\u0315\u0300\u05AE\u0300b"), "\u00E0\u05AE\u0300\u0315b");
}

TEST(Html, ReferencesAsHtmlReadsThem) {
    const auto read = [](std::u32string_view text) { return encode_utf8(unescape_html(text)); };
    EXPECT_EQ(read(U"&amp;lt; &lt &notit; &notin; &eacute"), "&lt; < \u00ACit; \u2209 \u00E9");
    EXPECT_EQ(read(U"&#65;&#x42;&#X43 &#0;&#x80;&#xD800;&#99999999999;&#1;"), "ABC \uFFFD\u20AC\uFFFD\uFFFD");
    EXPECT_EQ(read(U"& &; &#; &#x; &unknown; &Eacute"), "& &; &#; &#x; &unknown; \u00C9");
    EXPECT_EQ(read(U"&NotEqualTilde;"), "\u2242\u0338");
    const auto closed = [](std::u32string_view text) { return encode_utf8(unescape_closed_html(text)); };
    EXPECT_EQ(closed(U"&lt &lt; &EACUTE; &SZLIG; &LT; &GE;"), "&lt < \u00C9 SS < \u2265");
}

TEST(PromptCleaning, TablesOfTextRepair) {
    EXPECT_EQ(clean_prompt(" a \t b\r\nc\u2028d\u3000e "), "a b c d e");
    EXPECT_EQ(clean_prompt("\uFB01ne \u01C4 \u0149"), "fine D\u017D 'n");
    EXPECT_EQ(clean_prompt("\uFF21\uFF76\uFF9E\uFFE3"), "A\u30AC \u0304");
    EXPECT_EQ(clean_prompt("\u201Elow\u201C \u2018x\u2019"), "\"low\" 'x'");
    EXPECT_EQ(clean_prompt("a\x1b[1;31mb\x07\x7f\uFEFF\u200Dc\x1b[z"), "ab\u200Dc");
    EXPECT_EQ(clean_prompt("a\xC2\x85"), "a\u2026");
    EXPECT_EQ(clean_prompt("\u0065\u0301"), "\u00E9");
    EXPECT_EQ(clean_prompt("&amp;amp;amp;lt;b"), "<b");
    EXPECT_EQ(clean_prompt("<i>&amp;amp;amp;lt;b"), "<i>&amp;lt;b"); // behind a tag only the two rounds at the end
    EXPECT_EQ(clean_prompt("&EACUTE; <"), "&EACUTE; <");
    EXPECT_EQ(clean_prompt(""), "");
    EXPECT_EQ(clean_prompt(std::string_view("\0\xFFx\0", 4)), "\uFFFDx");
    // Damage that is not guessed at.
    EXPECT_EQ(clean_prompt("caf\u00C3\u00A9"), "caf\u00C3\u00A9");
}

TEST(PromptCleaning, EndsOnAnything) {
    std::string nested = "&lt;";
    for (int i = 0; i < 200; ++i) nested.insert(1, "amp;");
    EXPECT_FALSE(clean_prompt(nested).empty());
}

} // namespace
} // namespace wander
