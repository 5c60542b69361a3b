// Random packed states, decoded: bit equality of the whole tensor (checksum) and of the stored slices.
#include "tests/parity/qvg/qvg_parts.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace wander::testing {
namespace {

TEST(ParityQvgDecode, EveryPackedStateDecodesBitForBit) {
    const QvgCase golden("qvg-decode");
    ASSERT_FALSE(golden.json().at("subcases").empty());
    for (const auto& part : golden.json().at("subcases")) {
        const std::string name = part.at("name");
        const auto shape = dump_shape(part);
        quant::qvg::Dump dump;
        dump.codes = golden.byte_input(part, name + ".codes");
        dump.scales = golden.byte_input(part, name + ".scales");
        if (shape.asymmetric) {
            dump.zeros = golden.byte_input(part, name + ".zeros");
        }
        for (int s = 0; s < shape.stages; ++s) {
            dump.ids.push_back(golden.byte_input(part, name + ".ids" + std::to_string(s)));
            dump.centroids.push_back(golden.bf16_input(part, name + ".centroids" + std::to_string(s)));
        }
        const Bf16s out = decode_dump(shape, dump);
        EXPECT_EQ(checksum(out), part.at("output_fnv1a64").get<std::string>()) << name;
        if (golden.has(name + ".part")) {
            const Bf16s stored = golden.bf16(name + ".part");
            const std::size_t half = stored.size() / 2;
            EXPECT_TRUE(std::equal(stored.begin(), stored.begin() + static_cast<std::ptrdiff_t>(half), out.begin()))
                << name;
            EXPECT_TRUE(std::equal(stored.begin() + static_cast<std::ptrdiff_t>(half), stored.end(),
                                   out.end() - static_cast<std::ptrdiff_t>(half)))
                << name;
        }
        if (golden.has(name + ".out")) {
            EXPECT_EQ(out, golden.bf16(name + ".out")) << name;
        }
    }
}

} // namespace
} // namespace wander::testing
