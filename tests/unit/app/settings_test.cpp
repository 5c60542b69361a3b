#include "app/settings.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace wander {
namespace {

namespace fs = std::filesystem;

class SettingsTest : public testing::Test {
protected:
    SettingsTest() {
        std::string name = testing::TempDir() + "wander-settings-XXXXXX";
        folder_ = fs::path(mkdtemp(name.data())) / "wander";
    }
    ~SettingsTest() override { fs::remove_all(folder_.parent_path()); }

    void write(const std::string& text) {
        fs::create_directories(folder_);
        std::ofstream(folder_ / "settings.json") << text;
    }
    std::string read(const char* name) {
        std::ifstream in(folder_ / name);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    fs::path folder_;
};

TEST_F(SettingsTest, NoFileMeansDefaultsWithoutAMessageAndNothingIsCreated) {
    const LoadedSettings loaded = SettingsFiles(folder_).load();
    EXPECT_EQ(loaded.settings, Settings{});
    EXPECT_EQ(loaded.message, "");
    EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(SettingsTest, EveryFieldComesBack) {
    Settings s;
    s.window_width = 1600;
    s.window_height = 901;
    s.window_x = -7;
    s.window_y = 40;
    s.window_maximised = true;
    s.fullscreen = true;
    s.upscale = render::UpscaleMode::bicubic;
    s.ui = {false, false, false, false, false, false, true, 1.5f, 0.004f};
    s.cache_format = "bf16";
    s.bias_correction = true;
    s.start = "winter_cabin";
    s.record_dir = "/data/films";
    ASSERT_TRUE(SettingsFiles(folder_).save(s));
    const LoadedSettings loaded = SettingsFiles(folder_).load();
    EXPECT_EQ(loaded.settings, s);
    EXPECT_EQ(loaded.message, "");
    EXPECT_FALSE(fs::exists(folder_ / "settings.json.new"));
}

TEST_F(SettingsTest, UnknownKeysAreKept) {
    write(R"({"later": {"deep": [1, 2]}, "ui": {"colour": "teal"}, "window": {"screen": 2}, "start": "old"})");
    SettingsFiles files(folder_);
    Settings s = files.load().settings;
    EXPECT_EQ(s.start, "old");
    s.start = "new";
    ASSERT_TRUE(files.save(s));
    const std::string text = read("settings.json");
    for (const char* kept : {"\"later\"", "\"deep\"", "\"colour\": \"teal\"", "\"screen\": 2", "\"start\": \"new\""}) {
        EXPECT_NE(text.find(kept), std::string::npos) << kept << " in\n" << text;
    }
}

TEST_F(SettingsTest, DamagedFileGivesDefaultsAMessageAndIsPutAside) {
    const std::string deep(100'000, '[');
    for (const std::string& damaged :
         {std::string("{\"start\": "), std::string("[1, 2]"), std::string(), deep, std::string("\0\xff\x80", 3)}) {
        write(damaged);
        const LoadedSettings loaded = SettingsFiles(folder_).load();
        EXPECT_EQ(loaded.settings, Settings{});
        EXPECT_NE(loaded.message.find("settings.json"), std::string::npos);
        EXPECT_FALSE(fs::exists(folder_ / "settings.json"));
        EXPECT_EQ(read("settings.json.damaged"), damaged);
    }
}

TEST_F(SettingsTest, WrongKindsAndSizesFallBackFieldByField) {
    write(R"({"window": {"width": "wide", "height": -5, "x": 1e300, "maximised": 1}, "upscale": "magic", "ui": [1],
              "cache_format": 2, "start": "winter_cabin"})");
    const LoadedSettings loaded = SettingsFiles(folder_).load();
    Settings expected;
    expected.window_height = 320;
    expected.start = "winter_cabin";
    EXPECT_EQ(loaded.settings, expected);
    EXPECT_EQ(loaded.message, "");
}

TEST_F(SettingsTest, UnwritableFolderIsAnErrorThatNamesTheFile) {
    fs::create_directories(folder_.parent_path());
    std::ofstream(folder_) << "a file where the folder should be";
    const Result<void> saved = SettingsFiles(folder_).save(Settings{});
    ASSERT_FALSE(saved);
    EXPECT_EQ(saved.error().code, ErrorCode::io);
    EXPECT_NE(saved.error().message.find("settings.json"), std::string::npos);
    fs::remove(folder_);
}

TEST_F(SettingsTest, LayoutIsAFileOfItsOwn) {
    SettingsFiles files(folder_);
    EXPECT_EQ(files.load_layout(), "");
    ASSERT_TRUE(files.save_layout("; version\n[Window]\n"));
    EXPECT_EQ(files.load_layout(), "; version\n[Window]\n");
    EXPECT_EQ(files.load().settings, Settings{});
}

TEST_F(SettingsTest, FolderFollowsTheDesktopsVariable) {
    const char* old = std::getenv("XDG_CONFIG_HOME");
    const std::string kept = old ? old : "";
    setenv("XDG_CONFIG_HOME", "/somewhere", 1);
    EXPECT_EQ(SettingsFiles::default_folder(), "/somewhere/wander");
    setenv("XDG_CONFIG_HOME", "relative", 1);
    EXPECT_EQ(SettingsFiles::default_folder(), fs::path(std::getenv("HOME")) / ".config/wander");
    old ? setenv("XDG_CONFIG_HOME", kept.c_str(), 1) : unsetenv("XDG_CONFIG_HOME");
}

} // namespace
} // namespace wander
