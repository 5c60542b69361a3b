#pragma once
// Stands where the generator's Walk stands, for tests of the threads around it: same interface, frames of plain
// numbers.
//
// Linked instead of the generator. What the next walk does is set here before it is opened; what walks were given is
// read here after.

#include "generator/walk.hpp"

#include <mutex>
#include <string>
#include <vector>

namespace wander::tests {

struct Script {
    std::mutex mutex;
    std::string unknown_model;           // opening this one fails
    std::string unknown_start;           // restarting there fails
    std::int64_t fails_at_chunk = -1;    // run() ends with an error before this chunk
    std::vector<ChunkControls> given;    // what every chunk was given, all walks together
    std::vector<ChunkControls> errands;  // rewinding, saving, resuming: asked for without a chunk
    std::vector<std::string> started_at; // starts that restart() was asked for
};

// One for the process; reset by every test.
Script& script();
void reset_script();

} // namespace wander::tests
