// The registry's view of the scalar formats: menu order, sizes of real allocations, refusals, encode and decode through
// tensors.
#include "quant/format.hpp"

#include <gtest/gtest.h>

#include <ATen/Functions.h>

#include <string>
#include <vector>

namespace wander::quant {
namespace {

const char* const kScalar[] = {"fp8",   "int8", "int4",    "int4-g16", "kivi4",
                               "kivi2", "k4v2", "quarot4", "quarot2",  "prq4"};

const PageFormat& format(const char* name) {
    const PageFormat* found = FormatRegistry::instance().find(name);
    EXPECT_NE(found, nullptr) << name;
    return *found;
}

at::Tensor packed(const PageFormat& of, const at::Tensor& source, const PageShape& shape) {
    at::Tensor page = at::empty({of.bytes(shape, {}).total()}, at::kByte);
    of.encode(source, shape, {}, page);
    return page;
}

at::Tensor unpacked(const PageFormat& of, const at::Tensor& page, const PageShape& shape) {
    at::Tensor out = at::empty({shape.heads, shape.tokens, shape.head_dim}, at::kFloat);
    for (int head = 0; head < shape.heads; ++head) {
        of.decode_rows(page.const_data_ptr<std::uint8_t>(), shape, {}, head, 0, shape.tokens,
                       out[head].data_ptr<float>());
    }
    return out.transpose(0, 1);
}

double relative_error(const PageFormat& of, const at::Tensor& source, const PageShape& shape) {
    const at::Tensor out = unpacked(of, packed(of, source, shape), shape);
    return ((out - source).square().sum() / source.square().sum()).item<double>();
}

TEST(ScalarFormat, MenuOrderLabelsAndBits) {
    struct Entry {
        std::string name;
        std::string label;
        double bits;
    };
    const Entry wanted[] = {{"bf16", "BF16", 16},
                            {"fp8", "FP8 E4M3", 8},
                            {"int8", "INT8", 8},
                            {"int4", "INT4", 4},
                            {"int4-g16", "INT4 G16 (study)", 4},
                            {"kivi4", "KIVI INT4", 4},
                            {"kivi2", "KIVI INT2", 2},
                            {"k4v2", "K4V2", 3},
                            {"quarot4", "QuaRot INT4", 4},
                            {"quarot2", "QuaRot INT2", 2}};
    const auto formats = FormatRegistry::instance().formats();
    ASSERT_GE(formats.size(), std::size(wanted));
    for (std::size_t i = 0; i < std::size(wanted); ++i) {
        EXPECT_EQ(formats[i]->name(), wanted[i].name);
        EXPECT_EQ(formats[i]->label(), wanted[i].label);
        EXPECT_EQ(formats[i]->nominal_bits(), wanted[i].bits);
    }
    EXPECT_EQ(format("prq4").label(), "PRQ INT4 (10 bit)");
    EXPECT_EQ(format("prq4").nominal_bits(), 8);
}

// Bits a value of the allocated page, header and padding included.
TEST(ScalarFormat, AllocatedPagesHaveTheBitsTheyClaim) {
    struct Case {
        const char* name;
        double large_keys; // 4680 x 12 x 128
        double large_values;
        double small_keys; // 336 x 5 x 64
        double small_values;
    };
    const Case cases[] = {
        {"fp8", 8.125, 8.125, 8.25, 8.25},
        {"int8", 8.125, 8.125, 8.25, 8.25},
        {"int4", 4.25, 4.25, 4.25, 4.25},
        {"int4-g16", 5, 5, 5, 5},
        {"kivi4", 4 + 16 / 120.0, 4.125, 4 + 16 / 112.0, 4.25},
        {"kivi2", 2 + 16 / 120.0, 2.125, 2 + 16 / 112.0, 2.25},
        {"k4v2", 4 + 16 / 120.0, 2.125, 4 + 16 / 112.0, 2.25},
        {"quarot4", 4.25, 4.25, 4.25, 4.25},
        {"quarot2", 2.5, 2.5, 2.5, 2.5},
        {"prq4", 10, 10, 10, 10},
    };
    for (const Case& c : cases) {
        for (const bool is_key : {true, false}) {
            const PageShape large{4680, 12, 128, is_key, at::kBFloat16};
            const PageShape small{336, 5, 64, is_key, at::kFloat};
            const auto bits = [&](const PageShape& shape) {
                const PageBytes bytes = format(c.name).bytes(shape, {});
                EXPECT_EQ(bytes.total(), bytes.codes + bytes.scales + bytes.headers) << c.name;
                EXPECT_EQ(bytes.total() % 64, 0) << c.name;
                EXPECT_LT(bytes.headers, 64 * 6) << c.name;
                return 8.0 * static_cast<double>(bytes.total()) / static_cast<double>(shape.values());
            };
            // The header and the ends of planes: up to 0.03 bit in the small page; of prq4 an odd last group.
            EXPECT_NEAR(bits(large), is_key ? c.large_keys : c.large_values, 0.004) << c.name;
            EXPECT_NEAR(bits(small), is_key ? c.small_keys : c.small_values, 0.03) << c.name;
        }
    }
}

TEST(ScalarFormat, RefusesWhatItCannotTake) {
    for (const char* name : kScalar) {
        const auto odd = format(name).supports({336, 5, 20, true, at::kFloat});
        ASSERT_FALSE(odd) << name;
        EXPECT_EQ(odd.error().code, ErrorCode::wrong_use);
        EXPECT_NE(odd.error().message.find(name), std::string::npos);
        EXPECT_NE(odd.error().message.find("head dimension"), std::string::npos);
        EXPECT_FALSE(format(name).supports({336, 5, 512, true, at::kFloat})) << name;
        const auto tiny = format(name).supports({1, 1, 16, true, at::kFloat});
        ASSERT_FALSE(tiny) << name;
        EXPECT_NE(tiny.error().message.find("smaller than BF16"), std::string::npos);
        for (const bool is_key : {true, false}) {
            EXPECT_TRUE(format(name).supports({336, 5, 64, is_key, at::kFloat})) << name;
            EXPECT_TRUE(format(name).supports({84, 5, 64, is_key, at::kFloat})) << name;
            EXPECT_TRUE(format(name).supports({4680, 12, 128, is_key, at::kBFloat16})) << name;
            EXPECT_TRUE(format(name).supports({97, 1, 256, is_key, at::kBFloat16})) << name;
        }
    }
    EXPECT_FALSE(format("quarot4").supports({336, 5, 96, true, at::kFloat}));
    EXPECT_TRUE(format("int4").supports({336, 5, 96, true, at::kFloat}));
}

TEST(ScalarFormat, Bfloat16AndFloatSourcesGiveTheSamePage) {
    at::manual_seed(4);
    for (const char* name : kScalar) {
        for (const bool is_key : {true, false}) {
            const PageShape shape{97, 3, 64, is_key, at::kBFloat16};
            const at::Tensor source = at::randn({shape.tokens, shape.heads, shape.head_dim}).to(at::kBFloat16);
            EXPECT_TRUE(
                at::equal(packed(format(name), source, shape), packed(format(name), source.to(at::kFloat), shape)))
                << name;
        }
    }
}

// Channels with offsets, as keys have them: the token axis is right for keys, the channel axis for values.
TEST(ScalarFormat, KeysAndValuesHaveTheirOwnAxis) {
    at::manual_seed(5);
    const PageShape keys{336, 5, 64, true, at::kFloat};
    PageShape values = keys;
    values.is_key = false;
    const at::Tensor by_channel = at::randn({keys.tokens, 5, 64}) + 4 * at::randn({1, 5, 64});
    const at::Tensor by_token = at::randn({keys.tokens, 5, 64}) * at::rand({keys.tokens, 5, 1}).add(0.01).pow(-1);
    for (const char* name : {"kivi4", "kivi2"}) {
        EXPECT_LT(relative_error(format(name), by_channel, keys) * 3, relative_error(format(name), by_channel, values))
            << name;
        EXPECT_LT(relative_error(format(name), by_token, values) * 3, relative_error(format(name), by_token, keys))
            << name;
    }
    const at::Tensor source = at::randn({keys.tokens, 5, 64});
    EXPECT_TRUE(at::equal(unpacked(format("k4v2"), packed(format("k4v2"), source, keys), keys),
                          unpacked(format("kivi4"), packed(format("kivi4"), source, keys), keys)));
    EXPECT_TRUE(at::equal(unpacked(format("k4v2"), packed(format("k4v2"), source, values), values),
                          unpacked(format("kivi2"), packed(format("kivi2"), source, values), values)));
}

TEST(ScalarFormat, MoreBitsLoseLess) {
    at::manual_seed(6);
    const PageShape shape{336, 5, 64, true, at::kFloat};
    const at::Tensor source = at::randn({shape.tokens, shape.heads, shape.head_dim});
    double least = 0;
    for (const char* name : {"prq4", "int8", "fp8", "int4-g16", "int4", "kivi4", "quarot2", "kivi2"}) {
        const double error = relative_error(format(name), source, shape);
        EXPECT_GT(error, least) << name;
        least = error;
    }
}

TEST(ScalarFormat, PagesPackedTogetherAreThoseOfOneByOne) {
    at::manual_seed(7);
    for (const char* name : {"k4v2", "int4"}) {
        std::vector<EncodeJob> jobs;
        for (int i = 0; i < 5; ++i) {
            const PageShape shape{84, 2, 64, i % 2 == 0, at::kFloat};
            jobs.push_back(
                {at::randn({84, 2, 64}), at::empty({format(name).bytes(shape, {}).total()}, at::kByte), shape, {}});
        }
        format(name).encode_all(jobs);
        for (const EncodeJob& job : jobs) {
            EXPECT_TRUE(at::equal(job.page, packed(format(name), job.source, job.shape))) << name;
        }
    }
}

} // namespace
} // namespace wander::quant
