#include "render/plain/frame_pacer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace wander::render {
namespace {

FrameTicket ticket(std::int64_t chunk, int index, int frames = 4) {
    FrameTicket t;
    t.chunk = chunk;
    t.index_in_chunk = index;
    t.frames_in_chunk = frames;
    t.frame_index = chunk * frames + index + 1;
    t.chunk_period_hint_ms = 250;
    return t;
}

struct Shown {
    std::int64_t frame;
    double at;
};

struct Walk {
    std::vector<Shown> shown;
    int skipped = 0;
    int most_queued = 0;
};

// Chunks arrive at the given times, all four frames at once; time runs in steps of a 500 Hz clock.
Walk play(const std::vector<double>& arrivals) {
    FramePacer pacer;
    Walk walk;
    std::size_t next = 0;
    for (int step = 0; step < static_cast<int>((arrivals.back() + 3) * 500); ++step) {
        const double now = step / 500.0;
        while (next < arrivals.size() && arrivals[next] <= now) {
            for (int i = 0; i < 4; ++i) {
                pacer.push(ticket(static_cast<std::int64_t>(next), i), now);
            }
            ++next;
        }
        const FramePacer::Due due = pacer.take_due(now);
        walk.skipped += static_cast<int>(due.skipped.size());
        if (due.show) {
            walk.shown.push_back({due.show->ticket.frame_index, now});
        }
        walk.most_queued = std::max(walk.most_queued, pacer.queued());
    }
    return walk;
}

std::vector<double> regular(int chunks, double period) {
    std::vector<double> times;
    for (int i = 0; i < chunks; ++i) {
        times.push_back(1.0 + i * period);
    }
    return times;
}

TEST(FramePacer, SpreadsChunksEvenlyAtTheNominalRate) {
    const Walk walk = play(regular(20, 0.25));
    ASSERT_EQ(walk.shown.size(), 80u);
    for (std::size_t i = 1; i < walk.shown.size(); ++i) {
        EXPECT_NEAR(walk.shown[i].at - walk.shown[i - 1].at, 0.0625, 0.005) << i;
    }
}

TEST(FramePacer, StretchesWhenTheGeneratorIsSlow) {
    const Walk walk = play(regular(30, 0.4));
    ASSERT_EQ(walk.shown.size(), 120u);
    // After the estimate has settled no frame stands still for much longer than a quarter of the real period.
    for (std::size_t i = 20; i < walk.shown.size(); ++i) {
        EXPECT_NEAR(walk.shown[i].at - walk.shown[i - 1].at, 0.1, 0.016) << i;
    }
}

TEST(FramePacer, JitterCausesNoJumpsBackAndNoLostFrames) {
    std::mt19937 random(7);
    std::uniform_real_distribution<double> jitter(-0.06, 0.06);
    std::vector<double> times;
    for (int i = 0; i < 60; ++i) {
        times.push_back(1.0 + i * 0.3 + jitter(random));
    }
    const Walk walk = play(times);
    ASSERT_EQ(walk.shown.size(), 240u);
    EXPECT_EQ(walk.skipped, 0);
    for (std::size_t i = 1; i < walk.shown.size(); ++i) {
        EXPECT_EQ(walk.shown[i].frame, walk.shown[i - 1].frame + 1);
        EXPECT_LT(walk.shown[i].at - walk.shown[i - 1].at, 0.2);
    }
    EXPECT_LE(walk.most_queued, 8); // about a chunk beside the one that has just arrived
}

TEST(FramePacer, BacklogIsPlayedBackFasterButNeverAboveNominal) {
    std::vector<double> times = regular(10, 0.5);
    times.push_back(times.back() + 0.01); // two chunks in a burst
    for (int i = 0; i < 20; ++i) {
        times.push_back(times.back() + 0.5);
    }
    const Walk walk = play(times);
    for (std::size_t i = 1; i < walk.shown.size(); ++i) {
        EXPECT_GE(walk.shown[i].at - walk.shown[i - 1].at, 0.0625 - 0.003);
    }
    // Near the end a frame is shown within about a chunk of its arrival.
    EXPECT_LT(walk.shown.back().at - times.back(), 0.9);
}

TEST(FramePacer, OneHiccupDoesNotChangeTheSpeed) {
    FramePacer pacer;
    double now = 0;
    for (int chunk = 0; chunk < 8; ++chunk) {
        now += chunk == 5 ? 2.0 : 0.3;
        for (int i = 0; i < 4; ++i) {
            pacer.push(ticket(chunk, i), now);
        }
        pacer.take_due(now + 0.29);
    }
    EXPECT_NEAR(pacer.chunk_period_seconds(), 0.3, 1e-9);
}

// A generator that starts a chunk when the screen is about to run dry, and is slow for some seconds: the walk must find
// back to its nominal rate although the generator only repeats the speed at which frames are shown.
TEST(FramePacer, RecoversAfterASlowPhaseOfAGatedGenerator) {
    FramePacer pacer;
    std::int64_t chunk = 0;
    double ready_at = 1.0;
    double last_shown = 0, interval = 0;
    for (int step = 500; step < 30 * 500; ++step) {
        const double now = step / 500.0;
        const double work = now > 5 && now < 8 ? 0.4 : 0.15;
        if (ready_at > 0 && now >= ready_at) {
            for (int i = 0; i < 4; ++i) {
                pacer.push(ticket(chunk, i), now);
            }
            ++chunk;
            ready_at = 0;
        }
        if (pacer.take_due(now).show) {
            interval = now - last_shown;
            last_shown = now;
        }
        if (ready_at == 0 && pacer.queued() * 0.0625 <= work + 0.03) {
            ready_at = now + work;
        }
        if (step == 8 * 500) {
            EXPECT_GT(pacer.chunk_period_seconds(), 0.35);
        }
    }
    EXPECT_NEAR(interval, 0.0625, 0.005);
    EXPECT_NEAR(pacer.chunk_period_seconds(), 0.25, 0.02);
}

TEST(FramePacer, APauseIsNoPeriod) {
    FramePacer pacer;
    const auto chunk_at = [&pacer](std::int64_t chunk, double now) {
        for (int i = 0; i < 4; ++i) {
            pacer.push(ticket(chunk, i), now);
        }
    };
    chunk_at(0, 0.0);
    pacer.interrupted();
    chunk_at(1, 30.0);
    chunk_at(2, 30.5);
    EXPECT_DOUBLE_EQ(pacer.chunk_period_seconds(), 0.25); // one that comes late is a hiccup
    pacer.interrupted();
    chunk_at(3, 60.0);
    EXPECT_DOUBLE_EQ(pacer.chunk_period_seconds(), 0.25);
    chunk_at(4, 60.5);
    EXPECT_DOUBLE_EQ(pacer.chunk_period_seconds(), 0.5);
}

// Chunks arrive unevenly, but always before they are due: that must not show in the speed at all.
TEST(FramePacer, UnevenArrivalsInTimeKeepTheNominalRate) {
    std::mt19937 random(3);
    std::uniform_real_distribution<double> jitter(-0.1, 0);
    std::vector<double> times = {1.0};
    for (int i = 1; i < 200; ++i) {
        times.push_back(1.0 + i * 0.25 + jitter(random));
    }
    const Walk walk = play(times);
    ASSERT_EQ(walk.shown.size(), 800u);
    EXPECT_NEAR(walk.shown.back().at - walk.shown.front().at, 799.0 / 16, 0.003);
}

// A chunk that came 0.1 s too late shifts the walk, and the frames after it bring it back to its clock.
TEST(FramePacer, AHiccupIsMadeUpFor) {
    std::vector<double> times = {1.0};
    for (int i = 1; i < 60; ++i) {
        times.push_back(1.0 + i * 0.25 - 0.1 + (i == 20 ? 0.2 : 0)); // the rest comes 0.1 s before it is due
    }
    const Walk walk = play(times);
    ASSERT_EQ(walk.shown.size(), 240u);
    EXPECT_NEAR(walk.shown[80].at - walk.shown[0].at, 5.1, 0.003);
    EXPECT_NEAR(walk.shown[239].at - walk.shown[0].at, 239.0 / 16, 0.003);
    for (std::size_t i = 1; i < walk.shown.size(); ++i) {
        EXPECT_GE(walk.shown[i].at - walk.shown[i - 1].at, 0.06 - 0.003) << i; // never noticeably faster
    }
}

TEST(FramePacer, LateCallerGetsTheNewestAndLearnsWhatItMissed) {
    FramePacer pacer;
    for (int i = 0; i < 4; ++i) {
        pacer.push(ticket(0, i), 1.0);
    }
    const FramePacer::Due due = pacer.take_due(1.13); // planned: 1.0, 1.0625, 1.125, 1.1875
    ASSERT_TRUE(due.show);
    EXPECT_EQ(due.show->ticket.index_in_chunk, 2);
    EXPECT_NEAR(due.show->at_seconds, 1.125, 1e-9);
    ASSERT_EQ(due.skipped.size(), 2u);
    EXPECT_EQ(due.skipped[0].ticket.index_in_chunk, 0);
    EXPECT_EQ(due.skipped[1].ticket.index_in_chunk, 1);
    ASSERT_TRUE(pacer.next_due_seconds());
    EXPECT_NEAR(*pacer.next_due_seconds(), 1.1875, 1e-9);
    EXPECT_EQ(pacer.clear().size(), 1u);
    EXPECT_FALSE(pacer.next_due_seconds());
}

} // namespace
} // namespace wander::render
