#include "render/plain/slot_queue.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

namespace wander::render {
namespace {

FrameTicket ticket_for(int slot, std::int64_t frame) {
    FrameTicket ticket;
    ticket.slot = slot;
    ticket.frame_index = frame;
    return ticket;
}

// Producer and consumer as fast as they can; the bytes of a slot are plain memory, so the thread sanitizer sees a slot
// that is written while it is read.
TEST(SlotQueue, SlotsAreNeverSharedAndTicketsStayInOrder) {
    constexpr std::int64_t kFrames = 20'000;
    SlotQueue queue(4);
    std::array<std::int64_t, 4> memory{};
    std::jthread producer([&](const std::stop_token& stop) {
        for (std::int64_t frame = 0; frame < kFrames; ++frame) {
            const int slot = queue.acquire(stop);
            ASSERT_GE(slot, 0);
            memory[static_cast<std::size_t>(slot)] = frame;
            queue.publish(ticket_for(slot, frame));
        }
    });
    std::int64_t expected = 0;
    while (expected < kFrames) {
        for (const FrameTicket& ticket : queue.take_published()) {
            ASSERT_EQ(ticket.frame_index, expected);
            ASSERT_EQ(memory[static_cast<std::size_t>(ticket.slot)], expected);
            ++expected;
            queue.release(ticket.slot);
        }
        std::this_thread::yield();
    }
}

TEST(SlotQueue, AFullQueueWaitsForARelease) {
    SlotQueue queue(2);
    const std::stop_token never;
    queue.publish(ticket_for(queue.acquire(never), 0));
    queue.publish(ticket_for(queue.acquire(never), 1));
    std::atomic<int> third = -2;
    std::jthread producer([&] { third = queue.acquire(never); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(third, -2);
    const std::vector<FrameTicket> tickets = queue.take_published();
    ASSERT_EQ(tickets.size(), 2u);
    queue.release(tickets[1].slot);
    producer.join();
    EXPECT_EQ(third, tickets[1].slot);
}

TEST(SlotQueue, StopAndCloseLetTheProducerGo) {
    SlotQueue queue(1);
    const std::stop_token never;
    ASSERT_EQ(queue.acquire(never), 0);
    {
        std::stop_source source;
        std::jthread waiting([&] { EXPECT_EQ(queue.acquire(source.get_token()), -1); });
        source.request_stop();
    }
    std::jthread waiting([&] { EXPECT_EQ(queue.acquire(never), -1); });
    queue.close();
    waiting.join();
    // What was being filled is thrown away.
    queue.publish(ticket_for(0, 0));
    EXPECT_TRUE(queue.take_published().empty());
}

TEST(SlotQueue, DiscardGivesPublishedSlotsBack) {
    SlotQueue queue(2);
    const std::stop_token never;
    queue.publish(ticket_for(queue.acquire(never), 0));
    queue.publish(ticket_for(queue.acquire(never), 1));
    queue.discard_published();
    EXPECT_TRUE(queue.take_published().empty());
    EXPECT_GE(queue.acquire(never), 0);
    EXPECT_GE(queue.acquire(never), 0);
}

} // namespace
} // namespace wander::render
