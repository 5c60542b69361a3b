#include "gui/plain/format_family.hpp"

#include <gtest/gtest.h>

namespace wander::gui {
namespace {

TEST(FormatFamily, ByNameThenByBits) {
    EXPECT_EQ(family_of("bf16", 16), FormatFamily::uncompressed);
    EXPECT_EQ(family_of("open", 16), FormatFamily::uncompressed);
    EXPECT_EQ(family_of("int8", 8), FormatFamily::eight_bit);
    EXPECT_EQ(family_of("int4-g16", 4), FormatFamily::rounding);
    EXPECT_EQ(family_of("kivi2", 2), FormatFamily::kivi);
    EXPECT_EQ(family_of("quarot2", 2), FormatFamily::rotated);
    EXPECT_EQ(family_of("int2", 2), FormatFamily::codebook);
    EXPECT_EQ(family_of("qvg-pro", 2), FormatFamily::codebook);
    EXPECT_EQ(family_of("unheard-of", 8), FormatFamily::eight_bit);
    EXPECT_EQ(family_of("unheard-of", 2), FormatFamily::other);
    EXPECT_EQ(family_of("unheard-of", 16), FormatFamily::uncompressed);
}

TEST(FormatFamily, EveryFamilyHasAName) {
    for (int i = 0; i < kFormatFamilies; ++i) EXPECT_FALSE(family_name(static_cast<FormatFamily>(i)).empty());
}

TEST(FormatFamily, ACellOfSeveralFormatsIsTakenApart) {
    using Names = std::vector<std::string_view>;
    EXPECT_EQ(formats_of_cell("int2"), Names{"int2"});
    EXPECT_EQ(formats_of_cell("int8 / int2 / bf16"), (Names{"int8", "int2", "bf16"}));
    EXPECT_EQ(formats_of_cell(""), Names{""});
}

} // namespace
} // namespace wander::gui
