// What is recorded comes back out of the MP4: every frame, its time, its colour and the facts.
#include "render/video/recorder.hpp"

#include "tests/unit/render_video/flat_picture.hpp"
#include "tests/unit/render_video/test_folder.hpp"
#include "tests/unit/render_video/video_reader.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

namespace wander::render {
namespace {

using test::colour_of;
using test::flat_picture;

// CRF 18 and 8-bit YUV on flat colours; measured 3.
constexpr int kColourTolerance = 5;

void expect_colour(const std::array<int, 3>& seen, const std::array<int, 3>& wanted, int frame) {
    for (std::size_t c = 0; c < 3; ++c)
        EXPECT_NEAR(seen[c], wanted[c], kColourTolerance) << "frame " << frame << " channel " << c;
}

RecorderOptions options_for(const std::filesystem::path& file, PixelSize size) {
    return {.file = file,
            .size = size,
            .fps = 16,
            .when_full = QueuePolicy::wait,
            .queue_frames = 4,
            .facts = {{"model", "embedded"}, {"seed", "7"}}};
}

TEST(Recorder, EveryFrameComesBackWithItsTimeAndColour) {
    const test::TestFolder folder;
    const PixelSize size{192, 112};
    auto recorder = Recorder::create(options_for(folder / "walk.mp4", size));
    ASSERT_TRUE(recorder) << recorder.error().message;
    const int frames = 41;
    for (int i = 0; i < frames; ++i) {
        const Pixels picture = flat_picture(size, colour_of(i));
        ASSERT_TRUE((*recorder)->push({size, picture.rgba.data()}));
    }
    (*recorder)->set_fact("controls", R"([{"chunk":0,"hold":["forward"]}])");
    const auto file = (*recorder)->finish();
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ((*recorder)->status().frames, frames);
    EXPECT_EQ((*recorder)->status().dropped, 0);
    EXPECT_EQ(folder.files(), 1u) << "the part must be gone";

    const test::Video video = test::read_video(*file);
    ASSERT_TRUE(video.opened);
    EXPECT_NE(video.format.find("mp4"), std::string::npos);
    EXPECT_EQ(video.width, 192);
    EXPECT_EQ(video.height, 112);
    EXPECT_TRUE(video.bt709_limited);
    ASSERT_EQ(video.seconds.size(), static_cast<std::size_t>(frames));
    for (int i = 0; i < frames; ++i) {
        EXPECT_NEAR(video.seconds[static_cast<std::size_t>(i)], i / 16.0, 1e-6);
        expect_colour(video.centre[static_cast<std::size_t>(i)], colour_of(i), i);
    }
    EXPECT_EQ(video.tags.at("model"), "embedded");
    EXPECT_EQ(video.tags.at("seed"), "7");
    EXPECT_EQ(video.tags.at("controls"), R"([{"chunk":0,"hold":["forward"]}])");
}

TEST(Recorder, OddSizesArePaddedToEvenOnes) {
    const test::TestFolder folder;
    const PixelSize size{191, 111};
    auto recorder = Recorder::create(options_for(folder / "odd.mp4", size));
    ASSERT_TRUE(recorder) << recorder.error().message;
    const Pixels picture = flat_picture(size, {200, 60, 30});
    for (int i = 0; i < 3; ++i) ASSERT_TRUE((*recorder)->push({size, picture.rgba.data()}));
    ASSERT_TRUE((*recorder)->finish());
    const test::Video video = test::read_video(folder / "odd.mp4");
    EXPECT_EQ(video.width, 192);
    EXPECT_EQ(video.height, 112);
    ASSERT_EQ(video.centre.size(), 3u);
    expect_colour(video.centre[2], {200, 60, 30}, 2);
}

TEST(Recorder, UnwritableFolderIsRefusedAtOnce) {
    const test::TestFolder folder;
    std::ofstream(folder / "file").put('x');
    const auto recorder = Recorder::create(options_for(folder / "file/walk.mp4", {64, 48}));
    ASSERT_FALSE(recorder);
    EXPECT_EQ(recorder.error().code, ErrorCode::bad_input);
    EXPECT_NE(recorder.error().message.find((folder / "file").string()), std::string::npos);
}

TEST(Recorder, FullDiskEndsTheRecordingAndSaysSo) {
    const test::TestFolder folder;
    std::filesystem::create_symlink("/dev/full", folder / "walk.mkv.part");
    auto recorder = Recorder::create(options_for(folder / "walk.mp4", {64, 48}));
    if (recorder) {
        const Pixels picture = flat_picture({64, 48}, {90, 90, 90});
        int taken = 0;
        while (taken < 500 && (*recorder)->push({{64, 48}, picture.rgba.data()})) ++taken;
        EXPECT_LT(taken, 500) << "push must turn false";
        EXPECT_NE((*recorder)->status().error.find("No space left"), std::string::npos) << (*recorder)->status().error;
        EXPECT_FALSE((*recorder)->finish());
    } else {
        EXPECT_NE(recorder.error().message.find("No space left"), std::string::npos) << recorder.error().message;
    }
    EXPECT_FALSE(std::filesystem::exists(folder / "walk.mp4"));
}

TEST(Recorder, WithoutFramesNothingIsLeft) {
    const test::TestFolder folder;
    auto recorder = Recorder::create(options_for(folder / "empty.mp4", {64, 48}));
    ASSERT_TRUE(recorder);
    EXPECT_FALSE((*recorder)->finish());
    EXPECT_EQ(folder.files(), 0u);
}

TEST(Recorder, ARunningRecordingIsNoLeftover) {
    const test::TestFolder folder;
    auto recorder = Recorder::create(options_for(folder / "walk.mp4", {64, 48}));
    ASSERT_TRUE(recorder);
    EXPECT_TRUE(finish_leftovers(folder.path()).empty());
    const Pixels picture = flat_picture({64, 48}, {90, 90, 90});
    (*recorder)->push({{64, 48}, picture.rgba.data()});
    EXPECT_TRUE((*recorder)->finish());
}

} // namespace
} // namespace wander::render
