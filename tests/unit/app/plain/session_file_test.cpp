#include "app/session_file.hpp"

#include "app/controls_script.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace wander {
namespace {

TEST(SessionFile, OnlyChangesAreKeptAndTheyReadAsAControlsFile) {
    SessionFile session;
    session.model = "embedded";
    session.seed = 7;
    session.start_pose = {"winter", Pose{1, 2, 0.5f, 0}};
    session.note(0, {}, {}, {});
    session.note(1, {{"forward"}, {}, {}}, {}, {});
    session.note(2, {{"forward"}, {0.1f, -0.25f}, {0.5f, 0, 0, -1}}, {}, {});
    session.note(3, {{"forward"}, {}, {0.5f, 0, 0, -1}}, "int2", {});
    session.note(4, {}, {}, "snow");
    const auto changes = nlohmann::json::parse(controls_json(session));
    ASSERT_EQ(changes.size(), 4u);
    std::string lines;
    for (const auto& change : changes) lines += change.dump() + "\n";
    const auto script = ControlsScript::from_json_lines(lines, "session");
    ASSERT_TRUE(script) << script.error().message;
    EXPECT_EQ(script->at(0, 1).held, 0);
    EXPECT_EQ(script->at(2, 1).held, 1);
    EXPECT_EQ(script->at(2, 1).mouse, (MouseTravel{0.1f, -0.25f})) << "to the last bit";
    EXPECT_FALSE(script->at(3, 1).mouse.any());
    EXPECT_EQ(script->at(3, 1).held, 1);
    EXPECT_EQ(*script->at(3, 1).sticks, (StickPosition{0.5f, 0, 0, -1}));
    EXPECT_FALSE(script->at(4, 1).sticks->any());
    EXPECT_EQ(script->at(3, 1).cache, "int2");
    EXPECT_EQ(script->at(4, 1).held, 0);
    EXPECT_EQ(script->at(4, 1).prompt, "snow");
    EXPECT_EQ(changes[0], nlohmann::json({{"chunk", 1}, {"hold", {"forward"}}}));
    const auto json = nlohmann::json::parse(session_json(session));
    EXPECT_EQ(json["kind"], "wander-session");
    EXPECT_EQ(json["chunks"], 5);
    EXPECT_EQ(json["seed"], 7);
    EXPECT_EQ(json["start_pose"]["world"], "winter");
    EXPECT_EQ(json["controls"].size(), 4u);
    EXPECT_TRUE(json["weights"].is_array());
    EXPECT_FALSE(json.contains("measured"));
}

TEST(SessionFile, MeasuredPeriodsBeginWithTheSecondChunk) {
    SessionFile session;
    for (const double ms : {900.0, 240.0, 250.0, 290.0}) session.measured.push_back({.total = ms - 100, .period = ms});
    const auto measured = nlohmann::json::parse(session_json(session)).at("measured");
    EXPECT_EQ(measured["period_mean_ms"], 260);
    EXPECT_EQ(measured["period_p50_ms"], 250);
    EXPECT_EQ(measured["period_p99_ms"], 290);
    EXPECT_EQ(measured["total_p50_ms"], 150);
}

TEST(SessionFile, GpusAreThereWhereAModelIsSplit) {
    WalkInfo info;
    info.published_context = 20;
    info.width = 832;
    info.height = 480;
    for (const int gpus : {1, 2}) {
        WalkOptions options;
        options.gpus = gpus;
        SessionFile session;
        note_model(session, info, options);
        const auto json = nlohmann::json::parse(session_json(session));
        EXPECT_EQ(json["size"], "832x480");
        EXPECT_EQ(json.value("gpus", 1), gpus);
        EXPECT_EQ(json.contains("gpus"), gpus > 1);
    }
}

TEST(SessionFile, CacheRulesAreThereAtTheStartAndWhereTheyChange) {
    SessionFile session;
    session.cache_rules.keep_recent = 2;
    quant::CacheRulesChange change;
    session.note(0, {}, {}, {});
    change.bias_correction = true;
    session.note(1, {}, {}, {}, change);
    change = {};
    change.layer_formats = {{0, 3, "int8"}};
    change.keep_sink = false;
    session.note(4, {}, {}, {}, change);
    EXPECT_EQ(controls_json(session),
              R"([{"chunk":1,"bias_correction":true},{"chunk":4,"keep_sink":false,"cache_layers":"0-3:int8"}])");
    const auto json = nlohmann::json::parse(session_json(session));
    EXPECT_EQ(json["keep_recent"], 2);
    EXPECT_EQ(json["keep_sink"], true);
    EXPECT_EQ(json["cache_layers"], "");
    EXPECT_EQ(json["bias_correction"], false);
}

} // namespace
} // namespace wander
