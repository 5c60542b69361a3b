// Prompts beside the walk: the newest wish wins, nothing waits that need not, failures are told and can be tried again.

#include "generator/prompt_desk.hpp"
#include "generator/prompt_steering.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <semaphore>
#include <thread>

namespace wander {
namespace {

at::Tensor embedding(const std::string& prompt) {
    return at::full({1, 2}, static_cast<double>(prompt.size()), at::kFloat);
}

// An encoder that waits at a gate, if there is one, and counts.
struct Slow {
    std::counting_semaphore<64> gate{0};
    std::atomic<int> begun = 0;
    std::vector<std::string> asked; // desk's thread; read after a wait
    std::atomic<bool> gated = true;
    std::atomic<bool> fail = false;

    std::shared_ptr<PromptDesk> desk(std::size_t kept = 64) {
        return std::make_shared<PromptDesk>(
            [this](const std::string& prompt) -> Result<EncodedPrompt> {
                ++begun;
                begun.notify_all();
                if (gated) gate.acquire();
                asked.push_back(prompt);
                if (fail) return Error{ErrorCode::bad_input, "no words"};
                return EncodedPrompt{embedding(prompt), {}};
            },
            kept);
    }
    void until_begun(int count) {
        for (int now = begun; now < count; now = begun) begun.wait(now);
    }
};

TEST(PromptDesk, LooksWithoutWaitingAndTheNewestWishWins) {
    Slow slow;
    auto desk = slow.desk();
    EXPECT_FALSE(desk->look("one"));
    slow.until_begun(1);
    EXPECT_FALSE(desk->look("two"));   // waits its turn
    EXPECT_FALSE(desk->look("three")); // takes it
    slow.gate.release(2);
    const auto three = desk->wait("three", {});
    ASSERT_TRUE(three);
    EXPECT_TRUE(at::equal(three->embedding, embedding("three")));
    EXPECT_EQ(slow.asked, (std::vector<std::string>{"one", "three"}));
    EXPECT_TRUE(desk->look("one")) << "what was encoded is kept";
    EXPECT_EQ(slow.begun, 2);
}

TEST(PromptDesk, KeepsTheLastUsedOnly) {
    Slow slow;
    slow.gated = false;
    auto desk = slow.desk(2);
    for (const char* prompt : {"a", "bb", "a", "ccc"}) ASSERT_TRUE(desk->wait(prompt, {}));
    EXPECT_EQ(slow.begun, 3);
    EXPECT_TRUE(desk->wait("a", {}));
    EXPECT_EQ(slow.begun, 3);
    EXPECT_TRUE(desk->wait("bb", {})); // was dropped
    EXPECT_EQ(slow.begun, 4);
}

TEST(PromptDesk, AFailureIsToldOnceAndCanBeTriedAgain) {
    Slow slow;
    slow.gated = false;
    slow.fail = true;
    auto desk = slow.desk();
    const auto failed = desk->wait("a", {});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message, "no words");
    slow.fail = false;
    EXPECT_TRUE(desk->wait("a", {}));
}

TEST(PromptDesk, AStopEndsTheWait) {
    Slow slow;
    auto desk = slow.desk();
    std::stop_source stop;
    std::jthread stopper([&] {
        slow.until_begun(1);
        stop.request_stop();
    });
    EXPECT_EQ(desk->wait("a", stop.get_token()).error().code, ErrorCode::unavailable);
    slow.gate.release();
}

CameraPhrases phrases() {
    auto read = CameraPhrases::read(WANDER_SOURCE_DIR "/assets/prompts/camera_phrases.json");
    EXPECT_TRUE(read);
    return *read;
}

TEST(PromptSteering, GoesOnUnderTheOldTextUntilTheNewOneIsReady) {
    Slow slow;
    slow.gated = false;
    PromptSteering steering(slow.desk(), phrases(), "A street.", true);
    auto first = steering.next({}, false, {});
    ASSERT_TRUE(first && first->has_value()) << "the first chunk waits";
    EXPECT_EQ(steering.active(), "A street.");
    EXPECT_FALSE(steering.next({}, false, {})->has_value());

    slow.gated = true;
    ControlState forward;
    forward.set(Action::forward, true);
    EXPECT_FALSE(steering.next(forward, false, {})->has_value());
    EXPECT_TRUE(steering.pending());
    EXPECT_EQ(steering.active(), "A street.");
    slow.gate.release();
    const auto changed = steering.next(forward, true, {});
    ASSERT_TRUE(changed && changed->has_value());
    EXPECT_EQ(steering.active(), "A street. The camera moves steadily forward.");
    EXPECT_FALSE(steering.pending());
}

TEST(PromptSteering, CameraWordsCanBeLeftOut) {
    Slow slow;
    slow.gated = false;
    PromptSteering steering(slow.desk(), phrases(), "A street.", false);
    ControlState forward;
    forward.set(Action::forward, true);
    ASSERT_TRUE(steering.next(forward, true, {})->has_value());
    EXPECT_EQ(steering.active(), "A street.");
    steering.set_camera_words(true);
    ASSERT_TRUE(steering.next(forward, true, {})->has_value());
    steering.set_prompt("A lake.");
    ASSERT_TRUE(steering.next(forward, true, {})->has_value());
    EXPECT_EQ(steering.active(), "A lake. The camera moves steadily forward.");
}

TEST(PromptSteering, ATextThatCannotBeReadLeavesTheOldOne) {
    Slow slow;
    slow.gated = false;
    auto desk = slow.desk();
    PromptSteering steering(desk, phrases(), "A street.", false);
    ASSERT_TRUE(steering.next({}, false, {})->has_value());
    slow.fail = true;
    steering.set_prompt("A lake.");
    EXPECT_FALSE(steering.next({}, false, {})->has_value()); // begins to encode it
    slow.until_begun(2);
    for (int i = 0; i < 1000 && steering.note().empty(); ++i) {
        const auto next = steering.next({}, false, {});
        ASSERT_TRUE(next) << "the walk must not end";
        EXPECT_FALSE(next->has_value());
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_NE(steering.note().find("no words"), std::string::npos);
    EXPECT_EQ(steering.active(), "A street.");
    EXPECT_FALSE(steering.pending());
    // Not asked for again and again; another text is.
    const int begun = slow.begun;
    EXPECT_TRUE(steering.next({}, false, {}));
    EXPECT_EQ(slow.begun, begun);
    slow.fail = false;
    steering.set_prompt("A hill.");
    ASSERT_TRUE(steering.next({}, true, {})->has_value());
    EXPECT_TRUE(steering.note().empty());
    // Where it was waited for, it is an error.
    slow.fail = true;
    steering.set_prompt("A sea.");
    EXPECT_FALSE(steering.next({}, true, {}));
}

} // namespace
} // namespace wander
