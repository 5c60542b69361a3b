#pragma once
// The command line as a struct. Parsing looks at words only; files are opened by whoever uses them. No torch here.

#include "generator/plain/control_state.hpp"
#include "generator/plain/result.hpp"
#include "generator/rollout/plain/window_choice.hpp"
#include "generator/walk.hpp"
#include "quant/plain/cache_rules.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace wander {

struct Options {
    bool headless = false;
    std::string controls;               // a file's name or a pose string; empty: nothing is held
    std::optional<std::int64_t> chunks; // absent: the script's length
    std::uint64_t seed = 0;
    std::string model = "embedded";
    std::string start;
    std::string prompt;
    std::string text_encoder = "auto";
    std::string decoder = "auto";
    std::string kept_rows = "auto";
    bool camera_words = true;
    std::filesystem::path camera_phrases;
    bool rebuild_on_prompt = false;
    std::optional<WindowChoice> window;
    std::optional<int> chunk_latents;
    std::optional<PictureSize> size;
    std::optional<int> context_latents;
    bool fast_context = false;
    std::optional<std::string> cache;    // registry name; absent: headless bf16, the window remembers
    quant::CacheRulesChange cache_rules; // absent: as CacheRules has it; the window remembers some
    bool fp8_attention = false;
    bool fp8_weights = false;
    std::string device = "auto";
    int gpus = 1;
    int threads = 0;
    std::string precision = "auto";
    std::optional<std::pair<std::string, Pose>> start_pose;
    std::filesystem::path out;
    std::filesystem::path frames;
    std::filesystem::path metrics;
    std::filesystem::path session_out;
    std::string path; // pose string or JSON file
    std::filesystem::path path_out;
    std::filesystem::path walk_out;
    bool walk_decoder = false;
    std::filesystem::path resume;
    std::filesystem::path record_dir;

    std::string text; // not empty: print this (--help, --version) and exit with 0
};

// wrong_use with one line that names the word and what to do.
Result<Options> parse_options(int argc, const char* const* argv);

// "WORLD,X,Z,YAW,PITCH", units of the world and radians.
Result<std::pair<std::string, Pose>> parse_start_pose(const std::string& text);

} // namespace wander
