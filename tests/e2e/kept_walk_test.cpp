// Walks of the embedded world that are saved, rewound and gone on with, against the one that was never interrupted.

#include "tests/support/walk_runner.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

namespace wander::testing {
namespace {

constexpr std::int64_t kMore = 3; // chunks behind the place where it is saved
constexpr int kChunkFrames = 4;
constexpr int kHereFrames = 4; // show where a resumed walk stands

class KeptWalk : public ::testing::Test {
protected:
    KeptWalk() : file_(std::filesystem::temp_directory_path() / ("kept_" + std::to_string(getpid()) + ".walk")) {}
    ~KeptWalk() override {
        std::error_code ignored;
        std::filesystem::remove(file_, ignored);
    }

    static WalkOptions options(const std::string& format) {
        WalkOptions options;
        options.assets = WANDER_ASSETS_DIR;
        options.start = "neon_avenue";
        options.seed = 7;
        options.cache_format = format;
        options.device = "cpu";
        options.threads = 2;
        return options;
    }

    static ControlState keys(std::int64_t chunk) {
        ControlState state;
        state.set(Action::forward, chunk % 9 < 6);
        state.set(Action::yaw_right, chunk % 9 > 4);
        state.mouse_pitch_rad = chunk % 9 == 2 ? 0.4F : 0.0F; // more than a latent turns: some is carried over
        return state;
    }

    static WalkRun run(Walk& walk, const ControlSource& source) {
        WalkRun run;
        FrameKeeper keeper(walk.info().width, walk.info().height);
        auto done = walk.run(source, keeper, [&run](const ChunkTelemetry& t) { run.chunks.push_back(t); }, {});
        if (!done) run.error = done.error().message;
        run.frames = std::move(keeper.frames);
        return run;
    }

    // Walks `saved_at + kMore` chunks, saving before the last kMore; then back by those, and the same again.
    WalkRun whole_and_rewound(const std::string& format, std::int64_t saved_at) const {
        auto walk = Walk::open(options(format));
        if (!walk) return {{}, {}, walk.error().message};
        std::string kept;
        WalkRun all = run(**walk, [&](std::int64_t index, const std::stop_token&) {
            ChunkControls controls;
            const bool again = index >= saved_at + kMore;
            controls.stop = index >= saved_at + 2 * kMore;
            controls.rewind = index == saved_at + kMore ? kMore : 0;
            if (index == saved_at) controls.save = file_;
            controls.kept = [&](const Result<wander::KeptWalk>& outcome) {
                if (!outcome) kept = outcome.error().message;
            };
            controls.state = keys(again ? index - kMore : index);
            return controls;
        });
        if (all.error.empty()) all.error = kept;
        return all;
    }

    WalkRun resumed(const std::string& format, std::int64_t saved_at) const {
        WalkOptions o = options(format);
        o.resume = file_;
        auto walk = Walk::open(o);
        if (!walk) return {{}, {}, walk.error().message};
        return run(**walk, [&](std::int64_t index, const std::stop_token&) {
            ChunkControls controls;
            controls.stop = index >= kMore;
            controls.state = keys(saved_at + index);
            return controls;
        });
    }

    using Frames = std::vector<std::vector<std::uint8_t>>;
    static Frames last(const WalkRun& run, std::ptrdiff_t count) {
        return {run.frames.end() - count, run.frames.end()};
    }

    const std::filesystem::path file_;
};

TEST_F(KeptWalk, GoesOnBitForBitWhileEverythingIsInView) {
    for (const char* format : {"bf16", "int2"}) {
        constexpr std::int64_t kSavedAt = 9; // two page groups are full
        const WalkRun all = whole_and_rewound(format, kSavedAt);
        ASSERT_EQ(all.error, "");
        ASSERT_EQ(all.frames.size(), 1U + kChunkFrames * (kSavedAt + 2 * kMore) + kHereFrames);
        const WalkRun again = resumed(format, kSavedAt);
        ASSERT_EQ(again.error, "");
        ASSERT_EQ(again.frames.size(), kHereFrames + kChunkFrames * kMore);
        const Frames whole(all.frames.begin() + 1 + kChunkFrames * (kSavedAt - 1),
                           all.frames.begin() + 1 + kChunkFrames * (kSavedAt + kMore));
        EXPECT_EQ(again.frames, whole) << format;
        EXPECT_EQ(again.frames, last(all, kHereFrames + kChunkFrames * kMore)) << format;
        EXPECT_EQ(again.chunks.back().pose.pitch, all.chunks.back().pose.pitch);
        EXPECT_EQ(again.chunks.back().cache_bytes, all.chunks.back().cache_bytes);
    }
}

// Latents that left the view take what they had told the others along: docs/performance.md, "Walks that go on".
TEST_F(KeptWalk, StaysCloseWhenTheWindowIsFull) {
    constexpr std::int64_t kSavedAt = 64;
    constexpr double kLeastDb = 42; // measured: 48.0
    const WalkRun all = whole_and_rewound("int2", kSavedAt);
    ASSERT_EQ(all.error, "");
    const WalkRun again = resumed("int2", kSavedAt);
    ASSERT_EQ(again.error, "");
    EXPECT_EQ(again.frames, last(all, kHereFrames + kChunkFrames * kMore)) << "the rewound walk is another one";
    WalkRun whole;
    whole.frames = Frames(all.frames.begin() + 1 + kChunkFrames * (kSavedAt - 1),
                          all.frames.begin() + 1 + kChunkFrames * (kSavedAt + kMore));
    const double db = psnr_db(whole, again, kHereFrames, kHereFrames + kChunkFrames * kMore);
    std::printf("the next %d chunks: %.1f dB\n", static_cast<int>(kMore), db);
    EXPECT_GT(db, kLeastDb);
    EXPECT_GT(psnr_db(whole, again, 0, kHereFrames), 50) << "the decoder was not led there";
}

} // namespace
} // namespace wander::testing
