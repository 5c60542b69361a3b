#include "quant/plain/cache_rules.hpp"

#include <gtest/gtest.h>

namespace wander::quant {
namespace {

TEST(CacheRules, LayerTablesAreReadAndWritten) {
    const auto table = parse_layer_formats("0-1:int8,5:bf16,4-4:int2");
    ASSERT_TRUE(table);
    EXPECT_EQ(*table, (std::vector<LayerFormat>{{0, 1, "int8"}, {5, 5, "bf16"}, {4, 4, "int2"}}));
    EXPECT_EQ(layer_formats_text(*table), "0-1:int8,5:bf16,4:int2");
    const auto none = parse_layer_formats("");
    ASSERT_TRUE(none);
    EXPECT_TRUE(none->empty());
}

TEST(CacheRules, WrongTablesNameTheEntry) {
    for (const char* wrong : {"int8", "1:", ":int8", "1-:int8", "-1:int8", "2-1:int8", "1:int8,", ",1:int8",
                              "1:int8,,2:int8", "x:int8", "1.5:int8", "99999999999:int8"}) {
        const auto table = parse_layer_formats(wrong);
        ASSERT_FALSE(table) << wrong;
        EXPECT_EQ(table.error().code, ErrorCode::wrong_use);
        EXPECT_NE(table.error().message.find("0-1:int8,5:bf16"), std::string::npos);
    }
    EXPECT_NE(parse_layer_formats("0:int8,7").error().message.find("at '7'"), std::string::npos);
}

TEST(CacheRules, ChangesAddUpAndLeadFromOneToTheOther) {
    CacheRules from;
    CacheRules to{{{0, 2, "int8"}}, 3, false, true};
    EXPECT_TRUE(difference(from, from).empty());
    CacheRules walked = from;
    difference(from, to).apply_to(walked);
    EXPECT_EQ(walked, to);
    CacheRulesChange first;
    first.keep_recent = 2;
    first.bias_correction = true;
    CacheRulesChange second;
    second.bias_correction = false;
    first.add(second);
    EXPECT_EQ(first.keep_recent, 2);
    EXPECT_EQ(first.bias_correction, false);
    EXPECT_FALSE(first.keep_sink.has_value());
}

} // namespace
} // namespace wander::quant
