// Theme files: what is refused and how, sums, placement.

#include "generator/world/theme/theme.hpp"
#include "generator/world/theme/expression.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <set>

namespace wander {
namespace {

using Json = nlohmann::json;

const std::filesystem::path kThemes = std::filesystem::path(WANDER_SOURCE_DIR) / "assets/themes";

// A small theme that is right.
Json small_theme() {
    return Json::parse(R"({
        "kind": "wander-theme", "version": 1, "name": "small", "seed": 5,
        "starts": [{"name": "door", "pose": [0, -4, 0, 0]}],
        "sun": {"azimuth": 0.5, "elevation": 0.7, "color": [0.9, 0.8, 0.7]}, "ambient": [0.4, 0.4, 0.5],
        "sky": {"zenith": [0.2, 0.4, 0.8], "horizon": [0.8, 0.9, 1]},
        "ground": {"colors": [[0.3, 0.5, 0.2], [0.4, 0.6, 0.3]],
                   "layers": [{"place": "paths", "color": [0.7, 0.6, 0.4], "roads": "z"}]},
        "materials": {"wood": {"texture": "bark", "color": [0.4, 0.3, 0.2], "vary": 0.2}},
        "objects": {"post": {"sizes": {"h": [0.5, 1.5]},
                             "parts": [{"shape": "cylinder", "material": "wood", "size": [0.1, "2 * h", 0.1],
                                        "keep_away": 0.4}]}},
        "place": [{"object": "post", "scatter": {"count": 10, "radius": [1, 7]}, "spacing": 1, "off_paths": 0.5}]
    })");
}

Result<Theme> build(const Json& json) {
    auto description = read_theme_text(json.dump(), "small.json");
    if (!description) return description.error();
    return Theme::build(*description);
}

std::string complaint(const Json& json) {
    const auto theme = build(json);
    EXPECT_FALSE(theme) << json.dump();
    if (theme) return "";
    EXPECT_EQ(theme.error().code, ErrorCode::bad_input);
    return theme.error().message;
}

TEST(Expression, KnowsPrecedenceNamesAndBrackets) {
    const std::map<std::string, double> names{{"h", 2}, {"r", 0.5}};
    EXPECT_DOUBLE_EQ(*evaluate("h + 3 * r - 1", names), 2.5);
    EXPECT_DOUBLE_EQ(*evaluate("-(h - 4) / (2 * r)", names), 2);
    EXPECT_DOUBLE_EQ(*evaluate("max(h, min(3, 7)) - -r", names), 3.5);
    EXPECT_DOUBLE_EQ(*evaluate("0.3", {}), 0.3);
}

TEST(Expression, RefusesWhatItCannotRead) {
    const std::map<std::string, double> names{{"h", 2}};
    for (const char* text : {"", "h +", "2 h", "(h", "w", "1 / 0", "min(h)", "h)", "1..2 +", "max h"})
        EXPECT_FALSE(evaluate(text, names)) << text;
    EXPECT_NE(evaluate("w * 2", names).error().message.find("'w'"), std::string::npos);
    EXPECT_FALSE(evaluate(std::string(5000, '('), names));
    EXPECT_FALSE(evaluate(std::string(5000, '-') + "1", names));
}

TEST(Theme, ShippedOnesAreRead) {
    int count = 0;
    std::set<std::string> starts;
    for (const auto& entry : std::filesystem::directory_iterator(kThemes)) {
        const auto theme = Theme::read(entry.path());
        ASSERT_TRUE(theme) << theme.error().message;
        EXPECT_EQ(theme->name + ".json", entry.path().filename());
        EXPECT_EQ(theme->map_rows.size(), 128U);
        // A world of all of them, and the start gallery, find a start point by its name alone.
        for (const ThemeStart& start : theme->starts) EXPECT_TRUE(starts.insert(start.name).second) << start.name;
        ++count;
    }
    EXPECT_GE(count, 6);
}

// The README of the world says the same numbers; a test without torch for quick builds.
TEST(Theme, MapsOfTheKnownPlacesAreThoseOfTheEmbeddedWorld) {
    std::ifstream file(std::filesystem::path(WANDER_SOURCE_DIR) / "assets/world/world.json");
    const Json world = Json::parse(file);
    for (const Json& entry : world.at("worlds")) {
        const auto theme = Theme::read(kThemes / (entry.at("name").get<std::string>() + ".json"));
        ASSERT_TRUE(theme) << theme.error().message;
        EXPECT_EQ(Json(theme->map_rows), world.at("walkable").at("rows").at(entry.at("id").get<std::size_t>()));
    }
}

// Is the point inside of the part? Axes of the part, heights from its base.
bool holds(const scene::Primitive& p, float x, float y, float z) {
    const float dx = scene::wrapped(x - p.x);
    const float dz = scene::wrapped(z - p.z);
    const float side = std::abs(p.cos_turn * dx - p.sin_turn * dz) / p.size_x;
    const float depth = std::abs(p.sin_turn * dx + p.cos_turn * dz) / p.size_z;
    const float height = (y - p.y) / p.size_y;
    if (p.shape == scene::Shape::ellipsoid) return side * side + height * height + depth * depth < 1;
    if (height < 0 || height > 1) return false;
    const float round = std::hypot(dx, dz) / p.size_x;
    switch (p.shape) {
        case scene::Shape::box: return side < 1 && depth < 1;
        case scene::Shape::cylinder: return round < 1;
        case scene::Shape::cone: return round < 1 - height;
        case scene::Shape::pyramid: return side < 1 - height && depth < 1 - height;
        default: return side < 1 && depth < 1 - height; // a gable's ridge runs along x
    }
}

// A low crown or cap on a thin trunk lets the camera in when only the trunk keeps it away.
TEST(Theme, NobodyStandsInsideOfSomething) {
    for (const auto& entry : std::filesystem::directory_iterator(kThemes)) {
        const auto theme = Theme::read(entry.path());
        ASSERT_TRUE(theme) << theme.error().message;
        int inside = 0;
        int in_the_way = 0; // inside of something, but nobody gets there
        for (int j = 0; j < kWalkableCells; ++j) {
            for (int i = 0; i < kWalkableCells; ++i) {
                const double x = (i + 0.5) / 8;
                const double z = (j + 0.5) / 8;
                for (const scene::Primitive& p : theme->scene.primitives) {
                    if (!holds(p, static_cast<float>(x), scene::kEyeHeight, static_cast<float>(z))) continue;
                    (theme->map.free_at(x, z) ? inside : in_the_way) += 1;
                    break;
                }
            }
        }
        EXPECT_EQ(inside, 0) << theme->name;
        EXPECT_GT(in_the_way, 100) << theme->name;
    }
}

TEST(Theme, ComplaintsNameFileAndKey) {
    struct Case {
        const char* where; // JSON pointer
        Json value;
        const char* part;
    };
    const Case cases[] = {
        {"/kind", "wander-world", "small.json: \"kind\""},
        {"/version", 2, "\"version\""},
        {"/colour", 1, "\"colour\" is not known here"},
        {"/ambient", Json::array({0.1, 0.2}), "\"ambient\""},
        {"/ambient", Json::array({0.1, 0.2, -1}), "\"ambient\" is not a color"},
        {"/sun/elevation", 3, "small.json: sun: \"elevation\""},
        {"/sun/height", 3, "small.json: sun: \"height\" is not known"},
        {"/starts", Json::array(), "\"starts\""},
        {"/name", "my place", "small.json: \"name\" is \"my place\"; it must be 1 to 64 letters"},
        {"/name", "", "\"name\" is \"\""},
        {"/starts/0/name", "a/b", "starts: \"name\" is \"a/b\""},
        {"/starts/0/name", "-door", "not begin with -"},
        {"/starts/0/name", "none", "no start on the command line"},
        {"/starts/1", Json::parse(R"({"name": "door", "pose": [0, 4, 0, 0]})"), "\"name\" is \"door\" twice"},
        {"/starts/0/pose/3", 0.4, "a pitch of -0.35 to 0.35"},
        {"/ground/layers/0/place", "roads", "ground: layer 1: \"place\" is \"roads\"; it must be one of"},
        {"/ground/layers/0", Json::parse(R"({"place": "paths", "color": [1, 1, 1]})"),
         "neither \"ring\" nor \"roads\""},
        {"/ground/layers/0", Json::parse(R"({"place": "grid", "color": [1, 1, 1], "scale": 0.7})"), "\"scale\""},
        {"/materials/wood/texture", "glass", "materials: wood: \"texture\" is \"glass\""},
        {"/objects/post/parts", Json::array(), "objects: post: \"parts\""},
        {"/objects/post/parts/0/material", "iron", "objects: post: part 1: \"material\" is \"iron\""},
        {"/objects/post/parts/0/size/1", "2 * hh", "part 1: \"size\" holds \"2 * hh\" uses 'hh'"},
        {"/objects/post/parts/0/size/0", -0.1, "part 1: \"size\" comes out as"},
        {"/objects/post/parts/0/at", Json::array({1e39, 0, 0}), "part 1: \"at\" comes out as"},
        {"/objects/post/sizes/h", Json::array({2, 1}), "\"h\" is not [LOW, HIGH]"},
        {"/place/0/object", "tree", "place 1: \"object\" is \"tree\""},
        {"/place/0/line", Json::object(), "needs exactly one of: at ring scatter line"},
        {"/place/0/scatter/count", 0, "place 1: scatter: \"count\""},
        {"/place/0/set", Json::parse(R"({"width": 1})"), "place 1: \"set\" gives \"width\""},
        {"/place/0/paint", Json::parse(R"({"iron": [1, 1, 1]})"), "place 1: \"paint\" names \"iron\""},
        {"/place/0/scatter/count", 200, "place 1: only"},
        {"/place/0", Json::parse(R"({"object": "post", "at": [0, -4]})"),
         "starts: door at [0, -4] is not on free ground"},
    };
    for (const Case& c : cases) {
        Json json = small_theme();
        json[Json::json_pointer(c.where)] = c.value;
        EXPECT_NE(complaint(json).find(c.part), std::string::npos) << c.where << ": " << complaint(json);
    }
    for (const char* key : {"kind", "name", "seed", "sun", "sky", "ground", "ambient"}) {
        Json json = small_theme();
        json.erase(key);
        EXPECT_NE(complaint(json).find("missing"), std::string::npos) << key;
    }
}

TEST(Theme, TellsItsPartsAndHowMuchGroundIsFree) {
    EXPECT_DOUBLE_EQ(free_share({"f0", "81"}), 6.0 / 16);
    EXPECT_DOUBLE_EQ(free_share({}), 0);
    Json json = small_theme();
    // Half width 3.6 and half depth 3.6, and 0.4 kept away: 8 x 8 of 16 x 16 units but for the round corners.
    json["objects"]["hall"] = Json::parse(R"({"parts": [{"shape": "box", "material": "wood", "size": [3.6, 1, 3.6],
                                                         "keep_away": 0.4, "light": [1, 1, 1]}]})");
    json["starts"][0]["pose"] = Json::array({0, -6, 0, 0});
    json["place"] = Json::parse(R"([{"object": "hall", "at": [0, 0]}])");
    const auto theme = build(json);
    ASSERT_TRUE(theme) << theme.error().message;
    EXPECT_EQ(theme->size_text(), "1 part, 1 light, 75 % of the ground is free");
    int free = 0;
    for (int j = 0; j < kWalkableCells; ++j) {
        for (int i = 0; i < kWalkableCells; ++i) free += theme->map.free_at((i + 0.5) / 8, (j + 0.5) / 8) ? 1 : 0;
    }
    EXPECT_DOUBLE_EQ(free_share(theme->map_rows), free / 16384.0);
}

// What a person copies from the manual must work.
TEST(Theme, TheExampleOfTheManualIsATheme) {
    std::ifstream file(std::filesystem::path(WANDER_SOURCE_DIR) / "docs/themes.md");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto begin = text.find("```json\n");
    ASSERT_NE(begin, std::string::npos);
    const auto description =
        read_theme_text(text.substr(begin + 8, text.find("```", begin + 8) - begin - 8), "themes.md");
    ASSERT_TRUE(description) << description.error().message;
    const auto theme = Theme::build(*description);
    ASSERT_TRUE(theme) << theme.error().message;
    EXPECT_EQ(theme->scene.primitives.size(), 41U);
}

TEST(Theme, BrokenFilesAreRefused) {
    const auto broken = read_theme_text("{\"kind\": \n 5,,}", "broken.json");
    ASSERT_FALSE(broken);
    EXPECT_NE(broken.error().message.find("line 2"), std::string::npos) << broken.error().message;
    EXPECT_FALSE(read_theme_text("[]", "list.json"));
    EXPECT_FALSE(read_theme_file("/no/such/theme.json"));
    // Comments are welcome in a file that people write.
    EXPECT_TRUE(read_theme_text("// mine\n" + small_theme().dump(), "small.json"));
}

TEST(Theme, RulesKeepTheirDistances) {
    const auto theme = build(small_theme());
    ASSERT_TRUE(theme) << theme.error().message;
    const auto& posts = theme->scene.primitives;
    ASSERT_EQ(posts.size(), 10U);
    for (std::size_t i = 0; i < posts.size(); ++i) {
        const double from_middle = std::hypot(posts[i].x, posts[i].z);
        EXPECT_GE(from_middle, 1);
        EXPECT_LE(from_middle, 7);
        EXPECT_GE(std::abs(posts[i].x), 0.6) << "the road runs along z";
        EXPECT_GE(posts[i].size_y, 1);
        EXPECT_LE(posts[i].size_y, 3);
        for (std::size_t k = 0; k < i; ++k)
            EXPECT_GE(std::hypot(posts[i].x - posts[k].x, posts[i].z - posts[k].z), 1.2);
    }
    EXPECT_FALSE(theme->map.free_at(posts[0].x, posts[0].z));
    EXPECT_TRUE(theme->map.free_at(0, -4));
}

TEST(Theme, TheSameFileMakesTheSamePlaceAndARuleAtTheEndMovesNothing) {
    const auto once = build(small_theme());
    Json more = small_theme();
    more["place"].push_back(Json::parse(R"({"object": "post", "at": [7, 7]})"));
    const auto again = build(more);
    Json other = small_theme();
    other["seed"] = 6;
    const auto another = build(other);
    ASSERT_TRUE(once && again && another);
    for (std::size_t i = 0; i < once->scene.primitives.size(); ++i) {
        EXPECT_EQ(once->scene.primitives[i].x, again->scene.primitives[i].x);
        EXPECT_EQ(once->scene.primitives[i].size_y, again->scene.primitives[i].size_y);
        EXPECT_EQ(once->scene.primitives[i].color.x, again->scene.primitives[i].color.x);
    }
    EXPECT_NE(once->scene.primitives[0].x, another->scene.primitives[0].x);
    EXPECT_NE(once->scene.primitives[0].color.x, once->scene.primitives[1].color.x) << "\"vary\" does nothing";
}

TEST(Theme, RingsLinesAndPartsInRings) {
    Json json = small_theme();
    json["objects"]["post"]["parts"][0]["ring"] = Json::array({4, 0.5});
    json["place"] = Json::parse(R"([{"object": "post", "at": [2, 3], "turn": 0.3},
                                    {"object": "post", "line": {"count": 3, "from": [-6, -2], "to": [-4, 2]}},
                                    {"object": "post", "ring": {"count": 2, "radius": 6, "first": 1.5707963}}])");
    const auto theme = build(json);
    ASSERT_TRUE(theme) << theme.error().message;
    const auto& p = theme->scene.primitives;
    ASSERT_EQ(p.size(), 24U);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(std::hypot(p[i].x - 2, p[i].z - 3), 0.5, 1e-5);
    EXPECT_NEAR(p[0].x, 2 + 0.5 * std::sin(0.3), 1e-5);
    EXPECT_NEAR(p[0].z, 3 + 0.5 * std::cos(0.3), 1e-5);
    const auto middle_x = [&](std::size_t first) {
        return (p[first].x + p[first + 1].x + p[first + 2].x + p[first + 3].x) / 4;
    };
    EXPECT_NEAR(middle_x(4), -6, 1e-5);
    EXPECT_NEAR(middle_x(8), -5, 1e-5);
    EXPECT_NEAR(middle_x(12), -4, 1e-5);
    EXPECT_NEAR(middle_x(16), 6, 1e-5);
    EXPECT_NEAR(middle_x(20), -6, 1e-5);
    // Turned inward: the first part of the ring, in front, is nearer to the middle than the others.
    EXPECT_NEAR(p[16].x, 5.5, 1e-5);
}

} // namespace
} // namespace wander
