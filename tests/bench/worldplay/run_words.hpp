#pragma once
// One RUN of worldplay_bench's command line.

#include "quant/kv_cache.hpp"

#include <optional>
#include <string>

namespace wander::bench {

struct Run {
    std::string name;
    quant::CachePolicy policy;
    bool fast = false;
    std::string decoder; // full, plain, none; empty: full on one GPU
    std::string to;      // format in the middle; empty: none
    int at = 1;          // chunk that it begins with
    int chunks = 3;
};

// Empty: it has no chunks.
std::optional<Run> read_run(const std::string& text);

} // namespace wander::bench
