// Pages of the scalar formats: every instruction set gives the bytes of the slow twin, reading gives what the layout
// says, errors are those of the grids, and nothing saturates or is clamped away.
#include "quant/scalar/group_grid.hpp"
#include "quant/scalar/number_codes.hpp"
#include "quant/scalar/page_codec.hpp"
#include "quant/scalar/page_kernels.hpp"
#include "tests/unit/quant/scalar_reference.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>

namespace wander::quant::scalar {
namespace {

struct Shape {
    int tokens;
    int heads;
    int head_dim;
};

constexpr Shape kShapes[] = {{336, 2, 64}, {84, 1, 64}, {97, 2, 128}, {131, 1, 32},
                             {1, 2, 64},   {7, 1, 16},  {40, 1, 96},  {17, 1, 256}};
constexpr cpu::SimdLevel kLevels[] = {cpu::SimdLevel::portable, cpu::SimdLevel::avx2, cpu::SimdLevel::avx512};

std::vector<cpu::SimdLevel> levels() {
    std::vector<cpu::SimdLevel> out;
    for (const cpu::SimdLevel level : kLevels) {
        if (level <= cpu::best_simd()) {
            out.push_back(level);
        }
    }
    return out;
}

std::vector<std::uint8_t> packed(const std::vector<float>& rows, const ScalarPageLayout& layout,
                                 cpu::SimdLevel level = cpu::best_simd()) {
    std::vector<std::uint8_t> page(static_cast<std::size_t>(layout.total_bytes), 0xCD);
    encode_page({rows.data(), false}, layout, true, page.data(), level);
    return page;
}

// [heads][tokens][head_dim]
std::vector<float> decoded(const std::vector<std::uint8_t>& page, const ScalarPageLayout& layout,
                           cpu::SimdLevel level = cpu::best_simd()) {
    const auto head_values = static_cast<std::size_t>(layout.tokens) * static_cast<std::size_t>(layout.head_dim);
    std::vector<float> out(head_values * static_cast<std::size_t>(layout.heads));
    for (int head = 0; head < layout.heads; ++head) {
        decode_page_rows(page.data(), layout, head, 0, layout.tokens,
                         out.data() + head_values * static_cast<std::size_t>(head), level);
    }
    return out;
}

bool takes(const ScalarRule& rule, const Shape& shape) { return !rule.rotated || power_of_two(shape.head_dim); }

// Squared error relative to the squares of the values around `mean`; one head.
double relative_error(const std::vector<float>& rows, const ScalarPageLayout& layout, double mean = 0) {
    const std::vector<float> out = decoded(packed(rows, layout), layout);
    double error = 0;
    double power = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const double miss = static_cast<double>(out[i]) - static_cast<double>(rows[i]);
        error += miss * miss;
        power += (static_cast<double>(rows[i]) - mean) * (static_cast<double>(rows[i]) - mean);
    }
    return error / power;
}

TEST(NumberCodes, HalvesAreIeee) {
    for (unsigned bits = 0; bits < 0x7C00U; ++bits) {
        const auto half = static_cast<std::uint16_t>(bits);
        const unsigned exponent = bits >> 10;
        const double wanted = exponent == 0 ? std::ldexp(bits & 0x3FFU, -24)
                                            : std::ldexp((bits & 0x3FFU) + 0x400U, static_cast<int>(exponent) - 25);
        ASSERT_EQ(static_cast<double>(half_to_float(half)), wanted) << bits;
        ASSERT_EQ(float_to_half(half_to_float(half)), half);
        ASSERT_EQ(float_to_half(-half_to_float(half)), half | 0x8000U);
        if (bits + 1 < 0x7C00U) { // the middle goes to the even one, what lies beside it to the nearer one
            const float middle = (half_to_float(half) + half_to_float(static_cast<std::uint16_t>(bits + 1))) / 2;
            ASSERT_EQ(float_to_half(middle), bits + (bits & 1U)) << bits;
            ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0F)), bits);
            ASSERT_EQ(float_to_half(std::nextafter(middle, INFINITY)), bits + 1);
        }
    }
    EXPECT_EQ(half_to_float(float_to_half(1e9F)), 65504.0F);
}

TEST(NumberCodes, E4m3RoundsToNearestEvenAndSaturates) {
    for (unsigned bits = 0; bits < 0x7FU; ++bits) {
        const auto byte = static_cast<std::uint8_t>(bits);
        ASSERT_EQ(float_to_e4m3(e4m3_to_float(byte)), byte);
        ASSERT_EQ(float_to_e4m3(-e4m3_to_float(byte)), byte | 0x80U);
        if (bits + 1 < 0x7FU) {
            const float next = e4m3_to_float(static_cast<std::uint8_t>(bits + 1));
            const float middle = (e4m3_to_float(byte) + next) / 2;
            ASSERT_EQ(float_to_e4m3(middle), bits + (bits & 1U));
            ASSERT_EQ(float_to_e4m3(std::nextafter(middle, 0.0F)), bits);
            ASSERT_EQ(float_to_e4m3(std::nextafter(middle, INFINITY)), bits + 1);
            ASSERT_EQ(float_to_e4m3_below(std::nextafter(next, 0.0F)), bits);
            ASSERT_EQ(float_to_e4m3_below(-middle), (bits + 1) | 0x80U);
        }
    }
    EXPECT_EQ(e4m3_to_float(float_to_e4m3(1e9F)), 448.0F);
    EXPECT_EQ(e4m3_to_float(float_to_e4m3(-460.0F)), -448.0F);
}

TEST(ScalarPage, EveryInstructionSetGivesTheBytesOfTheTwin) {
    for (const NamedRule& named : all_rules()) {
        for (const Shape& shape : kShapes) {
            if (!takes(named.rule, shape)) {
                continue;
            }
            const ScalarPageLayout layout = scalar_page_layout(named.rule, shape.tokens, shape.heads, shape.head_dim);
            const std::vector<float> rows = normal_rows(shape.tokens, shape.heads, shape.head_dim, 0.7F, 1.3F, 11);
            std::vector<float> transformed = rows;
            if (named.rule.rotated) {
                scalar_kernels(cpu::SimdLevel::portable)
                    .rotate(transformed.data(), shape.tokens * shape.heads, shape.head_dim);
            }
            const std::vector<std::uint8_t> wanted = reference_encode(transformed, layout, true);
            const std::vector<float> values = decoded(wanted, layout, cpu::SimdLevel::portable);
            for (const cpu::SimdLevel level : levels()) {
                ASSERT_EQ(packed(rows, layout, level), wanted)
                    << named.name << " " << shape.tokens << " x " << shape.head_dim << " level "
                    << static_cast<int>(level);
                ASSERT_EQ(decoded(wanted, layout, level), values) << named.name;
            }
        }
    }
}

TEST(ScalarPage, ReadingGivesWhatTheLayoutSays) {
    for (const NamedRule& named : all_rules()) {
        for (const Shape& shape : kShapes) {
            if (!takes(named.rule, shape)) {
                continue;
            }
            const ScalarPageLayout layout = scalar_page_layout(named.rule, shape.tokens, shape.heads, shape.head_dim);
            const auto page = packed(normal_rows(shape.tokens, shape.heads, shape.head_dim, -0.4F, 2.0F, 12), layout);
            const std::vector<float> out = decoded(page, layout);
            for (int head = 0; head < shape.heads; ++head) {
                const std::vector<float> wanted = reference_decode(page.data(), layout, head);
                const float* got = out.data() + static_cast<std::ptrdiff_t>(head) * shape.tokens * shape.head_dim;
                for (std::size_t i = 0; i < wanted.size(); ++i) {
                    // The transform's twin sums in another order.
                    ASSERT_NEAR(got[i], wanted[i], named.rule.rotated ? 2e-5F : 0.0F) << named.name << " value " << i;
                }
            }
        }
    }
}

TEST(ScalarPage, AnyPartReadsAsTheWhole) {
    const Shape shape{131, 2, 64};
    for (const NamedRule& named : all_rules()) {
        const ScalarPageLayout layout = scalar_page_layout(named.rule, shape.tokens, shape.heads, shape.head_dim);
        const auto page = packed(normal_rows(shape.tokens, shape.heads, shape.head_dim, 0, 1, 13), layout);
        const std::vector<float> whole = decoded(page, layout);
        for (const auto& [t0, t1] : {std::array{0, 1}, std::array{15, 17}, std::array{60, 131}, std::array{130, 131},
                                     std::array{66, 66}, std::array{3, 100}}) {
            std::vector<float> part(static_cast<std::size_t>(t1 - t0 + 1) * 64, 7.0F);
            decode_page_rows(page.data(), layout, 1, t0, t1, part.data());
            for (int i = 0; i < (t1 - t0) * 64; ++i) {
                ASSERT_EQ(part[static_cast<std::size_t>(i)], whole[static_cast<std::size_t>((131 + t0) * 64 + i)])
                    << named.name << " " << t0 << " " << t1;
            }
            EXPECT_EQ(part[static_cast<std::size_t>(t1 - t0) * 64], 7.0F); // nothing behind
        }
    }
}

// Squared errors of even grids on normal values, groups of 16 to 128 (recomputed by simulation, +-3 %). Parameters in
// e4m3 add 4 % at 4 bits.
TEST(ScalarPage, ErrorsAreThoseOfTheGrids) {
    struct Case {
        const char* rule;
        int head_dim;
        double error;
        double parameters = 1; // factor of the rounded parameters
    };
    const Case cases[] = {
        {"int8", 64, 3.5e-5},          {"int8", 128, 4.1e-5},       {"int4-g16", 64, 7.1e-3},
        {"int4", 64, 8.0e-3, 1.04},    {"kivi4 keys", 64, 9.9e-3},  {"kivi4 values", 128, 9.9e-3, 1.04},
        {"kivi2 keys", 64, 0.248},     {"kivi2 values", 64, 0.200}, {"kivi2 values", 128, 0.248},
        {"quarot4", 64, 8.0e-3, 1.04}, {"quarot2", 128, 0.153},     {"prq4", 64, 3.0e-5},
    };
    for (const Case& c : cases) {
        const ScalarPageLayout layout = scalar_page_layout(rule_named(c.rule), 128 * 12, 1, c.head_dim);
        const double error = relative_error(normal_rows(128 * 12, 1, c.head_dim, 0, 1, 14), layout);
        EXPECT_NEAR(error / c.error / c.parameters, 1, 0.05) << c.rule << " " << c.head_dim << ": " << error;
    }
    // Three bits of mantissa: the mean of the squared relative error of rounding is 7e-4.
    const ScalarPageLayout fp8 = scalar_page_layout(rule_named("fp8"), 1024, 1, 128);
    EXPECT_NEAR(relative_error(normal_rows(1024, 1, 128, 0, 1, 15), fp8), 7e-4, 1e-4);
}

// A minimum clamped into the range of the codes would lose a third of the power here.
TEST(ScalarPage, OffsetChannelsKeepTheirOffset) {
    for (const float mean : {8.0F, -8.0F}) {
        for (const auto& [name, error] : {std::pair{"kivi4 keys", 1.7e-4}, std::pair{"kivi2 keys", 4.1e-3},
                                          std::pair{"int4", 1.5e-4}, std::pair{"kivi2 values", 3.3e-3}}) {
            const ScalarPageLayout layout = scalar_page_layout(rule_named(name), 128 * 12, 1, 64);
            EXPECT_LT(relative_error(normal_rows(128 * 12, 1, 64, mean, 1, 16), layout), error) << name << mean;
        }
    }
}

// The step of 64 deviations of offset is less than a step of e4m3 there; the minimum is rounded down and the grid
// reaches to it, so that nothing is cut off.
TEST(ScalarPage, LargeOffsetsAreNotCutOff) {
    const ScalarPageLayout layout = scalar_page_layout(rule_named("kivi4 keys"), 128 * 12, 1, 64);
    EXPECT_LT(relative_error(normal_rows(128 * 12, 1, 64, 64, 1, 17), layout, 64), 0.03);
}

TEST(ScalarPage, PackingOrderAndWorkedVectors) {
    std::vector<float> rows(16);
    for (int c = 0; c < 16; ++c) {
        rows[static_cast<std::size_t>(c)] = static_cast<float>(c % 4);
    }
    const ScalarPageLayout two = scalar_page_layout(rule_named("kivi2 values"), 1, 1, 16);
    auto page = packed(rows, two);
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(page[static_cast<std::size_t>(two.codes_at + i)], 0b00011011);
    }
    // Minimum -1, step 0.6333 rounded to 0.625: codes 3 1 2 0.
    const float worked[] = {0.9F, -0.2F, 0.5F, -1.0F};
    for (std::size_t c = 0; c < 16; ++c) {
        rows[c] = worked[c % 4];
    }
    page = packed(rows, two);
    EXPECT_EQ(page[static_cast<std::size_t>(two.codes_at)], 0xD8);
    const std::vector<float> out = decoded(page, two);
    EXPECT_EQ(out[0], 0.875F);
    EXPECT_EQ(out[1], -0.375F);
    EXPECT_EQ(out[2], 0.25F);
    EXPECT_EQ(out[3], -1.0F);

    for (int c = 0; c < 16; ++c) {
        rows[static_cast<std::size_t>(c)] = static_cast<float>(c);
    }
    const ScalarPageLayout four = scalar_page_layout(rule_named("int4"), 1, 1, 16);
    page = packed(rows, four);
    for (int i = 0; i < 8; ++i) {
        EXPECT_EQ(page[static_cast<std::size_t>(four.codes_at + i)], 2 * i * 16 + 2 * i + 1);
    }
    EXPECT_EQ(decoded(page, four), rows);

    // Symmetric, one token a group: the value itself is the scale's reach.
    const ScalarPageLayout study = scalar_page_layout(rule_named("int4-g16"), 1, 1, 16);
    page = packed(std::vector<float>(16, -0.875F), study);
    EXPECT_EQ(page[static_cast<std::size_t>(study.codes_at)], 0x00); // code 0 is -7
    page = packed(std::vector<float>(16, 0.875F), study);
    EXPECT_EQ(page[static_cast<std::size_t>(study.codes_at)], 0xEE);
    EXPECT_EQ(decoded(page, study), std::vector<float>(16, 0.875F));

    // INT8: codes -127 .. 127 are stored as 0 .. 254.
    const ScalarPageLayout eight = scalar_page_layout(rule_named("int8"), 1, 1, 16);
    for (int c = 0; c < 16; ++c) {
        rows[static_cast<std::size_t>(c)] = c == 0 ? 127.0F : c == 1 ? -127.0F : static_cast<float>(c);
    }
    page = packed(rows, eight);
    EXPECT_EQ(page[static_cast<std::size_t>(eight.codes_at)], 254);
    EXPECT_EQ(page[static_cast<std::size_t>(eight.codes_at + 1)], 0);
    EXPECT_EQ(page[static_cast<std::size_t>(eight.codes_at + 5)], 132);
    EXPECT_EQ(decoded(page, eight), rows);
}

TEST(ScalarPage, ZerosStayZerosAndConstantsNearlyThemselves) {
    for (const NamedRule& named : all_rules()) {
        const ScalarPageLayout layout = scalar_page_layout(named.rule, 84, 2, 64);
        const std::size_t count = std::size_t{84} * 2 * 64;
        for (const float zero : {0.0F, -0.0F}) {
            EXPECT_EQ(decoded(packed(std::vector<float>(count, zero), layout), layout), std::vector<float>(count, 0.0F))
                << named.name;
        }
        if (named.rule.rotated) {
            continue; // a constant row becomes one outlier, whose step is coarse for the zeros beside it
        }
        for (const float value : {5.3F, -5.3F, 1e-3F}) {
            for (const float out : decoded(packed(std::vector<float>(count, value), layout), layout)) {
                ASSERT_NEAR(out / value, 1, 0.01) << named.name << " " << value;
            }
        }
    }
}

// Values of up to a thousand beside heads a thousand times smaller: e4m3 parameters neither saturate nor vanish.
TEST(ScalarPage, HeadsOfAnySizeKeepTheirPrecision) {
    for (const NamedRule& named : all_rules()) {
        const Shape shape{128, 3, 128};
        const ScalarPageLayout layout = scalar_page_layout(named.rule, shape.tokens, shape.heads, shape.head_dim);
        const ScalarPageLayout alone = scalar_page_layout(named.rule, shape.tokens, 1, shape.head_dim);
        const std::vector<float> head = normal_rows(shape.tokens, 1, shape.head_dim, 0, 1, 18);
        const float sizes[] = {1e3F / 4, 1.0F / 4, 1e-3F / 4};
        std::vector<float> rows;
        for (int t = 0; t < shape.tokens; ++t) {
            for (const float size : sizes) {
                for (int c = 0; c < shape.head_dim; ++c) {
                    rows.push_back(size * head[static_cast<std::size_t>(t * shape.head_dim + c)]);
                }
            }
        }
        const std::vector<float> out = decoded(packed(rows, layout), layout);
        const double usual = relative_error(head, alone);
        for (std::size_t h = 0; h < 3; ++h) {
            double error = 0;
            double power = 0;
            for (std::size_t i = 0; i < head.size(); ++i) {
                const auto wanted = static_cast<double>(sizes[h] * head[i]);
                const double miss = static_cast<double>(out[h * head.size() + i]) - wanted;
                error += miss * miss;
                power += wanted * wanted;
            }
            EXPECT_LT(error / power, usual * 1.02) << named.name << " " << sizes[h];
        }
    }
}

TEST(ScalarPage, TheTransformIsOrthonormalAndItsOwnInverse) {
    for (const int dim : {16, 32, 64, 128, 256}) {
        const std::vector<float> rows = normal_rows(9, 1, dim, 0, 1, 19);
        for (const cpu::SimdLevel level : levels()) {
            std::vector<float> turned = rows;
            scalar_kernels(level).rotate(turned.data(), 9, dim);
            for (int c = 0; c < dim; ++c) {
                double wanted = 0;
                for (int k = 0; k < dim; ++k) {
                    wanted += hadamard(c, k, dim) * static_cast<double>(rows[static_cast<std::size_t>(k)]);
                }
                ASSERT_NEAR(turned[static_cast<std::size_t>(c)], wanted, 3e-6) << dim;
            }
            scalar_kernels(level).rotate(turned.data(), 9, dim);
            for (std::size_t i = 0; i < rows.size(); ++i) {
                ASSERT_NEAR(turned[i], rows[i], 3e-6);
            }
        }
    }
}

// One value of a hundred deviations in each token: the transform spreads it, plain groups lose the rest.
TEST(ScalarPage, TheTransformTamesOutliers) {
    std::vector<float> rows = normal_rows(256, 1, 64, 0, 1, 20);
    for (std::size_t t = 0; t < 256; ++t) {
        rows[t * 64 + t % 64] = 100;
    }
    const double plain = relative_error(rows, scalar_page_layout(rule_named("int4"), 256, 1, 64));
    const double turned = relative_error(rows, scalar_page_layout(rule_named("quarot4"), 256, 1, 64));
    EXPECT_LT(turned, plain / 4);
}

TEST(ScalarPage, PlanesLieApartAndInOrder) {
    for (const NamedRule& named : all_rules()) {
        for (const Shape& shape : kShapes) {
            const ScalarPageLayout layout = scalar_page_layout(named.rule, shape.tokens, shape.heads, shape.head_dim);
            EXPECT_EQ(layout.codes_at, 64);
            EXPECT_GE(layout.scales_at, layout.codes_at + layout.code_bytes());
            EXPECT_GE(layout.minima_at, layout.scales_at + layout.entries() * layout.scale_size());
            EXPECT_GE(layout.reach_at, layout.minima_at + (layout.pair() ? layout.entries() : 0));
            EXPECT_LE(layout.reach_at + (layout.pair() ? 8 * layout.heads : 0), layout.total_bytes);
            for (const std::int64_t at :
                 {layout.codes_at, layout.scales_at, layout.minima_at, layout.reach_at, layout.total_bytes}) {
                EXPECT_EQ(at % kScalarAlignment, 0) << named.name;
            }
            EXPECT_EQ(layout.entry(named.rule.stages - 1, shape.heads - 1, shape.tokens - 1, shape.head_dim - 1),
                      layout.entries() - 1);
        }
    }
}

// What a page says about values that are not finite is undefined, but packing and reading it is safe.
TEST(ScalarPage, ValuesThatAreNotFiniteDoNoHarm) {
    std::vector<float> rows = normal_rows(20, 1, 64, 0, 1, 21);
    rows[70] = std::numeric_limits<float>::infinity();
    rows[200] = std::numeric_limits<float>::quiet_NaN();
    rows[300] = -std::numeric_limits<float>::infinity();
    for (const NamedRule& named : all_rules()) {
        const ScalarPageLayout layout = scalar_page_layout(named.rule, 20, 1, 64);
        EXPECT_EQ(decoded(packed(rows, layout), layout).size(), rows.size());
    }
}

} // namespace
} // namespace wander::quant::scalar
