#include "app/options.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace wander {
namespace {

Result<Options> parse(std::vector<const char*> words) {
    words.insert(words.begin(), "wander");
    return parse_options(static_cast<int>(words.size()), words.data());
}

TEST(Options, DefaultsOpenTheWindowWithTheEmbeddedWorld) {
    const auto options = parse({});
    ASSERT_TRUE(options);
    EXPECT_FALSE(options->headless);
    EXPECT_EQ(options->model, "embedded");
    EXPECT_EQ(options->device, "auto");
    EXPECT_EQ(options->precision, "auto");
    EXPECT_FALSE(options->cache);
    EXPECT_FALSE(options->chunks);
}

TEST(Options, CacheRules) {
    const auto plain = parse({"--cache", "int8"});
    ASSERT_TRUE(plain);
    EXPECT_TRUE(plain->cache_rules.empty());
    const auto all =
        parse({"--keep-recent", "3", "--no-keep-sink", "--bias-correction", "--cache-layers", "0-1:int8,5:bf16"});
    ASSERT_TRUE(all) << all.error().message;
    quant::CacheRules rules;
    all->cache_rules.apply_to(rules);
    EXPECT_EQ(rules.keep_recent, 3);
    EXPECT_FALSE(rules.keep_sink);
    EXPECT_TRUE(rules.bias_correction);
    EXPECT_EQ(rules.layer_formats, (std::vector<quant::LayerFormat>{{0, 1, "int8"}, {5, 5, "bf16"}}));
    const auto others = parse({"--keep-sink", "--no-bias-correction"});
    ASSERT_TRUE(others);
    EXPECT_EQ(others->cache_rules.keep_sink, true);
    EXPECT_EQ(others->cache_rules.bias_correction, false);
}

TEST(Options, WrongCacheRules) {
    for (const std::vector<const char*>& words :
         std::vector<std::vector<const char*>>{{"--keep-recent", "1.5"},
                                               {"--keep-recent", "-1"},
                                               {"--keep-recent", "many"},
                                               {"--cache-layers", "int8"},
                                               {"--cache-layers", "1:"},
                                               {"--cache-layers", ":int8"},
                                               {"--cache-layers", "3-1:int8"},
                                               {"--cache-layers", "-1:int8"},
                                               {"--cache-layers", "1:int8,"},
                                               {"--cache-layers", "1:int8,,2:int8"},
                                               {"--cache-layers", "99999999999:int8"}}) {
        const auto options = parse(words);
        ASSERT_FALSE(options) << words[1];
        EXPECT_EQ(options.error().code, ErrorCode::wrong_use);
        EXPECT_NE(options.error().message.find(words[0]), std::string::npos) << options.error().message;
    }
}

TEST(Options, TheWholeHeadlessLine) {
    const auto options = parse({"--headless",
                                "--controls",
                                "w-8,right-4",
                                "--chunks",
                                "12",
                                "--seed",
                                "18446744073709551615",
                                "--model",
                                "embedded",
                                "--start",
                                "village_fountain",
                                "--prompt",
                                "a village",
                                "--cache",
                                "int2",
                                "--device",
                                "cpu",
                                "--threads",
                                "2",
                                "--out",
                                "a.mp4",
                                "--frames",
                                "f",
                                "--metrics",
                                "m.json",
                                "--precision",
                                "fp32",
                                "--start-pose",
                                "winter,1.5,-2,0.25,0",
                                "--session-out",
                                "s.json",
                                "--kept-rows",
                                "none",
                                "--record-dir",
                                "r"});
    ASSERT_TRUE(options) << options.error().message;
    EXPECT_TRUE(options->headless);
    EXPECT_EQ(options->kept_rows, "none");
    EXPECT_EQ(options->controls, "w-8,right-4");
    EXPECT_EQ(options->chunks, 12);
    EXPECT_EQ(options->seed, ~std::uint64_t{0});
    EXPECT_EQ(options->start, "village_fountain");
    EXPECT_EQ(options->prompt, "a village");
    EXPECT_EQ(options->cache, "int2");
    EXPECT_EQ(options->device, "cpu");
    EXPECT_EQ(options->threads, 2);
    EXPECT_EQ(options->out, "a.mp4");
    EXPECT_EQ(options->frames, "f");
    EXPECT_EQ(options->metrics, "m.json");
    EXPECT_EQ(options->precision, "fp32");
    ASSERT_TRUE(options->start_pose);
    EXPECT_EQ(options->start_pose->first, "winter");
    EXPECT_FLOAT_EQ(options->start_pose->second.x, 1.5f);
    EXPECT_FLOAT_EQ(options->start_pose->second.z, -2.0f);
    EXPECT_FLOAT_EQ(options->start_pose->second.yaw, 0.25f);
    EXPECT_EQ(options->session_out, "s.json");
    EXPECT_EQ(options->record_dir, "r");
}

TEST(Options, HelpAndVersionAreTexts) {
    const auto help = parse({"--help"});
    ASSERT_TRUE(help);
    for (const char* name : {"--headless", "--controls", "--chunks", "--seed", "--model", "--start", "--start-pose",
                             "--prompt", "--cache", "--device", "--threads", "--out", "--frames", "--metrics",
                             "--precision", "--session-out", "--record-dir", "--version"}) {
        EXPECT_NE(help->text.find(name), std::string::npos) << name;
    }
    const auto version = parse({"--version"});
    ASSERT_TRUE(version);
    EXPECT_EQ(version->text, std::string("wander ") + WANDER_VERSION + "\n");
}

TEST(Options, MistakesAreOneLineThatNamesTheWord) {
    const struct {
        std::vector<const char*> words;
        const char* part;
    } cases[] = {
        {{"--sed", "1"}, "--sed"},
        {{"walk"}, "walk"},
        {{"--headless", "--chunks", "0"}, "--chunks"},
        {{"--headless", "--chunks", "many"}, "many"},
        {{"--seed", "-1"}, "--seed"},
        {{"--device", "tpu"}, "--device"},
        {{"--precision", "fp8"}, "--precision"},
        {{"--threads", "-3"}, "--threads"},
        {{"--start-pose", "village,1,2,3"}, "WORLD,X,Z,YAW,PITCH"},
        {{"--start-pose", "village,1,2,3,nan"}, "WORLD,X,Z,YAW,PITCH"},
        {{"--start-pose", "village,1,2,3,4x"}, "WORLD,X,Z,YAW,PITCH"},
        {{"--headless", "--out", "a.avi"}, ".mp4"},
        {{"--metrics", "m.json"}, "--headless"},
        {{"--controls", "w-8"}, "--headless"},
        {{"--headless", "--out"}, "--out"},
    };
    for (const auto& one : cases) {
        const auto options = parse(one.words);
        ASSERT_FALSE(options) << one.words.back();
        EXPECT_EQ(options.error().code, ErrorCode::wrong_use);
        EXPECT_NE(options.error().message.find(one.part), std::string::npos) << options.error().message;
        EXPECT_EQ(options.error().message.find('\n'), std::string::npos) << options.error().message;
    }
}

TEST(Options, AttentionIsBf16UnlessFp8IsAskedFor) {
    const char* plain[] = {"wander"};
    const char* fast[] = {"wander", "--attention", "fp8"};
    const char* wrong[] = {"wander", "--attention", "int8"};
    EXPECT_FALSE(parse_options(1, plain)->fp8_attention);
    EXPECT_TRUE(parse_options(3, fast)->fp8_attention);
    const auto refused = parse_options(3, wrong);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("--attention"), std::string::npos);
}

} // namespace
} // namespace wander
