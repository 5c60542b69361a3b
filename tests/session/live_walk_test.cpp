// The live walk's threads and mailbox against a scripted Walk: orders arrive, in order, once; failures can be left.

#include "app/live_walk.hpp"
#include "tests/session/scripted_walk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace wander {
namespace {

using namespace std::chrono_literals;
using tests::script;

// Shows every frame at once and remembers the numbers.
class Screen final : public FrameSink {
public:
    explicit Screen(LiveWalk& walk) : walk_(walk) {}
    FrameSlot acquire(const std::stop_token&) override { return {.slot = 0}; }
    void publish(const FrameTicket& ticket, void*) override {
        {
            std::lock_guard lock(mutex_);
            frames_.push_back(ticket.frame_index);
        }
        walk_.frame_shown(ticket,
                          std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count());
    }
    std::vector<std::int64_t> frames() const {
        std::lock_guard lock(mutex_);
        return frames_;
    }

private:
    LiveWalk& walk_;
    mutable std::mutex mutex_;
    std::vector<std::int64_t> frames_;
};

template <typename Condition>
bool eventually(Condition condition) {
    for (int i = 0; i < 2000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(5ms);
    }
    return false;
}

class LiveWalkTest : public testing::Test {
protected:
    void SetUp() override { tests::reset_script(); }

    static bool reaches(const LiveWalk& walk, WorkerState state) {
        return eventually([&] { return walk.snapshot().state == state; });
    }
    static std::shared_ptr<Screen> show(LiveWalk& walk) {
        auto screen = std::make_shared<Screen>(walk);
        walk.attach_sink(screen, walk.snapshot().generation);
        return screen;
    }
    static std::size_t chunks_given() {
        std::lock_guard lock(script().mutex);
        return script().given.size();
    }
};

TEST_F(LiveWalkTest, WaitsForASinkThenShowsFramesInOrder) {
    std::atomic<int> wakes = 0;
    LiveWalk walk({}, [&] { ++wakes; });
    ASSERT_TRUE(reaches(walk, WorkerState::ready));
    EXPECT_EQ(walk.snapshot().start, "gate");
    EXPECT_EQ(chunks_given(), 0u);
    const auto screen = show(walk);
    ASSERT_TRUE(eventually([&] { return screen->frames().size() > 40; }));
    const auto frames = screen->frames();
    for (std::size_t i = 0; i < frames.size(); ++i) ASSERT_EQ(frames[i], static_cast<std::int64_t>(i));
    std::int64_t next = 0;
    for (const ChunkTelemetry& chunk : walk.take_chunks()) {
        if (next == 0) next = chunk.index; // the oldest may be forgotten
        ASSERT_EQ(chunk.index, next++);
    }
    EXPECT_GT(next, 0);
    EXPECT_GT(wakes, 2);
}

TEST_F(LiveWalkTest, PauseHoldsAndStepGivesExactlyOneChunk) {
    LiveWalk walk({}, nullptr);
    ASSERT_TRUE(reaches(walk, WorkerState::ready));
    walk.set_paused(true);
    show(walk);
    ASSERT_TRUE(reaches(walk, WorkerState::paused));
    const std::size_t before = chunks_given();
    walk.step_chunk();
    ASSERT_TRUE(eventually([&] { return chunks_given() == before + 1; }));
    ASSERT_TRUE(reaches(walk, WorkerState::paused));
    std::this_thread::sleep_for(30ms);
    EXPECT_EQ(chunks_given(), before + 1);
    walk.set_paused(false);
    EXPECT_TRUE(eventually([&] { return chunks_given() > before + 5; }));
}

TEST_F(LiveWalkTest, HeldWhileIdleItGoesOnWithAnyInputAndStillPauses) {
    LiveWalk walk({}, nullptr);
    ASSERT_TRUE(reaches(walk, WorkerState::ready));
    walk.set_hold_while_idle(true);
    show(walk);
    ASSERT_TRUE(eventually([&] { return walk.snapshot().idle; }));
    EXPECT_EQ(chunks_given(), 0U);
    walk.step_chunk(); // and pauses
    ASSERT_TRUE(eventually([&] { return chunks_given() == 1; }));
    ASSERT_TRUE(reaches(walk, WorkerState::paused));
    EXPECT_FALSE(walk.snapshot().idle);
    walk.set_paused(false);
    ASSERT_TRUE(eventually([&] { return walk.snapshot().idle; }));
    EXPECT_EQ(chunks_given(), 1U);
    ControlState pushed;
    pushed.sticks.forward = 0.25F;
    walk.set_controls(pushed);
    ASSERT_TRUE(eventually([&] { return chunks_given() > 4; }));
    walk.set_controls({});
    ASSERT_TRUE(eventually([&] { return walk.snapshot().idle; }));
    const std::size_t before = chunks_given();
    ControlState looked;
    looked.mouse_yaw_rad = 0.1F; // travel is used up by one chunk
    walk.set_controls(looked);
    ASSERT_TRUE(eventually([&] { return chunks_given() == before + 1 && walk.snapshot().idle; }));
    walk.set_hold_while_idle(false);
    EXPECT_TRUE(eventually([&] { return chunks_given() > before + 3; }));
}

TEST_F(LiveWalkTest, ErrandsAreRunWhilePausedWithoutAChunk) {
    LiveWalk walk({}, nullptr);
    ASSERT_TRUE(reaches(walk, WorkerState::ready));
    walk.set_paused(true);
    show(walk);
    ASSERT_TRUE(reaches(walk, WorkerState::paused));
    const std::size_t before = chunks_given();
    const auto errands = [] {
        std::lock_guard lock(script().mutex);
        return script().errands;
    };
    walk.rewind(2);
    ASSERT_TRUE(eventually([&] { return errands().size() == 1; }));
    EXPECT_EQ(errands()[0].rewind, 2);
    std::atomic<int> kept = 0;
    walk.save("walk", [&](const Result<KeptWalk>& outcome) { kept += outcome ? 1 : 0; });
    ASSERT_TRUE(eventually([&] { return kept == 1; }));
    EXPECT_EQ(errands()[1].save, "walk");
    EXPECT_EQ(errands()[1].rewind, 0);
    walk.resume("walk", [&](const Result<KeptWalk>& outcome) { kept += outcome ? 1 : 0; });
    ASSERT_TRUE(eventually([&] { return kept == 2; }));
    EXPECT_EQ(errands()[2].resume, "walk");
    EXPECT_EQ(walk.snapshot().prompt, "a prompt"); // the resumed walk's
    EXPECT_EQ(walk.snapshot().seed, 7U);
    ASSERT_TRUE(reaches(walk, WorkerState::paused));
    EXPECT_EQ(chunks_given(), before);
    walk.set_paused(false);
    EXPECT_TRUE(eventually([&] { return chunks_given() > before + 5; }));
}

TEST_F(LiveWalkTest, MouseTravelAndFormatAreHandedOverOnce) {
    LiveWalk walk({}, nullptr);
    ASSERT_TRUE(reaches(walk, WorkerState::ready));
    walk.set_paused(true);
    show(walk);
    ASSERT_TRUE(reaches(walk, WorkerState::paused));
    ControlState state;
    state.set(Action::forward, true);
    state.mouse_yaw_rad = 0.25f;
    walk.set_controls(state);
    walk.set_controls(state);
    walk.set_format("int2");
    quant::CacheRulesChange change;
    change.bias_correction = true;
    walk.set_cache_rules(change);
    change = {};
    change.keep_recent = 2;
    walk.set_cache_rules(change);
    walk.step_chunk();
    walk.step_chunk();
    ASSERT_TRUE(eventually([&] { return chunks_given() == 2; }));
    std::lock_guard lock(script().mutex);
    EXPECT_TRUE(script().given[0].state.holds(Action::forward));
    EXPECT_FLOAT_EQ(script().given[0].state.mouse_yaw_rad, 0.5f);
    EXPECT_EQ(script().given[0].cache_format, "int2");
    EXPECT_EQ(script().given[0].cache_rules.bias_correction, true);
    EXPECT_EQ(script().given[0].cache_rules.keep_recent, 2);
    EXPECT_TRUE(script().given[1].cache_rules.empty());
    EXPECT_TRUE(walk.snapshot().rules.bias_correction);
    EXPECT_TRUE(script().given[1].state.holds(Action::forward));
    EXPECT_FLOAT_EQ(script().given[1].state.mouse_yaw_rad, 0);
    EXPECT_FALSE(script().given[1].cache_format.has_value());
}

TEST_F(LiveWalkTest, RestartBeginsAtFrameZeroEvenWhilePaused) {
    LiveWalk walk({}, nullptr);
    ASSERT_TRUE(reaches(walk, WorkerState::ready));
    const auto screen = show(walk);
    ASSERT_TRUE(eventually([&] { return chunks_given() > 2; }));
    walk.set_paused(true);
    ASSERT_TRUE(reaches(walk, WorkerState::paused));
    walk.restart("well", 7);
    ASSERT_TRUE(eventually([&] { return walk.snapshot().start == "well"; }));
    EXPECT_EQ(walk.snapshot().seed, 7u);
    ASSERT_TRUE(eventually([&] {
        const auto frames = screen->frames();
        return std::count(frames.begin(), frames.end(), 0) == 2;
    }));
}

TEST_F(LiveWalkTest, AMissingModelFailsWithItsMessageAndAnotherOneOpens) {
    script().unknown_model = "nowhere";
    WalkOptions options;
    options.model = "nowhere";
    LiveWalk walk(options, nullptr);
    ASSERT_TRUE(reaches(walk, WorkerState::failed));
    EXPECT_EQ(walk.snapshot().error, "no model nowhere");
    walk.open({});
    ASSERT_TRUE(reaches(walk, WorkerState::ready));
    EXPECT_EQ(walk.snapshot().info->model, "embedded");
    show(walk);
    EXPECT_TRUE(eventually([&] { return chunks_given() > 2; }));
}

TEST_F(LiveWalkTest, AFailureWhileWalkingIsLeftByARestart) {
    script().fails_at_chunk = 3;
    LiveWalk walk({}, nullptr);
    ASSERT_TRUE(reaches(walk, WorkerState::ready));
    show(walk);
    ASSERT_TRUE(reaches(walk, WorkerState::failed));
    EXPECT_EQ(walk.snapshot().error, "no memory for chunk");
    const std::size_t before = chunks_given();
    walk.restart("", std::nullopt);
    EXPECT_TRUE(eventually([&] { return chunks_given() > before + 5; }));
}

TEST_F(LiveWalkTest, AFailedRestartIsLeftByAnother) {
    script().unknown_start = "void";
    LiveWalk walk({}, nullptr);
    ASSERT_TRUE(reaches(walk, WorkerState::ready));
    show(walk);
    ASSERT_TRUE(eventually([&] { return chunks_given() > 2; }));
    walk.restart("void", std::nullopt);
    ASSERT_TRUE(reaches(walk, WorkerState::failed));
    const std::size_t before = chunks_given();
    walk.restart("well", std::nullopt);
    ASSERT_TRUE(eventually([&] { return chunks_given() > before; }));
    std::lock_guard lock(script().mutex);
    EXPECT_EQ(script().started_at, (std::vector<std::string>{"void", "well"}));
}

TEST_F(LiveWalkTest, OrdersFromManyThreadsAndAnEndInTheMidst) {
    LiveWalk walk({}, nullptr);
    ASSERT_TRUE(reaches(walk, WorkerState::ready));
    show(walk);
    std::vector<std::jthread> people;
    for (int person = 0; person < 4; ++person) {
        people.emplace_back([&walk, person] {
            for (int i = 0; i < 100; ++i) {
                ControlState state;
                state.set(static_cast<Action>(i % kActionCount), true);
                walk.set_controls(state);
                if (person == 0) walk.set_paused(i % 3 == 0);
                if (person == 1) walk.set_format(i % 2 ? "int2" : "bf16");
                if (person == 2 && i % 20 == 0) walk.restart("well", i);
                if (person == 3) walk.step_chunk();
                walk.snapshot();
                walk.take_chunks();
                std::this_thread::sleep_for(1ms);
            }
        });
    }
    people.clear();
    EXPECT_GT(chunks_given(), 0u);
    EXPECT_NE(walk.snapshot().state, WorkerState::failed);
}

} // namespace
} // namespace wander
