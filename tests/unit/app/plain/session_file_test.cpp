#include "app/session_file.hpp"

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
    session.note(1, {"forward"}, {}, {});
    session.note(2, {"forward"}, {}, {});
    session.note(3, {"forward"}, "int2", {});
    session.note(4, {}, {}, "snow");
    EXPECT_EQ(controls_json(session),
              R"([{"chunk":1,"hold":["forward"]},{"chunk":3,"cache":"int2"},{"chunk":4,"hold":[],"prompt":"snow"}])");
    const auto json = nlohmann::json::parse(session_json(session));
    EXPECT_EQ(json["kind"], "wander-session");
    EXPECT_EQ(json["chunks"], 5);
    EXPECT_EQ(json["seed"], 7);
    EXPECT_EQ(json["start_pose"]["world"], "winter");
    EXPECT_EQ(json["controls"].size(), 3u);
    EXPECT_TRUE(json["weights"].is_array());
}

} // namespace
} // namespace wander
