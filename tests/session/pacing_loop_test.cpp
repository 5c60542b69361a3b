// Gate and pacer together, as the window joins them, in simulated time: a generator whose chunks take unevenly long,
// and a main loop that looks late because it draws. The walk must keep the rate at which it is played.

#include "app/pacing_gate.hpp"
#include "render/plain/frame_pacer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace wander {
namespace {

constexpr double kFps = 16;
constexpr int kFrames = 4;

struct Outcome {
    std::vector<double> finished; // seconds, one a chunk
    std::vector<double> shown;    // planned seconds, one a frame
    double mean_period(std::size_t first) const {
        return (finished.back() - finished[first]) / static_cast<double>(finished.size() - 1 - first);
    }
    double median_period(std::size_t first) const {
        std::vector<double> periods;
        for (std::size_t i = first + 1; i < finished.size(); ++i) periods.push_back(finished[i] - finished[i - 1]);
        std::sort(periods.begin(), periods.end());
        return periods[periods.size() / 2];
    }
};

// `work_seconds(chunk)`: from sampling the controls to the last frame. Time runs in steps of a millisecond.
template <typename Work>
Outcome walk(int chunks, Work work_seconds) {
    std::mt19937 random(11);
    std::uniform_real_distribution<double> draw_seconds(0.015, 0.045);
    PacingGate gate(kFps);
    render::FramePacer pacer;
    Outcome outcome;
    std::vector<FrameTicket> published;
    const auto publish = [&](std::int64_t chunk, int frames) {
        for (int i = 0; i < frames; ++i) {
            FrameTicket ticket;
            ticket.chunk = chunk;
            ticket.index_in_chunk = i;
            ticket.frames_in_chunk = frames;
            ticket.frame_index = chunk < 0 ? 0 : chunk * kFrames + i + 1;
            ticket.chunk_period_hint_ms = frames / kFps * 1000;
            published.push_back(ticket);
        }
    };
    publish(-1, 1);
    std::int64_t chunk = -1; // the one being made
    double started_at = 0;
    double ready_at = -1; // < 0: the worker waits at the gate
    double main_looks_at = 0;
    for (int step = 0; static_cast<int>(outcome.finished.size()) < chunks && step < 1000 * chunks; ++step) {
        const double now = step / 1000.0;
        if (ready_at >= 0 && now >= ready_at) {
            publish(chunk, kFrames);
            gate.chunk_took(now - started_at);
            outcome.finished.push_back(now);
            ready_at = -1;
        }
        if (now >= main_looks_at) {
            for (const FrameTicket& ticket : std::exchange(published, {})) pacer.push(ticket, now);
            const render::FramePacer::Due due = pacer.take_due(now);
            const auto tap = [&](const render::FramePacer::Timed& frame) {
                gate.frame_shown(frame.ticket.frame_index, frame.at_seconds);
                outcome.shown.push_back(frame.at_seconds);
            };
            for (const auto& frame : due.skipped) tap(frame);
            if (due.show) {
                tap(*due.show);
                main_looks_at = now + draw_seconds(random);
            } else {
                main_looks_at = now + 0.004;
            }
        }
        if (ready_at < 0 && gate.wait_seconds(now) <= 0) {
            ++chunk;
            gate.chunk_started(kFrames);
            started_at = now;
            ready_at = now + work_seconds(chunk);
        }
    }
    return outcome;
}

TEST(PacingLoop, UnevenWorkInTimeKeepsThePlayingRate) {
    std::mt19937 random(5);
    std::uniform_real_distribution<double> noise(0.12, 0.2);
    const Outcome outcome = walk(400, [&](std::int64_t) { return noise(random); });
    ASSERT_EQ(outcome.finished.size(), 400u);
    EXPECT_NEAR(outcome.mean_period(20), 0.25, 0.0003);
    EXPECT_NEAR(outcome.median_period(20), 0.25, 0.004);
    // Frames follow each other evenly.
    for (std::size_t i = 100; i < outcome.shown.size(); ++i) {
        EXPECT_NEAR(outcome.shown[i] - outcome.shown[i - 1], 1 / kFps, 1e-6) << i;
    }
}

TEST(PacingLoop, SlowChunksNowAndThenAreMadeUpFor) {
    std::mt19937 random(6);
    std::uniform_real_distribution<double> noise(0.12, 0.18);
    const Outcome outcome = walk(400, [&](std::int64_t chunk) { return chunk % 40 == 30 ? 0.4 : noise(random); });
    ASSERT_EQ(outcome.finished.size(), 400u);
    EXPECT_NEAR(outcome.mean_period(20), 0.25, 0.001);
}

TEST(PacingLoop, ControlsAreSampledLateRatherThanEarly) {
    const Outcome outcome = walk(100, [](std::int64_t) { return 0.1; });
    // The last frame of a chunk is planned at most its work, the slack and one look of the main loop after the chunk is
    // ready, besides its own playing time.
    const std::size_t last = outcome.finished.size() - 3;
    const double first_frame_shown = outcome.shown[1 + last * kFrames];
    EXPECT_LT(first_frame_shown - outcome.finished[last], 0.1);
    EXPECT_GT(first_frame_shown - outcome.finished[last], 0);
}

TEST(PacingLoop, ASlowGeneratorWorksWithoutABreak) {
    const Outcome outcome = walk(100, [](std::int64_t) { return 0.35; });
    EXPECT_NEAR(outcome.mean_period(20), 0.35, 0.0015);
}

TEST(PacingLoop, AJumpIsCountedFromTheFramesThatShowIt) {
    PacingGate gate(kFps);
    gate.chunk_took(0.1);
    for (int chunk = 0; chunk < 3; ++chunk) gate.chunk_started(kFrames);
    gate.frame_shown(12, 10.0); // all that was promised
    gate.jumped();
    EXPECT_EQ(gate.wait_seconds(10.0), 0); // at once
    gate.chunk_started(kFrames);
    gate.opening_shown(16); // four frames show where it stands: 13 to 16
    gate.frame_shown(16, 10.25);
    // Four more frames were promised: the screen runs dry a quarter of a second later, minus the lead.
    const double lead = 0.1 * 1.15 + 0.03;
    EXPECT_NEAR(gate.wait_seconds(10.25), 5 / kFps - lead, 1e-9);
}

} // namespace
} // namespace wander
