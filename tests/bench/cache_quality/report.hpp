#pragma once
// What was measured of one way to keep the cache, and its JSON and Markdown.

#include "generator/evaluate/plain/picture_measures.hpp"
#include "generator/evaluate/plain/statistics.hpp"
#include "tests/bench/cache_quality/variants.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace wander::bench {

using namespace evaluate;

// Frames of some chunks against the same frames of the reference.
struct WindowMeasures {
    int frames = 0;
    int equal_frames = 0;
    double psnr_db = 0;        // of the mean squared error over the window
    double capped_psnr_db = 0; // mean over frames, each at most kFrameCapDb
    double ssim = 0;           // mean over frames
};

enum class Window : std::uint8_t { first, next, rest };
inline constexpr std::array<const char*, 3> kWindowNames = {"w0", "w1", "rest"};

struct ScriptMeasures {
    std::string script;
    std::string start;
    bool revisit = false;
    std::array<WindowMeasures, 3> windows;
    std::vector<double> chunk_psnr_db;       // by chunk
    std::optional<std::int64_t> first_chunk; // that reads a packed page: W0
    std::optional<std::int64_t> divergence;  // first chunk below kDivergedDb
    Look drift;                              // of the last 16 frames, minus the reference's
    double effective_bits = 0;               // 8 * bytes of packed pages / their values
    double packed_ratio = 0;
    double whole_ratio = 0;
    double chunk_ms = 0; // median between finished chunks
    double pack_ms = 0;  // median of the chunks that packed or converted something
    double expand_ms = 0;
    std::string error; // the walk failed; nothing else counts
};
inline constexpr double kDivergedDb = 20;

struct VariantMeasures {
    Variant variant;
    std::vector<ScriptMeasures> scripts;
    std::optional<bool> repeatable; // the first script, walked twice, gave the same bytes
};

struct Report {
    WalkInfo info;
    std::uint64_t seed = 0;
    std::int64_t chunks = 0;
    std::vector<VariantMeasures> floors; // the reference's numerical twins
    VariantMeasures reference;
    std::vector<VariantMeasures> variants;
};

std::string report_json(const Report& report);
std::string report_markdown(const Report& report);

} // namespace wander::bench
