#pragma once
// Ways to keep the cache: a format with its rules, by a name like "int2+bias" or "kivi2+recent2".

#include "generator/walk.hpp"

#include <string>
#include <vector>

namespace wander::bench {

struct Variant {
    std::string name;
    std::string label; // of the format, with what the rules add
    std::string format;
    double code_bits = 16;
    int centroids = 0; // per head and page; 0: the format's own choice
    quant::CacheRules rules;
};

// "FORMAT[+bias][+recentN][+nosink][+centroidsN][+layers=TABLE]", layers with ';' between entries. wrong_use names the
// word.
Result<Variant> parse_variant(const std::string& text, const WalkInfo& info);

// Every usable packed format; those of at most kCorrectedBits once more with the bias correction; the default one of 2
// bits with more recent chunks and with the start packed too.
std::vector<std::string> default_variants(const WalkInfo& info);

} // namespace wander::bench
