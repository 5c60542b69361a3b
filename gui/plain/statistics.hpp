#pragma once
// Percentiles and the stack of stages, from chunk telemetry. Pure functions.

#include "gui/plain/chunk_history.hpp"

#include <array>
#include <string_view>
#include <vector>

namespace wander::gui {

// Linear between the two nearest values (rank p/100 * (n - 1)); 0 when there are none. `p` in percent.
double percentile(std::vector<double> values, double p);

enum class Stage : std::uint8_t { denoise, context, encode, expand, decode };
inline constexpr int kStageCount = 5;
inline constexpr std::array<std::string_view, kStageCount> kStageNames = {"denoise", "context", "encode", "expand",
                                                                          "decode"};

double stage_ms(const StageMs& ms, Stage stage); // as measured: expand and encode are also part of denoise and context

// Milliseconds that add up: expand and encode are taken out of denoise and context, in proportion to their lengths.
std::array<double, kStageCount> stacked_ms(const StageMs& ms);

struct Summary {
    double newest = 0;
    double p50 = 0;
    double p99 = 0;
};
Summary summarize(const ChunkHistory& history, Stage stage);
Summary summarize_total(const ChunkHistory& history);  // controls sampled to last frame decoded
Summary summarize_period(const ChunkHistory& history); // between finished chunks; the first chunk has none

} // namespace wander::gui
