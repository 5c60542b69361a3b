#include "generator/evaluate/model_card.hpp"

#include "tests/unit/render_video/test_folder.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>

namespace wander::evaluate {
namespace {

EvaluationReport sample(double psnr) {
    EvaluationReport report;
    report.world = "five";
    report.all.name = "all";
    report.all.walks = 4;
    report.all.free_walk = {{1, psnr, 0.9}, {5, 26.123, 0.8}};
    PlaceFigures place = report.all;
    place.name = "village";
    place.known_walks = true;
    report.places = {place};
    return report;
}

std::string read(const std::filesystem::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

int times(const std::string& text, const std::string& part) {
    int count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
}

TEST(ModelCard, FiguresReplaceTheOldOnesAlone) {
    const std::string first = card_with_figures("# Mine\n\nWords before.\n", sample(27.5));
    EXPECT_NE(first.find("Words before."), std::string::npos);
    EXPECT_EQ(times(first, "| village | 27.5 |"), 1);
    const std::string second = card_with_figures(first + "\nWords behind.\n", sample(28.5));
    EXPECT_EQ(times(second, "27.5"), 0);
    EXPECT_EQ(times(second, "| village | 28.5 |"), 1);
    EXPECT_EQ(times(second, "## What was measured"), 1);
    EXPECT_NE(second.find("Words before."), std::string::npos);
    EXPECT_NE(second.find("Words behind."), std::string::npos);
    EXPECT_EQ(card_with_figures(second, sample(28.5)), second);
    EXPECT_TRUE(card_with_figures("", sample(1)).starts_with("# Model card: five\n"));
}

TEST(ModelCard, TheWorldsFileKeepsItsOtherKeysInOrder) {
    const test::TestFolder folder;
    std::ofstream(folder / "world.json") << R"({"z": 1, "a": [1e-06, 0.25], "figures": {"steps": 12, "walks": 0}})";
    ASSERT_TRUE(update_model_card(folder.path(), sample(27.523)));
    const std::string text = read(folder / "world.json");
    EXPECT_LT(text.find("\"z\""), text.find("\"a\""));
    const auto json = nlohmann::json::parse(text);
    EXPECT_EQ(json["a"][0], 1e-06);
    EXPECT_EQ(json["figures"]["steps"], 12);
    EXPECT_EQ(json["figures"]["walks"], 4);
    EXPECT_EQ(json["figures"]["free_walk"]["psnr_db"][0], 27.52);
    EXPECT_EQ(json["figures"]["places"]["village"]["seconds"][1], 5);
    EXPECT_FALSE(json["figures"].contains("formats")) << "was not measured";
    EXPECT_NE(read(folder / "README.md").find("| village | 27.5 | 26.1 |"), std::string::npos);

    std::ofstream(folder / "world.json") << "[]";
    EXPECT_FALSE(update_model_card(folder.path(), sample(27)));
    EXPECT_FALSE(update_model_card(folder / "nowhere", sample(27)));
}

} // namespace
} // namespace wander::evaluate
