#pragma once
// The walks that every cache format has to take: the first six start points of the embedded world, and what people do
// in them.

#include "tests/support/walk_runner.hpp"

#include <vector>

namespace wander::bench {

struct BenchScript {
    std::string start;
    bool revisit = false; // turns away and comes back to what it has seen
    testing::WalkScript walk;
};
std::vector<BenchScript> bench_scripts();

} // namespace wander::bench
