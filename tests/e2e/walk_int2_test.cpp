// INT2 against the uncompressed cache, whole walks of the embedded world: fidelity, bytes, toggles, determinism.

#include "tests/support/walk_runner.hpp"

#include <gtest/gtest.h>

#include <cstdio>

namespace wander::testing {
namespace {

// Page groups hold latents 1..4, 5..8, ...; the first is packed when latent 5 (chunk 4) has become history.
constexpr std::int64_t kFirstPackedChunk = 5;
constexpr double kFirstPackedPsnrDb = 44; // mean of all walks
constexpr double kWorstFirstPackedPsnrDb = 42;
constexpr double kLaterPsnrDb = 40;
constexpr double kPackedRatio = 6.5;

WalkOptions options_for(const std::string& start, const std::string& format) {
    WalkOptions options;
    options.assets = WANDER_ASSETS_DIR;
    options.start = start;
    options.seed = 7;
    options.cache_format = format;
    options.device = "cpu";
    options.precision = "fp32";
    options.threads = 2;
    return options;
}

WalkScript forward_and_turn() {
    return {"forward, then a turn while walking",
            {{0, {Action::forward}},
             {6, {Action::forward, Action::yaw_right}},
             {12, {Action::yaw_right}},
             {16, {Action::forward}}},
            {}};
}

WalkScript look_round() {
    return {"look left and up, back away, strafe",
            {{0, {Action::yaw_left}},
             {5, {Action::back}},
             {9, {Action::left, Action::pitch_up}},
             {11, {Action::right}},
             {15, {Action::yaw_left, Action::forward}}},
            {}};
}

// dB of the first chunk that reads a packed page against the uncompressed walk.
double expect_close_to_uncompressed(const std::string& start, const WalkScript& script) {
    SCOPED_TRACE(start + ", " + script.name);
    const WalkRun plain = run_walk(options_for(start, "bf16"), script, 20);
    const WalkRun packed = run_walk(options_for(start, "int2"), script, 20);
    EXPECT_EQ(plain.error, "");
    EXPECT_EQ(packed.error, "");
    if (plain.frames.size() != 81u || packed.frames.size() != 81u) {
        ADD_FAILURE() << plain.frames.size() << " and " << packed.frames.size() << " frames, not 81";
        return 0;
    }
    const auto frames_of = [](std::int64_t chunk) { return static_cast<std::size_t>(1 + 4 * chunk); };
    EXPECT_EQ(psnr_db(plain, packed, 0, frames_of(kFirstPackedChunk)), std::numeric_limits<double>::infinity())
        << "nothing packed has been read yet";
    const double first = psnr_db(plain, packed, frames_of(kFirstPackedChunk), frames_of(kFirstPackedChunk + 1));
    const double later = psnr_db(plain, packed, frames_of(16), frames_of(20));
    const MemoryLedger& ledger = packed.chunks.back().ledger;
    std::printf("%s, %s: chunk %d %.1f dB, chunks 16..19 %.1f dB, packed ratio %.2f, whole ratio %.2f, peak %.2f MB\n",
                start.c_str(), script.name.c_str(), static_cast<int>(kFirstPackedChunk), first, later,
                ledger.packed_ratio(), ledger.ratio(), static_cast<double>(ledger.peak_bytes) / 1e6);
    EXPECT_GE(first, kWorstFirstPackedPsnrDb);
    EXPECT_LT(first, 100) << "the packed page was not read";
    EXPECT_GE(later, kLaterPsnrDb);
    EXPECT_GE(ledger.packed_ratio(), kPackedRatio);
    return first;
}

TEST(WalkInt2, StaysCloseToTheUncompressedWalk) {
    double sum = 0;
    int walks = 0;
    for (const char* start : {"village_fountain", "winter_lamps", "neon_pyramid"}) {
        for (const WalkScript& script : {forward_and_turn(), look_round()}) {
            sum += expect_close_to_uncompressed(start, script);
            ++walks;
        }
    }
    EXPECT_GE(sum / walks, kFirstPackedPsnrDb);
}

TEST(WalkToggles, TwoHundredTogglesLeaveTheBytesOfAWalkThatNeverToggled) {
    constexpr std::int64_t kToggles = 200;
    constexpr std::int64_t kChunks = kToggles + 30; // the converter needs a chunk for every page group of the window
    WalkScript toggling = forward_and_turn();
    for (std::int64_t i = 0; i < kToggles; ++i) toggling.cache_format[i + 1] = i % 2 == 0 ? "bf16" : "int2";
    const WalkRun plain = run_walk(options_for("winter_lamps", "int2"), forward_and_turn(), kChunks);
    const WalkRun toggled = run_walk(options_for("winter_lamps", "int2"), toggling, kChunks);
    ASSERT_EQ(plain.error, "");
    ASSERT_EQ(toggled.error, "");
    const MemoryLedger& a = plain.chunks.back().ledger;
    const MemoryLedger& b = toggled.chunks.back().ledger;
    EXPECT_EQ(b.pages_waiting, 0);
    EXPECT_GT(a.packed_bytes, 0);
    EXPECT_EQ(a.bytes(), b.bytes());
    EXPECT_EQ(a.packed_bytes, b.packed_bytes);
    EXPECT_EQ(a.keys.total(), b.keys.total());
    EXPECT_EQ(a.bf16_equivalent_bytes, b.bf16_equivalent_bytes);
}

TEST(WalkDeterminism, TwoRunsWithAToggleInTheMiddleAreBitEqual) {
    WalkScript script = look_round();
    script.cache_format[7] = "int2";
    const WalkRun first = run_walk(options_for("neon_pyramid", "bf16"), script, 12);
    const WalkRun second = run_walk(options_for("neon_pyramid", "bf16"), script, 12);
    ASSERT_EQ(first.error, "");
    EXPECT_EQ(first.frames.size(), 49u);
    EXPECT_EQ(first.frames, second.frames);
    EXPECT_GT(first.chunks.back().ledger.packed_bytes, 0);
}

} // namespace
} // namespace wander::testing
