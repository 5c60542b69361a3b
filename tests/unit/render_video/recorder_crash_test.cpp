// kill -9 while recording: the part plays, and the next start makes the MP4 out of it.
#include "render/video/recorder.hpp"

#include "tests/unit/render_video/flat_picture.hpp"
#include "tests/unit/render_video/test_folder.hpp"
#include "tests/unit/render_video/video_reader.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace wander::render {
namespace {

constexpr PixelSize kSize{96, 64};
constexpr int kFrames = 160;
// Half a second of cluster and the encoder's lookahead, at 16 frames a second.
constexpr int kMayBeLost = 24;

[[noreturn]] void record_until_killed(const std::filesystem::path& file) {
    auto recorder = Recorder::create({.file = file,
                                      .size = kSize,
                                      .fps = 16,
                                      .when_full = QueuePolicy::wait,
                                      .queue_frames = 2,
                                      .facts = {{"seed", "42"}}});
    for (int i = 0; recorder && i < kFrames; ++i) {
        const Pixels picture = test::flat_picture(kSize, test::colour_of(i));
        (*recorder)->push({kSize, picture.rgba.data()});
    }
    while (recorder && (*recorder)->status().frames < kFrames)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ::kill(::getpid(), SIGKILL);
    ::_exit(1);
}

TEST(RecorderCrash, PartPlaysAndBecomesAnMp4AtTheNextStart) {
    const test::TestFolder folder;
    const auto file = folder / "walk.mp4";
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) record_until_killed(file);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    ASSERT_FALSE(std::filesystem::exists(file));
    const test::Video part = test::read_video(part_path(file));
    ASSERT_TRUE(part.opened);
    EXPECT_GE(part.seconds.size(), static_cast<std::size_t>(kFrames - kMayBeLost));

    const auto leftovers = finish_leftovers(folder.path());
    ASSERT_EQ(leftovers.size(), 1u);
    EXPECT_EQ(leftovers[0].file, file) << leftovers[0].message;
    EXPECT_FALSE(std::filesystem::exists(part_path(file)));
    const test::Video video = test::read_video(file);
    ASSERT_TRUE(video.opened);
    ASSERT_EQ(video.seconds.size(), part.seconds.size());
    EXPECT_EQ(video.tags.at("seed"), "42");
    for (std::size_t i = 0; i < video.seconds.size(); ++i) {
        EXPECT_NEAR(video.seconds[i], static_cast<double>(i) / 16, 1e-6);
        EXPECT_NEAR(video.centre[i][0], test::colour_of(static_cast<int>(i))[0], 5);
    }
    EXPECT_TRUE(finish_leftovers(folder.path()).empty());
}

TEST(RecorderCrash, AFinishedFileOfTheSameNameStays) {
    const test::TestFolder folder;
    const auto file = folder / "walk.mp4";
    const pid_t child = ::fork();
    if (child == 0) record_until_killed(file);
    ::waitpid(child, nullptr, 0);
    std::ofstream(file) << "mine";
    const auto leftovers = finish_leftovers(folder.path());
    ASSERT_EQ(leftovers.size(), 1u);
    EXPECT_EQ(leftovers[0].file.filename(), "walk (2).mp4");
    EXPECT_EQ(std::filesystem::file_size(file), 4u);
}

TEST(RecorderCrash, APartWithoutAPictureIsRemovedAndDamagedOnesAreKept) {
    const test::TestFolder folder;
    std::ofstream(folder / "empty.mkv.part") << "EBML";
    std::ofstream(folder / "damaged.mkv.part") << std::string(100000, 'x');
    const auto leftovers = finish_leftovers(folder.path());
    ASSERT_EQ(leftovers.size(), 2u);
    EXPECT_FALSE(std::filesystem::exists(folder / "empty.mkv.part"));
    EXPECT_TRUE(std::filesystem::exists(folder / "damaged.mkv.part"));
    EXPECT_NE(leftovers[0].message.find("damaged.mkv.part"), std::string::npos);
    EXPECT_TRUE(finish_leftovers(folder / "missing").empty());
}

} // namespace
} // namespace wander::render
