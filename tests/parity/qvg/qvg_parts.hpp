#pragma once
// What the tests of the dump form share.

#include "quant/qvg/dump.hpp"
#include "tests/support/qvg_inputs.hpp"

#include <cstdio>
#include <string>

namespace wander::testing {

inline quant::qvg::DumpShape dump_shape(const nlohmann::json& part) {
    quant::qvg::DumpShape shape;
    shape.heads = part.at("heads");
    shape.tokens = part.at("tokens");
    shape.dim = part.at("dim");
    shape.block = part.at("block");
    shape.stages = part.at("stages");
    shape.clusters = part.at("clusters");
    shape.bits = part.at("bits");
    shape.asymmetric = part.at("asymmetric");
    return shape;
}

inline std::string hex(std::uint64_t value) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
    return text;
}

inline std::string checksum(const Bf16s& values) { return hex(fnv1a64(values.data(), values.size() * 2)); }

// The input of this part whose name ends so, or nothing: parts share inputs, so their names do not follow from the
// part's.
inline std::string input_ending(const nlohmann::json& part, const std::string& ending) {
    for (const auto& [name, about] : part.at("inputs").items()) {
        if (name.size() >= ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0) {
            return name;
        }
    }
    return {};
}

} // namespace wander::testing
