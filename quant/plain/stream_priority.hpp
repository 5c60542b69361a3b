#pragma once
// Who goes first on an NVIDIA GPU, in torch's priorities of CUDA streams: 0 is the lowest, -3 the highest. Thread
// blocks of a stream with a lower number take the next free place; blocks that are at work already stay.

#include <cstdlib>

namespace wander::quant {

// Packing may come late, but only by a few layers.
constexpr int kPackPriority = 0;

// What a person waits for: the transformer's passes, their attention, the decoder. WANDER_EQUAL_PRIORITY=1 gives them
// packing's priority, to measure what the difference is worth.
inline int pass_priority() {
    static const int priority = [] {
        const char* const equal = std::getenv("WANDER_EQUAL_PRIORITY");
        return equal && *equal == '1' ? kPackPriority : -2;
    }();
    return priority;
}

} // namespace wander::quant
