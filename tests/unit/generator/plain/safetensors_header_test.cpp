// What damaged and hostile safetensors headers do: they are refused with a message, never believed.

#include "generator/weights/safetensors.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace wander {
namespace {

std::vector<std::uint8_t> file_of(const std::string& header, std::size_t data_bytes) {
    std::vector<std::uint8_t> bytes(8 + header.size() + data_bytes);
    const std::uint64_t length = header.size();
    std::memcpy(bytes.data(), &length, sizeof length);
    std::memcpy(bytes.data() + 8, header.data(), header.size());
    return bytes;
}

Result<SafetensorsHeader> parse(const std::string& header, std::size_t data_bytes) {
    const auto bytes = file_of(header, data_bytes);
    return parse_safetensors_header(bytes, bytes.size());
}

const std::string kTwo = R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
                         R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}})";

TEST(SafetensorsHeader, ReadsNamesShapesAndMetadata) {
    const auto header = parse(kTwo, 22);
    ASSERT_TRUE(header) << header.error().message;
    ASSERT_EQ(header->tensors.size(), 2U);
    const TensorEntry& b = header->tensors.at("b");
    EXPECT_EQ(b.dtype, Dtype::bf16);
    EXPECT_EQ(b.shape, (std::vector<std::int64_t>{3}));
    EXPECT_EQ(b.begin, 16U);
    EXPECT_EQ(b.end, 22U);
    EXPECT_EQ(header->metadata.at("format"), "pt");
    EXPECT_EQ(header->data_offset, 8 + kTwo.size());
}

TEST(SafetensorsHeader, RefusesEveryTruncation) {
    const auto whole = file_of(kTwo, 22);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(parse_safetensors_header({whole.data(), size}, size)) << size << " bytes";
    }
}

struct Hostile {
    const char* name;
    std::string header;
    std::size_t data_bytes;
};

class HostileHeader : public testing::TestWithParam<Hostile> {};

TEST_P(HostileHeader, IsRefusedWithAMessage) {
    const auto header = parse(GetParam().header, GetParam().data_bytes);
    ASSERT_FALSE(header);
    EXPECT_EQ(header.error().code, ErrorCode::bad_input);
    EXPECT_GT(header.error().message.size(), 30U);
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"x":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

INSTANTIATE_TEST_SUITE_P(
    Files, HostileHeader,
    testing::Values(
        Hostile{"NoJson", "hello", 0}, Hostile{"Array", "[]", 0}, Hostile{"Trailing", "{}{}", 0},
        Hostile{"UnknownDtype", one(R"("F128")", "[1]", "[0,16]"), 16},
        Hostile{"DtypeNumber", one("3", "[1]", "[0,4]"), 4},
        Hostile{"BeginAfterEnd", one(R"("U8")", "[1]", "[2,1]"), 2},
        Hostile{"EndOutside", one(R"("U8")", "[9]", "[0,9]"), 8},
        Hostile{"WrongLength", one(R"("F32")", "[2]", "[0,4]"), 4},
        Hostile{"NegativeSize", one(R"("U8")", "[-1]", "[0,1]"), 1},
        Hostile{"FractionSize", one(R"("U8")", "[1.0]", "[0,1]"), 1},
        Hostile{"ShapeObject", one(R"("U8")", "{}", "[0,1]"), 1},
        Hostile{"ProductOverflows", one(R"("F64")", "[4294967296,4294967296]", "[0,0]"), 0},
        Hostile{"SizeOverflows", one(R"("U8")", "[18446744073709551615]", "[0,0]"), 0},
        Hostile{"ManyDimensions", one(R"("U8")", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1},
        Hostile{"ThreeOffsets", one(R"("U8")", "[1]", "[0,1,1]"), 1},
        Hostile{"TextOffsets", one(R"("U8")", "[1]", R"(["0","1"])"), 1},
        Hostile{"MissingShape", R"({"x":{"dtype":"U8","data_offsets":[0,0]}})", 0},
        Hostile{"TensorIsNumber", R"({"x":3})", 0}, Hostile{"Gap", one(R"("U8")", "[1]", "[1,2]"), 2},
        Hostile{"UnusedTail", one(R"("U8")", "[1]", "[0,1]"), 2},
        Hostile{
            "Overlap",
            R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
            3},
        Hostile{
            "Duplicate",
            R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
            1},
        Hostile{"MetadataNumber", R"({"__metadata__":{"n":1}})", 0}, Hostile{"Deep", std::string(100000, '['), 0}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(SafetensorsHeader, RefusesAHeaderLengthBeyondTheFile) {
    for (const std::uint64_t length :
         {std::uint64_t{3}, std::uint64_t{1} << 32, ~std::uint64_t{0}, ~std::uint64_t{0} - 7}) {
        auto bytes = file_of("{}", 0);
        std::memcpy(bytes.data(), &length, sizeof length);
        EXPECT_FALSE(parse_safetensors_header(bytes, bytes.size())) << length;
    }
}

} // namespace
} // namespace wander
