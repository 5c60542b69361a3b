#include "app/world_card.hpp"

#include "tests/unit/render_video/test_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace wander {
namespace {

std::string fact(const gui::WorldCard& card, const std::string& label) {
    for (const gui::NamedChoice& fact : card.facts) {
        if (fact.name == label) return fact.help;
    }
    return "";
}

TEST(WorldCard, TheShippedWorldHasOne) {
    const auto card = read_world_card(WANDER_SOURCE_DIR "/assets/world");
    ASSERT_TRUE(card);
    ASSERT_GE(card->places.size(), 3u);
    EXPECT_EQ(card->places[2].name, "neon");
    // Two bytes a value, and a head of a few KB.
    const auto bytes =
        static_cast<double>(std::filesystem::file_size(WANDER_SOURCE_DIR "/assets/world/dit.safetensors"));
    EXPECT_NEAR(std::stod(fact(*card, "transformer")), bytes / 2e6, 0.06);
    EXPECT_EQ(fact(*card, "remembers"), "24 latents");
    EXPECT_EQ(card->columns, (std::vector<std::string>{"1", "3", "5", "10", "20", "60"}));
    ASSERT_GE(card->figures.size(), 2u);
    EXPECT_EQ(card->figures[0].cells.size(), 6u);
    EXPECT_FALSE(fact(*card, "full turn").empty());
}

TEST(WorldCard, WhatIsMissingOrForeignIsLeftOut) {
    const test::TestFolder folder;
    EXPECT_FALSE(read_world_card(folder.path()));
    const auto with = [&](const char* text) {
        std::ofstream(folder / "world.json") << text;
        return read_world_card(folder.path());
    };
    EXPECT_FALSE(with("not JSON"));
    EXPECT_FALSE(with("[1]"));
    const auto bare = with(
        R"({"name": "five", "worlds": [{"name": "a", "title": "A place"}, 7], "figures": {"steps": 1200, "minutes": 20.6}})");
    ASSERT_TRUE(bare);
    EXPECT_EQ(bare->name, "five");
    ASSERT_EQ(bare->places.size(), 1u);
    EXPECT_EQ(bare->places[0].help, "A place");
    EXPECT_EQ(fact(*bare, "trained"), "21 min, 1200 steps");
    EXPECT_TRUE(bare->columns.empty());
    const auto odd = with(R"({"figures": {"free_walk": {"seconds": [1, 2, "x", 60], "psnr_db": [27.66, 1, 2, "?"],
                              "sharpness": [1]}, "places": {"a": {"seconds": [1, 2, 3, 60], "psnr_db": [20, 21, 22, 23]}}}})");
    ASSERT_TRUE(odd);
    EXPECT_EQ(odd->columns, (std::vector<std::string>{"1", "60"}));
    ASSERT_EQ(odd->figures.size(), 2u) << "a row of another length is left out";
    EXPECT_EQ(odd->figures[0].cells, (std::vector<std::string>{"27.7", ""}));
    EXPECT_EQ(odd->figures[1].label, "a");
}

} // namespace
} // namespace wander
