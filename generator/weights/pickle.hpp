#pragma once
// Python pickles as a graph of plain nodes. Nothing is ever imported, called or built: a GLOBAL is a name, a REDUCE is
// a node that says what would have been called with what.
//
// Understands what torch.save writes (protocol 2) and the opcodes of protocol 4 that say the same; any other opcode is
// bad_input with its position. Counts are bounded, so a hostile file costs at most some 300 MB. Pure, any thread.

#include "generator/plain/result.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace wander {

struct PickleNode {
    enum class Kind : std::uint8_t {
        none,
        boolean,
        integer,
        text,
        tuple,
        list,
        dict,       // items: key, value, key, value, ...
        global,     // text: "module.name"
        persistent, // argument: its id
        call,       // callee(argument); items: keys and values that were set on the result afterwards
        other,      // numbers and bytes that no tensor needs
    };
    Kind kind = Kind::none;
    std::int64_t integer = 0; // also boolean
    std::string text{};
    std::vector<std::uint32_t> items{}; // indices of nodes; may form cycles
    std::uint32_t callee = 0;
    std::uint32_t argument = 0;
};

struct Pickle {
    std::vector<PickleNode> nodes;
    std::uint32_t root = 0;

    const PickleNode& operator[](std::uint32_t index) const { return nodes[index]; }
};

Result<Pickle> read_pickle(std::span<const std::uint8_t> bytes);

} // namespace wander
