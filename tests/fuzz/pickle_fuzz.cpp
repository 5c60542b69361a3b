// Feeds arbitrary bytes to the restricted pickle machine. What it accepts is a graph of nodes that exist.

#include "generator/weights/pickle.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto pickle = wander::read_pickle({data, size});
    if (!pickle) return pickle.error().message.empty() ? (std::abort(), 0) : 0;
    const std::size_t count = pickle->nodes.size();
    if (pickle->root >= count) std::abort();
    for (const auto& node : pickle->nodes) {
        if (node.callee >= count || node.argument >= count) std::abort();
        for (const auto item : node.items) {
            if (item >= count) std::abort();
        }
    }
    return 0;
}
