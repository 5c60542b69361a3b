#include "app/paths.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace wander {
namespace {

TEST(Paths, UserDirsFileAsTheDesktopWritesIt) {
    const std::string text =
        "# comment\nXDG_DESKTOP_DIR=\"$HOME/Desktop\"\nXDG_VIDEOS_DIR=\"$HOME/Filme und "
        "Clips\"\nXDG_PICTURES_DIR=\"/data/pictures\"\n";
    EXPECT_EQ(user_dir(text, "XDG_VIDEOS_DIR", "/home/eva"), "/home/eva/Filme und Clips");
    EXPECT_EQ(user_dir(text, "XDG_PICTURES_DIR", "/home/eva"), "/data/pictures");
    EXPECT_EQ(user_dir(text, "XDG_MUSIC_DIR", "/home/eva"), "");
    EXPECT_EQ(user_dir("XDG_VIDEOS_DIR=\"relative\"", "XDG_VIDEOS_DIR", "/home/eva"), "");
    EXPECT_EQ(user_dir("XDG_VIDEOS_DIR=\"", "XDG_VIDEOS_DIR", "/home/eva"), "");
}

TEST(Paths, RecordDirWins) {
    EXPECT_EQ(video_folder("/tmp/rec"), "/tmp/rec");
    EXPECT_EQ(picture_folder("/tmp/rec"), "/tmp/rec");
    EXPECT_EQ(video_folder("").filename(), "Wander");
    EXPECT_NE(video_folder(""), picture_folder(""));
}

TEST(Paths, UnusedFileStepsAsideForFilesAndParts) {
    std::string name = (std::filesystem::temp_directory_path() / "wander-paths-XXXXXX").string();
    const std::filesystem::path folder = mkdtemp(name.data());
    const auto first = unused_file(folder, "Wander", "mp4");
    EXPECT_EQ(first.extension(), ".mp4");
    std::ofstream(first).put('x');
    const auto second = unused_file(folder, "Wander", "mp4");
    EXPECT_NE(first, second);
    auto part = second;
    part.replace_extension(".mkv.part");
    std::ofstream(part).put('x');
    EXPECT_NE(unused_file(folder, "Wander", "mp4"), second);
    std::filesystem::remove_all(folder);
}

TEST(Paths, AssetsOfTheSourceTreeAreFound) { EXPECT_TRUE(std::filesystem::is_directory(assets_folder())); }

} // namespace
} // namespace wander
