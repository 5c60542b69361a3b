// Quoted texts and byT5's ids: what the goldens do not have.

#include "generator/text/plain/glyph_text.hpp"

#include <gtest/gtest.h>

namespace wander {
namespace {

using Texts = std::vector<std::string>;
using Ids = std::vector<int>;

TEST(GlyphText, APairEndsWithItsOwnQuoteOnItsOwnLine) {
    EXPECT_EQ(quoted_texts("\"a\nb\" c \"d\""), (Texts{" c "})) << "the second quote opens";
    EXPECT_EQ(quoted_texts("“a\"b”"), (Texts{"a\"b"}));
    EXPECT_EQ(quoted_texts("”a“ b”"), (Texts{" b"}));
    EXPECT_EQ(quoted_texts("\"a\rb\""), (Texts{"a\rb"})) << "only the line feed ends a line";
    EXPECT_EQ(quoted_texts("x \"\" \"\" y \""), (Texts{""}));
    EXPECT_EQ(quoted_texts("\"\xFF\""), (Texts{"\xEF\xBF\xBD"}));
    EXPECT_EQ(quoted_texts(""), Texts{});
    EXPECT_EQ(glyph_line({}), "");
}

TEST(GlyphText, SpecialTokensAreOneIdOnlyAsTheyAreWritten) {
    EXPECT_EQ(byt5_tokens("<pad></s><unk>").ids, (Ids{0, 1, 2, 1}));
    EXPECT_EQ(byt5_tokens("<extra_id_0><extra_id_124>").ids, (Ids{259, 259 + 124, 1}));
    for (const char* text :
         {"<extra_id_125>", "<extra_id_01>", "<extra_id_>", "<extra_id_1", "<extra_id_1234>", "<PAD>"}) {
        EXPECT_EQ(byt5_tokens(text).ids.size(), std::string(text).size() + 1) << text;
    }
    EXPECT_EQ(byt5_tokens("\xC3\xBC").ids, (Ids{0xC3 + 3, 0xBC + 3, 1}));
}

TEST(GlyphText, ACutKeepsTheEndToken) {
    EXPECT_EQ(byt5_tokens("ab", 3).ids, (Ids{100, 101, 1}));
    EXPECT_FALSE(byt5_tokens("ab", 3).truncated);
    EXPECT_EQ(byt5_tokens("abc", 3).ids, (Ids{100, 101, 1}));
    EXPECT_TRUE(byt5_tokens("abc", 3).truncated);
    EXPECT_EQ(byt5_tokens("abc", 1).ids, (Ids{1}));
    EXPECT_EQ(byt5_tokens("").ids, (Ids{1}));
}

} // namespace
} // namespace wander
