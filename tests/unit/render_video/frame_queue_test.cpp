#include "render/video/frame_queue.hpp"

#include "tests/unit/render_video/flat_picture.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace wander::render {
namespace {

constexpr PixelSize kSize{4, 2};

TEST(FrameQueue, DropsTheNewFrameAndCountsIt) {
    FrameQueue queue(kSize, 2, QueuePolicy::drop);
    for (int i = 0; i < 5; ++i) {
        const Pixels picture = test::flat_picture(kSize, {i, i, i});
        EXPECT_EQ(queue.push({kSize, picture.rgba.data()}), i < 2);
    }
    EXPECT_EQ(queue.dropped(), 3);
    EXPECT_EQ(queue.pushed(), 5);
    FrameQueue::Item item;
    ASSERT_TRUE(queue.take(item));
    EXPECT_EQ(item.index, 0);
    EXPECT_EQ(item.rgba[0], 0);
    const Pixels late = test::flat_picture(kSize, {9, 9, 9});
    EXPECT_TRUE(queue.push({kSize, late.rgba.data()}));
    ASSERT_TRUE(queue.take(item));
    EXPECT_EQ(item.index, 1);
    ASSERT_TRUE(queue.take(item));
    EXPECT_EQ(item.index, 5) << "the dropped frames keep their time";
    EXPECT_EQ(item.rgba[0], 9);
}

TEST(FrameQueue, WaitingPolicyLosesNothing) {
    FrameQueue queue(kSize, 2, QueuePolicy::wait);
    const int frames = 200;
    std::jthread producer([&] {
        for (int i = 0; i < frames; ++i) {
            const Pixels picture = test::flat_picture(kSize, {i, 0, 0});
            EXPECT_TRUE(queue.push({kSize, picture.rgba.data()}));
        }
        queue.close(false);
    });
    FrameQueue::Item item;
    int taken = 0;
    while (queue.take(item)) {
        EXPECT_EQ(item.index, taken);
        EXPECT_EQ(item.rgba[0], taken);
        ++taken;
    }
    EXPECT_EQ(taken, frames);
    EXPECT_EQ(queue.dropped(), 0);
}

TEST(FrameQueue, ClosingWakesAWaitingProducer) {
    FrameQueue queue(kSize, 1, QueuePolicy::wait);
    const Pixels picture = test::flat_picture(kSize, {1, 2, 3});
    ASSERT_TRUE(queue.push({kSize, picture.rgba.data()}));
    std::jthread producer([&] { EXPECT_FALSE(queue.push({kSize, picture.rgba.data()})); });
    queue.close(true);
    producer.join();
    FrameQueue::Item item;
    EXPECT_FALSE(queue.take(item));
}

} // namespace
} // namespace wander::render
