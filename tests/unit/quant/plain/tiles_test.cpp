// Every wider tile kernel against its plain twin, over odd token counts, query counts and head dimensions.
#include "quant/cpu/tiles.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace wander::quant::cpu {
namespace {

struct Shape {
    int tokens;
    int queries;
    int head_dim;
    int time_channels;
};

const Shape kShapes[] = {{84, 84, 64, 24},  {1, 5, 16, 4},  {7, 96, 32, 20},
                         {96, 33, 128, 44}, {13, 8, 48, 0}, {5, 17, 20, 8}};

std::vector<float> random_floats(std::size_t count, unsigned seed) {
    std::mt19937 generator(seed);
    std::uniform_real_distribution<float> draw(-1.5F, 1.5F);
    std::vector<float> values(count);
    for (float& value : values) {
        value = draw(generator);
    }
    return values;
}

template <class E>
std::vector<E> as(const std::vector<float>& values) {
    std::vector<E> out;
    for (const float value : values) {
        out.push_back(narrow<E>(value));
    }
    return out;
}

template <class E>
void expect_near(const std::vector<E>& got, const std::vector<E>& expected, double tolerance) {
    ASSERT_EQ(got.size(), expected.size());
    double largest = 1e-20;
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(widen(expected[i]))));
        worst = std::max(worst, std::abs(static_cast<double>(widen(got[i])) - static_cast<double>(widen(expected[i]))));
    }
    EXPECT_LE(worst / largest, tolerance);
}

// Everything one tile produces: rotated keys and values of both branches from E and from float rows, then attention
// over two tiles in a row.
template <class E>
struct Outcome {
    std::vector<E> rope, prope, plain, values;
    std::vector<E> float_rope, float_prope, float_plain, float_values;
    std::vector<float> out, peak, weight;
};

template <class E>
Outcome<E> run(const TileKernels<E>& kernels, const Shape& shape) {
    const auto dim = static_cast<std::size_t>(shape.head_dim);
    const auto tokens = static_cast<std::size_t>(shape.tokens);
    const std::ptrdiff_t stride = shape.head_dim * 3;
    const std::vector<float> source = random_floats(tokens * dim * 3, 1);
    const std::vector<E> rows = as<E>(source);
    const std::vector<float> cosines = random_floats(tokens * dim, 2);
    const std::vector<float> sines = random_floats(tokens * dim, 3);
    const std::vector<float> time = random_floats(dim * 2, 4);
    const std::vector<float> matrix = random_floats(16, 5);
    const TileRotation<float> rotation{cosines.data(),    sines.data(),        time.data(),
                                       time.data() + dim, shape.time_channels, matrix.data()};
    Outcome<E> o;
    for (auto* buffer :
         {&o.rope, &o.prope, &o.plain, &o.values, &o.float_rope, &o.float_prope, &o.float_plain, &o.float_values}) {
        buffer->assign((tokens + 1) * dim, E{});
    }
    kernels.expand_keys({rows.data(), stride, shape.tokens, shape.head_dim, o.rope.data(), o.prope.data()}, rotation);
    kernels.expand_values({rows.data(), stride, shape.tokens, shape.head_dim, o.plain.data(), o.values.data()},
                          rotation);
    kernels.expand_float_keys(
        {source.data(), stride, shape.tokens, shape.head_dim, o.float_rope.data(), o.float_prope.data()}, rotation);
    kernels.expand_float_values(
        {source.data(), stride, shape.tokens, shape.head_dim, o.float_plain.data(), o.float_values.data()}, rotation);

    const int columns = (shape.queries + kColumnStep - 1) / kColumnStep * kColumnStep;
    const std::vector<E> queries = as<E>(random_floats(static_cast<std::size_t>(shape.queries) * dim, 6));
    std::vector<E> packed(static_cast<std::size_t>(columns) * dim);
    pack_queries(queries.data(), shape.queries, columns, shape.head_dim, packed.data());
    std::vector<float> scores(static_cast<std::size_t>(kMaxTileTokens + 1) * kMaxColumns);
    o.out.assign(static_cast<std::size_t>(columns) * dim, 0.0F);
    o.peak.assign(static_cast<std::size_t>(columns), -std::numeric_limits<float>::infinity());
    o.weight.assign(static_cast<std::size_t>(columns), 0.0F);
    AttendTile<E> tile;
    tile.queries = packed.data();
    tile.columns = columns;
    tile.key_stride = shape.head_dim;
    tile.value_stride = std::is_same_v<E, Bf16> ? 2 * shape.head_dim : shape.head_dim;
    tile.tokens = shape.tokens;
    tile.head_dim = shape.head_dim;
    tile.scale_log2 = 1.442695F / std::sqrt(static_cast<float>(shape.head_dim));
    tile.scores = scores.data();
    tile.out = o.out.data();
    tile.peak = o.peak.data();
    tile.weight = o.weight.data();
    const std::vector<E> more_keys = as<E>(random_floats(tokens * dim, 7));
    for (const E* keys : {static_cast<const E*>(o.float_rope.data()), more_keys.data()}) {
        tile.keys = keys;
        tile.values = o.float_values.data();
        kernels.attend(tile);
    }
    return o;
}

template <class E>
void compare(SimdLevel level, double rounding, double sum_tolerance) {
    if (best_simd() < level) {
        return; // this processor lacks it; the twin is what runs
    }
    ASSERT_NE(&tile_kernels<E>(level), &tile_kernels<E>(SimdLevel::portable));
    for (const Shape& shape : kShapes) {
        SCOPED_TRACE(testing::Message() << shape.tokens << " tokens, " << shape.queries << " queries, "
                                        << shape.head_dim);
        const Outcome<E> got = run(tile_kernels<E>(level), shape);
        const Outcome<E> expected = run(tile_kernels<E>(SimdLevel::portable), shape);
        expect_near(got.rope, expected.rope, rounding);
        expect_near(got.prope, expected.prope, rounding);
        expect_near(got.plain, expected.plain, 0);
        expect_near(got.values, expected.values, rounding);
        expect_near(got.float_rope, expected.float_rope, rounding);
        expect_near(got.float_prope, expected.float_prope, rounding);
        expect_near(got.float_plain, expected.float_plain, 0);
        expect_near(got.float_values, expected.float_values, rounding);
        expect_near(got.peak, expected.peak, sum_tolerance);
        expect_near(got.weight, expected.weight, sum_tolerance);
        expect_near(got.out, expected.out, sum_tolerance);
    }
}

TEST(Tiles, Avx2FloatEqualsTwin) { compare<float>(SimdLevel::avx2, 1e-6, 1e-5); }
TEST(Tiles, Avx2Bf16EqualsTwin) { compare<Bf16>(SimdLevel::avx2, 4e-3, 1e-2); }
TEST(Tiles, Avx512FloatEqualsTwin) { compare<float>(SimdLevel::avx512, 1e-6, 1e-5); }
TEST(Tiles, Avx512Bf16EqualsTwin) { compare<Bf16>(SimdLevel::avx512_bf16, 4e-3, 1e-2); }

} // namespace
} // namespace wander::quant::cpu
