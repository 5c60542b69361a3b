// Pose files: what is written is read back, what is wrong is named.

#include "generator/camera/pose_json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

namespace wander {
namespace {

class PoseJson : public ::testing::Test {
protected:
    // A file of this test alone: others of the suite run at the same time.
    void SetUp() override {
        const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        path_ = std::filesystem::path(::testing::TempDir()) / ("wander_pose_" + name + ".json");
    }
    void TearDown() override { std::filesystem::remove(path_); }
    Result<std::vector<LatentCamera>> read(const std::string& text) {
        std::ofstream(path_) << text;
        return read_pose_json(path_);
    }
    std::filesystem::path path_;
};

std::string entry(const std::string& extrinsic, const std::string& k) {
    return R"({"extrinsic": )" + extrinsic + R"(, "K": )" + k + "}";
}
const std::string kIdentity = "[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]";
const std::string kLens = "[[970,0,960],[0,970,540],[0,0,1]]";

TEST_F(PoseJson, ReadsBackWhatItWrote) {
    const auto cameras = cameras_from_pose_string("w-3,right-4,up-2,d-2");
    ASSERT_TRUE(cameras);
    const auto again = read(write_pose_json(*cameras));
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_EQ(again->size(), cameras->size());
    for (std::size_t i = 0; i < cameras->size(); ++i) {
        EXPECT_EQ((*again)[i].camera_to_world, (*cameras)[i].camera_to_world);
        EXPECT_EQ((*again)[i].label, (*cameras)[i].label);
        EXPECT_NEAR((*again)[i].focal.x, (*cameras)[i].focal.x, 1e-15);
        EXPECT_NEAR((*again)[i].focal.y, (*cameras)[i].focal.y, 1e-15);
    }
}

TEST_F(PoseJson, KeysCountInFileOrderAndWholeNumbersAreNumbers) {
    const std::string ahead = "[[1,0,0,0],[0,1,0,0],[0,0,1,2],[0,0,0,1]]";
    const auto cameras = read(R"({"9": )" + entry(ahead, kLens) + R"(, "10": )" + entry(kIdentity, kLens) + "}");
    ASSERT_TRUE(cameras) << cameras.error().message;
    EXPECT_EQ((*cameras)[0].camera_to_world[11], 2);
    EXPECT_EQ((*cameras)[1].label, 18);
    EXPECT_NEAR((*cameras)[0].focal.x, 970.0 / 1920, 1e-15);
}

TEST_F(PoseJson, NamesWhatIsWrong) {
    const std::pair<std::string, const char*> wrong[] = {
        {"{", "JSON"},
        {"[]", "one entry for each latent"},
        {"{}", "one entry for each latent"},
        {R"({"a": 3})", "entry \"a\""},
        {R"({"0": {"w2c": 1, "intrinsic": 2}})", "training file"},
        {R"({"0": {"K": 1}})", "extrinsic"},
        {R"({"0": {"extrinsic": )" + kIdentity + "}}", "\"K\""},
        {R"({"0": )" + entry("[[1,0,0],[0,1,0],[0,0,1]]", kLens) + "}", "4 rows"},
        {R"({"0": )" + entry("[[1,0,0,\"x\"],[0,1,0,0],[0,0,1,0],[0,0,0,1]]", kLens) + "}", "4 rows"},
        {R"({"0": )" + entry("[[2,0,0,0],[0,2,0,0],[0,0,2,0],[0,0,0,1]]", kLens) + "}", "no camera"},
        {R"({"0": )" + entry("[[-1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]", kLens) + "}", "no camera"},
        {R"({"0": )" + entry("[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,1,1]]", kLens) + "}", "no camera"},
        {R"({"0": )" + entry(kIdentity, "[[0,0,960],[0,970,540],[0,0,1]]") + "}", "focal"},
        {R"({"0": )" + entry(kIdentity, "[[970,0,0],[0,970,540],[0,0,1]]") + "}", "focal"},
        {R"({"0": )" + entry(kIdentity, "[[970,0],[0,970]]") + "}", "3 rows"},
    };
    for (const auto& [text, words] : wrong) {
        const auto cameras = read(text);
        ASSERT_FALSE(cameras) << text;
        EXPECT_EQ(cameras.error().code, ErrorCode::bad_input);
        EXPECT_NE(cameras.error().message.find(words), std::string::npos) << cameras.error().message;
        EXPECT_NE(cameras.error().message.find(path_.string()), std::string::npos) << cameras.error().message;
    }
    EXPECT_FALSE(read_pose_json(path_.string() + ".absent"));
}

TEST(LatentCamera, LengthsAreSaidInWords) {
    EXPECT_TRUE(check_path_length(4, 13));
    const auto odd = check_path_length(5, 17);
    ASSERT_FALSE(odd);
    EXPECT_NE(odd.error().message.find("17 frames has 5 latents"), std::string::npos) << odd.error().message;
    const auto shorter = check_path_length(4, 29);
    ASSERT_FALSE(shorter);
    EXPECT_NE(shorter.error().message.find("add up to 7"), std::string::npos) << shorter.error().message;
    EXPECT_FALSE(check_path_length(0, 0));
}

} // namespace
} // namespace wander
