// The whole chain on key-like and value-like tensors: from the stored ids bit for bit, with our own clustering by its
// error.
#include "quant/qvg/dump_encoder.hpp"
#include "quant/qvg/number_formats.hpp"
#include "tests/parity/qvg/qvg_parts.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace wander::testing {
namespace {

using quant::qvg::bf16_to_float;

double relative_error(const Bf16s& x, const Bf16s& decoded) {
    double error = 0;
    double energy = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double value = bf16_to_float(x[i]);
        const double d = value - bf16_to_float(decoded[i]);
        error += d * d;
        energy += value * value;
    }
    return error / energy;
}

TEST(ParityQvgEndToEnd, FromTheStoredIdsEverythingIsEqual) {
    const QvgCase golden("qvg-end-to-end");
    ASSERT_FALSE(golden.json().at("subcases").empty());
    for (const auto& part : golden.json().at("subcases")) {
        const std::string name = part.at("name");
        const auto shape = dump_shape(part);
        Bf16s residual = golden.bf16_input(part, name + ".x");
        quant::qvg::Dump dump;
        for (int s = 0; s < shape.stages; ++s) {
            dump.ids.push_back(golden.bytes(name + ".ids" + std::to_string(s)));
            dump.centroids.push_back(golden.bf16(name + ".centroids" + std::to_string(s)));
            subtract_stage(residual, shape, dump.ids.back(), dump.centroids.back());
        }
        quantise_residual(residual, shape, dump);
        EXPECT_EQ(dump.scales, golden.bytes(name + ".scales")) << name;
        if (shape.asymmetric) {
            EXPECT_EQ(dump.zeros, golden.bytes(name + ".zeros")) << name;
        }
        const Bytes& codes = golden.bytes(name + ".codes");
        const auto block_bytes = static_cast<std::size_t>(shape.block * shape.bits / 8);
        std::size_t differ = 0;
        for (std::size_t i = 0; i < codes.size(); ++i) {
            differ += codes[i] != dump.codes[i] && dump.scales[i / block_bytes] != 0 ? 1 : 0;
        }
        EXPECT_EQ(differ, 0U) << name;
        const Bf16s out = decode_dump(shape, dump);
        EXPECT_EQ(checksum(out), part.at("output_fnv1a64").get<std::string>()) << name;
        const Bf16s head = golden.bf16(name + ".out_head");
        EXPECT_TRUE(std::equal(head.begin(), head.end(), out.begin())) << name;
    }
}

TEST(ParityQvgEndToEnd, WithOurClusteringTheErrorIsNoLarger) {
    const QvgCase golden("qvg-end-to-end");
    for (const auto& part : golden.json().at("subcases")) {
        const std::string name = part.at("name");
        const auto shape = dump_shape(part);
        const Bf16s x = golden.bf16_input(part, name + ".x");
        std::vector<std::vector<std::uint32_t>> starts;
        for (int s = 0; s < shape.stages; ++s) {
            const auto tokens = golden.integer_input(part, name + ".init" + std::to_string(s));
            starts.emplace_back(tokens.begin(), tokens.end());
        }
        const quant::qvg::Dump dump = pack_dump(x, shape, starts, part.at("max_iters"));
        EXPECT_LE(relative_error(x, decode_dump(shape, dump)), 1.03 * part.at("rel_sq_error").get<double>()) << name;
    }
}

} // namespace
} // namespace wander::testing
