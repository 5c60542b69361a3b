// Residual encoder from given ids and centroids: bit equality, but for the codes of blocks whose scale is 0.
#include "quant/qvg/block_quantiser.hpp"
#include "tests/parity/qvg/qvg_parts.hpp"

#include <gtest/gtest.h>

namespace wander::testing {
namespace {

// Codes differ in a block whose scale byte is not 0.
std::size_t codes_that_differ(const quant::qvg::DumpShape& shape, const quant::qvg::Dump& dump, const Bytes& stored) {
    const std::size_t block_bytes = static_cast<std::size_t>(shape.block * shape.bits / 8);
    std::size_t differ = 0;
    for (std::size_t i = 0; i < stored.size(); ++i) {
        differ += dump.codes[i] != stored[i] && dump.scales[i / block_bytes] != 0 ? 1 : 0;
    }
    return differ;
}

TEST(ParityQvgEncode, CodesScalesAndZerosAreEqual) {
    const QvgCase golden("qvg-encode");
    ASSERT_FALSE(golden.json().at("subcases").empty());
    std::size_t compared = 0;
    for (const auto& part : golden.json().at("subcases")) {
        const std::string name = part.at("name");
        const auto shape = dump_shape(part);
        Bf16s residual = golden.bf16_input(part, input_ending(part, ".x"));
        for (int s = 0; s < shape.stages; ++s) {
            const std::string stage = std::to_string(s);
            subtract_stage(residual, shape, golden.byte_input(part, input_ending(part, ".ids" + stage)),
                           golden.bf16_input(part, input_ending(part, ".centroids" + stage)));
        }
        if (part.contains("residual_fnv1a64")) {
            EXPECT_EQ(checksum(residual), part["residual_fnv1a64"].get<std::string>()) << name;
        }
        quant::qvg::Dump dump;
        quantise_residual(residual, shape, dump);
        EXPECT_EQ(dump.scales, golden.bytes(name + ".scales")) << name;
        if (shape.asymmetric) {
            const Bytes& zeros = golden.bytes(name + ".zeros");
            ASSERT_EQ(dump.zeros.size(), zeros.size()) << name;
            std::size_t differ = 0;
            for (std::size_t i = 0; i < zeros.size(); ++i) {
                differ += dump.zeros[i] != zeros[i] && ((dump.zeros[i] | zeros[i]) & 0x7F) != 0 ? 1 : 0;
            }
            EXPECT_EQ(differ, 0U) << name;
        }
        if (golden.has(name + ".codes")) {
            ASSERT_EQ(dump.codes.size(), golden.bytes(name + ".codes").size()) << name;
            EXPECT_EQ(codes_that_differ(shape, dump, golden.bytes(name + ".codes")), 0U) << name;
            ++compared;
        }
    }
    EXPECT_GT(compared, 0U);
}

TEST(ParityQvgEncode, WorkedVectors) {
    struct Vector {
        std::vector<float> values;
        int bits;
        bool asymmetric;
        std::uint8_t scale;
        std::uint8_t zero;
        Bytes codes;
    };
    const Vector vectors[] = {
        {{0.9F, -0.2F, 0.5F, -1.0F, 0.3F, -0.49F, 0.51F, 0.0F}, 2, false, 0x38, 0, {2, 1, 2, 0, 1, 1, 2, 1}},
        {{0.3F, -0.1F, 0.14F, -0.2F}, 2, false, 0x2A, 0, {2, 1, 1, 0}},
        {{0.9F, -0.2F, 0.5F, -1.0F}, 4, false, 0x21, 0, {13, 6, 11, 0}},
        {{0.9F, -0.2F, 0.5F, -1.0F}, 2, true, 0x32, 0xB8, {3, 1, 2, 0}},
    };
    for (const Vector& vector : vectors) {
        Bytes codes(vector.values.size());
        const auto scale = quant::qvg::quantise_block(vector.values.data(), static_cast<int>(vector.values.size()),
                                                      vector.bits, vector.asymmetric, codes.data());
        EXPECT_EQ(scale.scale, vector.scale);
        EXPECT_EQ(scale.zero, vector.zero);
        EXPECT_EQ(codes, vector.codes);
    }
}

} // namespace
} // namespace wander::testing
