// The turn that decoder and transformer take: one at a time, and a yield lets in whoever waits.

#include "generator/plain/memory_turn.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace wander {
namespace {

TEST(MemoryTurn, OneHolderAtATime) {
    MemoryTurn turn;
    std::atomic<int> inside = 0;
    std::atomic<int> visits = 0;
    std::atomic<bool> met = false;
    const auto visit = [&] {
        if (++inside != 1) met = true;
        ++visits;
        --inside;
    };
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 500; ++i) {
                    const MemoryTurnGuard guard(&turn);
                    visit();
                    turn.yield();
                    visit();
                }
            });
        }
    }
    EXPECT_FALSE(met);
    EXPECT_EQ(visits, 4000);
}

TEST(MemoryTurn, YieldLetsInWhoeverWaits) {
    MemoryTurn turn;
    std::atomic<bool> was_in = false;
    turn.take();
    turn.yield(); // nobody waits: comes straight back
    std::jthread other([&] {
        const MemoryTurnGuard guard(&turn);
        was_in = true;
    });
    while (!was_in) turn.yield(); // ends only because a yield hands over
    turn.give();
    other.join();
    turn.take(); // free again
    turn.give();
}

TEST(MemoryTurn, NoTurnIsNoGuard) { const MemoryTurnGuard guard(nullptr); }

} // namespace
} // namespace wander
