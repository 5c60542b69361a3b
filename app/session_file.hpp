#pragma once
// What a session was, as JSON (docs/formats.md, "Session"): enough to walk it again. No torch here.

#include "generator/plain/control_state.hpp"
#include "generator/plain/result.hpp"
#include "generator/plain/telemetry.hpp"
#include "generator/walk.hpp"
#include "quant/plain/cache_rules.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace wander {

// What a chunk's keys, mouse and pad said.
struct SessionInput {
    std::vector<std::string> hold;
    MouseTravel mouse;
    StickPosition sticks;
};

// A chunk whose controls differ from the chunk's before.
struct SessionChange {
    std::int64_t chunk = 0;
    std::optional<std::vector<std::string>> hold;
    MouseTravel mouse; // of this chunk alone
    std::optional<StickPosition> sticks;
    std::optional<std::string> cache;
    std::optional<std::string> prompt;
    quant::CacheRulesChange cache_rules;
    std::optional<bool> camera_words;
    int rewind = 0; // chunks forgotten before this one was made
};

struct SessionFile {
    std::string model;                  // "embedded" or the folder
    std::filesystem::path model_folder; // its files' names and sizes identify the weights
    std::uint64_t seed = 0;
    std::string start;
    std::optional<std::pair<std::string, Pose>> start_pose;
    std::string prompt;
    bool camera_words = true;         // held keys became words behind it
    std::string window;               // of a text model, as --window takes it; empty: none
    std::string decoder;              // "full" or "tiny"; empty: the model has one only
    std::string weight_type = "bf16"; // as --weights takes it
    int chunk_latents = 0;
    bool rebuild_history = false;
    std::filesystem::path camera_phrases; // empty: the program's own
    std::string size;                     // of HY-WorldPlay's pictures, as --size takes it; empty: another model
    int context_latents = 0;              // as --context takes it; 0: as published
    bool fast_context = false;
    int gpus = 1;                  // as --gpus takes it
    std::string path;              // as --path takes it; empty: none
    std::filesystem::path resumed; // the saved walk that it went on from; empty: none
    std::string device;
    std::string precision;
    std::string attention = "bf16"; // as --attention takes it
    int threads = 0;
    std::string cache_format;      // at the start
    quant::CacheRules cache_rules; // likewise
    std::int64_t chunks = 0;
    std::vector<SessionChange> changes; // ascending
    std::vector<StageMs> measured;      // one a chunk; empty where the metrics file has them

    // Notes what chunk `chunk` was given; only differences, and mouse travel where there is any, are kept.
    void note(std::int64_t chunk, const SessionInput& input, const std::optional<std::string>& cache,
              const std::optional<std::string>& prompt, const quant::CacheRulesChange& cache_rules = {},
              const std::optional<bool>& camera_words = std::nullopt, int rewind = 0);

private:
    std::vector<std::string> held_;
    StickPosition sticks_;
};

// What a session of a text model, or of HY-WorldPlay, needs beside its prompt; nothing for other models.
void note_model(SessionFile& session, const WalkInfo& info, const WalkOptions& options);

std::string session_json(const SessionFile& session);
// Mouse travel as "mouse" of a controls file has it.
std::array<float, 2> mouse_numbers(const MouseTravel& mouse);
// Stick positions as "sticks" of a controls file has them.
std::array<float, 4> stick_numbers(const StickPosition& sticks);
// The changes alone, one line: a tag of recordings.
std::string controls_json(const SessionFile& session);

} // namespace wander
