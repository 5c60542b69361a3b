// The registry's view of the packed formats: sizes from real allocations, refusals with a reason, encode and decode
// through tensors.
#include "quant/format.hpp"

#include <gtest/gtest.h>

#include <ATen/Functions.h>

namespace wander::quant {
namespace {

const PageFormat& format(const char* name) {
    const PageFormat* found = FormatRegistry::instance().find(name);
    EXPECT_NE(found, nullptr) << name;
    return *found;
}

at::Tensor packed(const PageFormat& of, const at::Tensor& source, const PageShape& shape) {
    const EncodeOptions options{0, 4};
    at::Tensor page = at::empty({of.bytes(shape, options).total()}, at::kByte);
    of.encode(source, shape, options, page);
    return page;
}

at::Tensor unpacked(const PageFormat& of, const at::Tensor& page, const PageShape& shape) {
    at::Tensor out = at::empty({shape.heads, shape.tokens, shape.head_dim}, at::kFloat);
    for (int head = 0; head < shape.heads; ++head) {
        of.decode_rows(page.data_ptr<std::uint8_t>(), shape, {0, 4}, head, 0, shape.tokens,
                       out[head].data_ptr<float>());
    }
    return out.transpose(0, 1);
}

TEST(QvgFormat, Names) {
    EXPECT_EQ(&format("qvg-int2-4l"), &format("int2"));
    EXPECT_EQ(format("qvg-int2").name(), "qvg-int2");
    EXPECT_EQ(FormatRegistry::instance().find("int3"), nullptr);
}

TEST(QvgFormat, AllocatedPagesMeetTheRatios) {
    struct Target {
        PageShape shape;
        double ratio;
    };
    const Target targets[] = {{{336, 5, 64, true, at::kFloat}, 6.5}, {{4680, 12, 128, false, at::kBFloat16}, 6.4}};
    for (const Target& target : targets) {
        for (const char* name : {"int2", "qvg-int2"}) {
            const PageShape& shape = target.shape;
            const at::Tensor page = at::empty({format(name).bytes(shape, {}).total()}, at::kByte);
            const double bf16 = 2.0 * shape.tokens * shape.heads * shape.head_dim;
            EXPECT_GE(bf16 / static_cast<double>(page.nbytes()), target.ratio) << name;
        }
    }
}

TEST(QvgFormat, RefusesWhatItCannotMakeSmaller) {
    const auto narrow = format("int2").supports({336, 5, 20, true, at::kFloat});
    ASSERT_FALSE(narrow);
    EXPECT_EQ(narrow.error().code, ErrorCode::wrong_use);
    EXPECT_NE(narrow.error().message.find("head dimension"), std::string::npos);
    const auto tiny = format("qvg-int2").supports({1, 1, 16, true, at::kFloat});
    ASSERT_FALSE(tiny);
    EXPECT_NE(tiny.error().message.find("smaller than BF16"), std::string::npos);
    EXPECT_TRUE(format("int2").supports({336, 5, 64, true, at::kFloat}));
}

TEST(QvgFormat, FourLevelsLoseLessThanThree) {
    const PageShape shape{336, 5, 64, true, at::kFloat};
    at::manual_seed(3);
    const at::Tensor source = at::randn({shape.tokens, shape.heads, shape.head_dim});
    const auto error = [&](const char* name) {
        const at::Tensor out = unpacked(format(name), packed(format(name), source, shape), shape);
        return ((out - source).square().sum() / source.square().sum()).item<double>();
    };
    EXPECT_LT(error("int2"), 0.12); // Gaussian values: 0.1188 without clustering
    EXPECT_GT(error("qvg-int2"), 0.3);
}

TEST(QvgFormat, TheSameValuesGiveTheSamePage) {
    const PageShape shape{84, 2, 32, false, at::kBFloat16};
    const at::Tensor source = at::randn({shape.tokens, shape.heads, shape.head_dim}).to(at::kBFloat16);
    EXPECT_TRUE(at::equal(packed(format("int2"), source, shape), packed(format("int2"), source, shape)));
}

} // namespace
} // namespace wander::quant
