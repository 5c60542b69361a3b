#pragma once
// What an evaluation of a world found: plain figures. docs/formats.md, "Evaluation"; the protocol is told in
// evaluate_world.hpp.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wander::evaluate {

// Of the pictures of one second: PSNR against truth, mean; sharpness over truth's, median. Both are missing where
// nothing was measured.
struct SecondFigures {
    int second = 0; // 5: the pictures between 4 s and 5 s after the start
    double psnr_db = 0;
    double sharpness = 0;
};

struct NextChunkFigures {
    double history_db = 0;   // true history of the window
    double sink_only_db = 0; // the start picture alone
    double no_pose_db = 0;   // true history, neither pose nor map
    double latent_mse = 0;   // of the first, in normalised latents
    int chunks = 0;
};

struct CeilingFigures { // the autoencoder on true latents
    double psnr_db = 0;
    double sharpness = 0;
};

struct RevisitFigures {
    std::string name;         // "full turn", ...
    double end_db = 0;        // last picture against truth
    double first_db = 0;      // last picture against the walk's own first
    double middle_db = 0;     // middle picture against truth
    double true_first_db = 0; // truth's last against truth's first: how far the body really came back
};

// One place, or all of them together.
struct PlaceFigures {
    std::string name; // "all" for the whole
    std::string title;
    int walks = 0;
    bool known_walks = false; // those that the program came with, else random ones
    std::vector<SecondFigures> free_walk;
    double worst_second_db = 0; // lowest mean of one walk over one measured second
    NextChunkFigures next_chunk;
    CeilingFigures ceiling;
    std::vector<RevisitFigures> revisits;
};

struct FormatFigures {
    std::string format; // registry name, or "FP8 weights" and the like
    std::vector<SecondFigures> free_walk;
    std::vector<double> plain_db; // by second: against the same walks in bf16; 100: equal
    double packed_ratio = 0;      // of packed pages, at the end; 0: nothing was packed
    double whole_ratio = 0;
};

struct EvaluationReport {
    std::string world; // its name
    std::string folder;
    std::string device_name;
    std::string precision;
    std::uint64_t seed = 0;
    int seconds = 0;
    double minutes = 0; // that it took
    PlaceFigures all;
    std::vector<PlaceFigures> places;
    std::vector<FormatFigures> formats; // bf16 is not among them
    std::vector<FormatFigures> fp8;     // weights, attention, both; no ratios
    bool fp8_weights_emulated = false;  // on the CPU; attention always is

    // Of all places; nothing where the second was not measured.
    std::optional<double> psnr_at(int second) const;
    std::optional<double> sharpness_at(int second) const;
    // Mean of the figures at 20, 30, 40, 50 and 60 s, of those that were measured; nothing without any.
    std::optional<double> late_psnr() const;
};

std::string report_markdown(const EvaluationReport& report);
// Without the heading.
std::string report_tables(const EvaluationReport& report);
std::string report_json(const EvaluationReport& report);

} // namespace wander::evaluate
