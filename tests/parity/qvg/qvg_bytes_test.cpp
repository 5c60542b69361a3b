// Bytes of the published planes for the shapes of the published memory table.
#include "tests/parity/qvg/qvg_parts.hpp"

#include <gtest/gtest.h>

namespace wander::testing {
namespace {

std::int64_t rounded_512(std::int64_t bytes) { return (bytes + 511) / 512 * 512; }

TEST(ParityQvgBytes, PlanesAndTotalsOfThePublishedTable) {
    const QvgCase golden("qvg-bytes");
    ASSERT_FALSE(golden.json().at("rows").empty());
    for (const auto& row : golden.json().at("rows")) {
        const std::string name = row.at("name");
        const auto shape = dump_shape(row);
        const auto bytes = dump_bytes(shape);
        const auto& planes = row.at("plane_bytes");
        EXPECT_EQ(bytes.codes, planes.at("codes").get<std::int64_t>()) << name;
        EXPECT_EQ(bytes.ids, planes.at("ids").get<std::int64_t>()) << name;
        EXPECT_EQ(bytes.scales, planes.at("scales").get<std::int64_t>()) << name;
        EXPECT_EQ(bytes.zeros, planes.at("zeros").get<std::int64_t>()) << name;
        EXPECT_EQ(bytes.centroids, planes.at("centroids").get<std::int64_t>()) << name;
        EXPECT_EQ(bytes.total(), row.at("tensor_bytes").get<std::int64_t>()) << name;
        const double tensors = 2.0 * row.at("layers").get<double>() * row.at("spans").get<double>();
        EXPECT_NEAR(static_cast<double>(bytes.total()) * tensors / (1 << 20), row.at("total_mib").get<double>(), 1e-3)
            << name;
        const double values = static_cast<double>(shape.heads) * shape.tokens * shape.dim;
        EXPECT_NEAR(static_cast<double>(bytes.total()) * 8 / values, row.at("bits_per_element").get<double>(), 1e-6)
            << name;
        EXPECT_EQ(static_cast<std::int64_t>(values) * 2, row.at("bf16_bytes").get<std::int64_t>()) << name;
        EXPECT_GE(row.at("tensor_bytes_512").get<std::int64_t>(), rounded_512(bytes.total())) << name;
    }
}

} // namespace
} // namespace wander::testing
