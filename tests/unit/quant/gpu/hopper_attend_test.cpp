// Hopper's attention kernel against dense products in double precision: output and log-sum-exp, lengths that no tile
// divides, rows that lie apart, several segments, and the same bits every time.
#include "quant/cuda/hopper_attend.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace wander::test {
namespace {

using quant::cuda::HopperJob;

constexpr std::int64_t kDim = quant::cuda::kHopperHeadDim;

class HopperAttend : public testing::Test {
protected:
    void SetUp() override {
        if (!open_cuda()) FAIL() << "no CUDA device";
        if (!is_hopper()) GTEST_SKIP() << "not a Hopper GPU";
        ASSERT_TRUE(quant::cuda::hopper_supports(0)) << "a Hopper GPU, and no kernels for it";
        at::manual_seed(5);
    }

    // Rows of heads x 128 values, `apart` values from the end of one to the next.
    static at::Tensor rows(std::int64_t tokens, std::int64_t heads, std::int64_t apart, double mean) {
        const at::Tensor wide = at::full({tokens, heads * kDim + apart}, std::nan(""), at::kFloat);
        wide.narrow(1, 0, heads * kDim)
            .copy_((at::randn({tokens, heads, kDim}) + mean * at::randn({1, heads, kDim})).flatten(1));
        return wide.to(at::kBFloat16).to(at::Device(at::kCUDA, 0));
    }
    // Where scores lie. below: all under zero. All others but one_warp, for every other row the other way round, so
    // that each warp has both, from the last keys on, which come first: mixed, under zero and later above it; rising,
    // from tile to tile; leaping, once by more than powers of two in float and whole steps in half precision have room
    // for; leaping_last, likewise with the last tile; one_warp, likewise in a quarter of the warps alone, for all rows
    // of them; far, by more than half precision has numbers for, to two levels of which the higher alone counts.
    enum class Lean { none, below, mixed, rising, leaping, leaping_last, one_warp, far };
    static bool leaps(Lean lean) {
        return lean == Lean::leaping || lean == Lean::leaping_last || lean == Lean::one_warp;
    }
    static void lean(const at::Tensor& q, const at::Tensor& k, std::int64_t heads, Lean wanted) {
        if (wanted == Lean::none) return;
        const auto push = [&](const at::Tensor& wide, const at::Tensor& signs) {
            wide.narrow(1, 0, heads * kDim)
                .unflatten(1, {heads, kDim})
                .narrow(2, 0, 8)
                .add_((4 * signs).to(wide.options()).view({-1, 1, 1}));
        };
        const at::Tensor q_place = at::arange(q.size(0)), k_place = at::arange(k.size(0));
        const at::Tensor early = k_place < k.size(0) / 3, late = k_place >= 2 * k.size(0) / 3;
        const at::Tensor first_warps = q_place.floor_divide(16).remainder(4) == 0;
        push(q, wanted == Lean::below      ? at::ones_like(q_place)
                : wanted == Lean::one_warp ? at::where(first_warps, 1, -1)
                                           : 1 - 2 * q_place.remainder(2));
        switch (wanted) {
            case Lean::below: push(k, -at::ones_like(k_place)); break;
            case Lean::mixed: push(k, at::where(early, 1, -1)); break;
            case Lean::rising: push(k, 2 - 4 * k_place.to(at::kFloat) / k.size(0)); break;
            case Lean::leaping:
            case Lean::one_warp: push(k, at::where(late, -15, 15)); break;
            case Lean::leaping_last: push(k, at::where(k_place < 128, 15, -15)); break;
            case Lean::far: push(k, at::where(early, 300 - 50 * k_place.remainder(2), -300)); break;
            case Lean::none: break;
        }
    }
    static at::Tensor exact(const at::Tensor& wide, std::int64_t heads) { // [heads, tokens, 128]
        return wide.narrow(1, 0, heads * kDim)
            .to(at::kCPU, at::kDouble)
            .view({wide.size(0), heads, kDim})
            .transpose(0, 1);
    }

    // E4M3: values column by column as the expansion writes them, against what the stored values mean.
    static void compare_e4m3(std::int64_t heads, std::int64_t queries, const std::vector<std::int64_t>& runs,
                             Lean leaning = Lean::none) {
        std::int64_t keys = 0;
        for (const std::int64_t length : runs) keys += length;
        SCOPED_TRACE(testing::Message() << heads << " heads, " << queries << " queries, " << keys << " keys, E4M3");
        const auto options = at::TensorOptions().device(at::Device(at::kCUDA, 0));
        const at::Tensor q = rows(queries, heads, 0, 1), k = rows(keys, heads, 0, 1), v = rows(keys, heads, 0, 0.5);
        lean(q, k, heads, leaning);
        const bool far = leaning == Lean::far, leaping = leaps(leaning);
        // Of the tile in which scores leap, and of the next one.
        if (leaping) v.narrow(0, leaning == Lean::leaping_last ? 0 : 2 * keys / 3 - 104, 104).add_(3);
        if (far) v.narrow(0, 0, keys / 3).add_((40 - 80 * at::arange(keys / 3).remainder(2)).view({-1, 1}).to(v));
        const at::Tensor factors = at::empty({sizeof(quant::cuda::E4m3Factors) / 4}, options.dtype(at::kFloat));
        auto* const device_factors = reinterpret_cast<quant::cuda::E4m3Factors*>(factors.data_ptr());
        const auto stream = c10::cuda::getCurrentCUDAStream().stream();
        for (int operand = 0; operand < 3; ++operand) { // lengths differ, so each is measured for itself
            const at::Tensor& rows = operand == 0 ? q : operand == 1 ? k : v;
            const at::Tensor scale = (operand == 0 ? 448.0 : 224.0) / rows.abs().amax().to(at::kFloat);
            factors[operand] = scale;
            factors[3 + operand] = 1 / scale;
        }
        const auto stored = [&](const at::Tensor& rows, int operand) {
            return (rows.to(at::kFloat) * factors[operand]).to(at::kFloat8_e4m3fn);
        };
        const auto meant = [&](const at::Tensor& rows, int operand) {
            const at::Tensor wide = rows.to(at::kFloat) * factors[3 + operand];
            return wide.to(at::kCPU, at::kDouble).view({rows.size(0), heads, kDim}).transpose(0, 1);
        };
        const at::Tensor q8 = stored(q, 0), k8 = stored(k, 1), v8 = stored(v, 2);
        // All bytes NaN, so that a column that nobody writes shows.
        const std::int64_t columns = (keys + 15) / 16 * 16;
        const at::Tensor turned = at::full({heads, kDim, columns}, 0x7f, options.dtype(at::kByte));
        std::int64_t first = 0;
        for (const std::int64_t length : runs) {
            quant::cuda::ExpandJob expand;
            expand.source_element = quant::cuda::Element::bfloat16;
            expand.heads = expand.head_count = static_cast<int>(heads);
            expand.head_dim = kDim;
            expand.element = quant::cuda::Element::e4m3;
            expand.inverse_scale = &device_factors->inverse_scale[2];
            expand.out_columns = columns;
            expand.out_rows = static_cast<int>(keys);
            expand.out = turned.data_ptr();
            const int at = static_cast<int>(first);
            expand.runs[0] = {v.const_data_ptr(), at, at, static_cast<int>(length), 0, at};
            expand.run_count = 1;
            ASSERT_TRUE(quant::cuda::expand_plain(expand, stream));
            first += length;
        }
        HopperJob job;
        job.heads = static_cast<int>(heads);
        job.queries = static_cast<int>(queries);
        job.scale = 1.0 / std::sqrt(static_cast<double>(kDim));
        job.factors = device_factors;
        job.q = q8.const_data_ptr();
        job.k = k8.const_data_ptr();
        job.segments[0] = {turned.const_data_ptr(), columns, static_cast<int>(keys)};
        job.segment_count = 1;
        const at::Tensor out =
            at::full({queries, heads * kDim}, std::nan(""), options.dtype(at::kFloat)).to(at::kBFloat16);
        const at::Tensor lse = at::full({heads, queries}, std::nan(""), options.dtype(at::kFloat));
        const at::Tensor counts = at::zeros({quant::cuda::kHopperCounts}, options.dtype(at::kInt));
        const at::Tensor places = at::empty({quant::cuda::hopper_place_bytes(job) + 1}, options.dtype(at::kByte));
        job.out = out.data_ptr();
        job.lse = lse.data_ptr<float>();
        job.places = places.data_ptr();
        job.counts = static_cast<unsigned*>(counts.data_ptr());
        const char* const refused = quant::cuda::hopper_attend(job, stream);
        ASSERT_EQ(refused, nullptr) << refused;
        const at::Tensor scores = at::matmul(meant(q8, 0), meant(k8, 1).transpose(1, 2)) * job.scale;
        const at::Tensor wanted = at::matmul(scores.softmax(2), meant(v8, 2));
        const double error = ((exact(out, heads) - wanted).norm() / wanted.norm()).item<double>();
        // Large scores are sums that tensor cores add up with few bits, so that their differences are off.
        const double coarse = far ? 50 : leaping ? 5 : 1;
        EXPECT_TRUE(error < (leaping ? 8e-2 : 3e-2)) << error;
        const at::Tensor off = lse.to(at::kCPU, at::kDouble) - scores.logsumexp({2});
        const double most = off.abs().max().item<double>(), usual = off.square().mean().sqrt().item<double>();
        EXPECT_TRUE(most < coarse * 1.1e-1) << most; // as far as the one key that a row attends to may be stored off
        EXPECT_TRUE(usual < coarse * 2e-2) << usual;
        RecordProperty("error", std::to_string(error));
        const at::Tensor before = out.clone();
        ASSERT_EQ(quant::cuda::hopper_attend(job, stream), nullptr);
        EXPECT_TRUE(at::equal(before, out));
        if (heads % 2 == 0) expect_branches(job, before.view({queries, heads, kDim}));
        k8.view(at::kByte)[0][0] = 0x7f; // one value that is no number, of the first head
        ASSERT_EQ(quant::cuda::hopper_attend(job, stream), nullptr);
        EXPECT_TRUE(out.narrow(1, 0, kDim).isnan().all().item<bool>());
        EXPECT_TRUE(at::equal(before.narrow(1, kDim, (heads - 1) * kDim), out.narrow(1, kDim, (heads - 1) * kDim)));
    }

    // The same job with its heads as two branches of a model that has one head more: the first half as it is, the
    // second turned by matrices, the model's other head untouched. plain: [queries, heads, 128].
    static void expect_branches(HopperJob job, const at::Tensor& plain) {
        const std::int64_t queries = plain.size(0), half = plain.size(1) / 2;
        constexpr int kTokens = 37;
        const at::Tensor matrices = at::randn({(queries + kTokens - 1) / kTokens, 4, 4}).to(at::Device(at::kCUDA, 0));
        const at::Tensor out = at::full({queries, 2, half + 1, kDim}, std::nan(""), plain.options());
        job.out = out.data_ptr();
        job.out_row = out.stride(0);
        job.out_branch = out.stride(1);
        job.branch_heads = static_cast<int>(half);
        job.matrices = matrices.const_data_ptr<float>();
        job.tokens_per_latent = kTokens;
        job.lse = nullptr;
        ASSERT_EQ(quant::cuda::hopper_attend(job, c10::cuda::getCurrentCUDAStream().stream()), nullptr);
        EXPECT_TRUE(out.select(2, half).isnan().all().item<bool>());
        const at::Tensor got = out.narrow(2, 0, half);
        EXPECT_TRUE(got.select(1, 0).equal(plain.narrow(1, 0, half)));
        const at::Tensor of_query = matrices.to(at::kDouble).repeat_interleave(kTokens, 0).narrow(0, 0, queries);
        const at::Tensor fours = plain.narrow(1, half, half).to(at::kDouble).reshape({queries, half * kDim / 4, 4});
        const at::Tensor wanted = at::matmul(fours, of_query.transpose(1, 2)).view({queries, half, kDim});
        const at::Tensor off = (got.select(1, 1).to(at::kDouble) - wanted).abs();
        EXPECT_TRUE((off <= wanted.abs() / 256 + 1e-5).all().item<bool>());
    }

    static void compare(std::int64_t heads, std::int64_t queries, const std::vector<std::int64_t>& segments,
                        std::int64_t apart = 0, Lean leaning = Lean::none) {
        std::int64_t keys = 0;
        for (const std::int64_t length : segments) keys += length;
        SCOPED_TRACE(testing::Message() << heads << " heads, " << queries << " queries, " << keys << " keys in "
                                        << segments.size() << " segments, " << apart << " apart");
        const at::Tensor q = rows(queries, heads, apart, 1);
        const at::Tensor k = rows(keys, heads, 0, 1);
        lean(q, k, heads, leaning);
        std::vector<at::Tensor> values, all_values;
        HopperJob job;
        for (const std::int64_t length : segments) {
            values.push_back(rows(length, heads, apart, 0.5));
            all_values.push_back(exact(values.back(), heads));
            job.segments[job.segment_count++] = {values.back().const_data_ptr(), values.back().stride(0),
                                                 static_cast<int>(length)};
        }
        const auto options = at::TensorOptions().device(at::Device(at::kCUDA, 0));
        const at::Tensor out =
            at::full({queries, heads * kDim + apart}, std::nan(""), options.dtype(at::kFloat)).to(at::kBFloat16);
        const at::Tensor lse = at::full({heads, queries}, std::nan(""), options.dtype(at::kFloat));
        const at::Tensor counts = at::zeros({quant::cuda::kHopperCounts}, options.dtype(at::kInt));
        job.heads = static_cast<int>(heads);
        job.queries = static_cast<int>(queries);
        job.scale = 1.0 / std::sqrt(static_cast<double>(kDim));
        job.q = q.const_data_ptr();
        job.q_row = q.stride(0);
        job.k = k.const_data_ptr();
        job.out = out.data_ptr();
        job.out_row = out.stride(0);
        job.lse = lse.data_ptr<float>();
        const at::Tensor places = at::empty({quant::cuda::hopper_place_bytes(job) + 1}, options.dtype(at::kByte));
        job.places = places.data_ptr();
        job.counts = static_cast<unsigned*>(counts.data_ptr());
        const auto launch = [&] {
            const char* refused = quant::cuda::hopper_attend(job, c10::cuda::getCurrentCUDAStream().stream());
            ASSERT_EQ(refused, nullptr) << refused;
        };
        launch();
        const at::Tensor scores = at::matmul(exact(q, heads), exact(k, heads).transpose(1, 2)) * job.scale;
        const at::Tensor wanted = at::matmul(scores.softmax(2), at::cat(all_values, 1)); // [heads, queries, 128]
        const at::Tensor got = exact(out, heads);
        const double error = ((got - wanted).norm() / wanted.norm()).item<double>();
        EXPECT_TRUE(error < 5e-3) << error; // negated, so that a NaN fails
        const double off = (lse.to(at::kCPU, at::kDouble) - scores.logsumexp({2})).abs().max().item<double>();
        EXPECT_TRUE(off < 1e-3) << off;
        EXPECT_TRUE(apart == 0 || out.narrow(1, heads * kDim, apart).isnan().all().item<bool>());
        EXPECT_EQ(counts.abs().max().item<int>(), 0);
        const at::Tensor first = out.clone();
        for (int again = 0; again < 3; ++again) {
            launch();
            EXPECT_TRUE(at::equal(first.narrow(1, 0, heads * kDim), out.narrow(1, 0, heads * kDim)));
        }
        if (heads % 2 == 0) expect_branches(job, first.narrow(1, 0, heads * kDim).view({queries, heads, kDim}));
    }
};

TEST_F(HopperAttend, LengthsThatNoTileDivides) {
    compare(1, 1, {1});
    compare(3, 97, {301});
    compare(2, 128, {176});
    compare(2, 129, {177});
    compare(5, 500, {1000});
}

// Blocks go in pairs where each head has an even number of tiles of 128 queries.
TEST_F(HopperAttend, Pairs) {
    compare(1, 256, {1});
    compare(2, 250, {777, 259, 1, 176, 500});
    compare(3, 400, {530}, 64);
    compare(67, 250, {200});                     // 67 tiles of pairs
    compare(4, 4500, {512});                     // 72
    compare(6, 1000, {1000, 900, 177, 700}, 64); // sections and helpers
}

TEST_F(HopperAttend, RowsThatLieApart) { compare(3, 260, {530}, 64); }

TEST_F(HopperAttend, Segments) {
    compare(2, 300, {777, 259, 1, 176, 500});
    compare(2, 300, {777, 259}, 128);
}

TEST_F(HopperAttend, WholeRoundsAndSharedTiles) {
    compare(67, 300, {200}); // 201 tiles of queries
    compare(4, 4680, {512}); // 148
}

// Tiles of all multiprocessors at once, of which each walks through all keys.
TEST_F(HopperAttend, ScoresBelowZeroAndPeaksThatGrow) {
    int blocks = 0;
    ASSERT_EQ(cudaDeviceGetAttribute(&blocks, cudaDevAttrMultiProcessorCount, 0), cudaSuccess);
    const int pairs = blocks / 2;
    for (const Lean lean :
         {Lean::below, Lean::mixed, Lean::rising, Lean::leaping, Lean::leaping_last, Lean::one_warp, Lean::far}) {
        SCOPED_TRACE(static_cast<int>(lean));
        compare_e4m3(pairs, 250, {1500}, lean);
        compare_e4m3(pairs, 250, {1372}, lean); // a tile less, so that what falls on odd ones falls on even ones
        if (lean == Lean::far) continue;
        compare(pairs, 250, {1500}, 0, lean);
        compare((blocks + 2) / 3, 300, {700, 600, 177}, 0, lean);
    }
}

// Few tiles, whose keys are cut into parts.
TEST_F(HopperAttend, PartsWithPeaksThatLieApart) {
    for (const Lean lean : {Lean::below, Lean::mixed, Lean::rising, Lean::leaping, Lean::far}) {
        SCOPED_TRACE(static_cast<int>(lean));
        compare_e4m3(2, 300, {1500}, lean);
        if (lean == Lean::far) continue;
        compare(2, 300, {1500}, 0, lean);
        compare(1, 130, {700, 600, 177}, 0, lean);
    }
}

TEST_F(HopperAttend, E4m3) {
    compare_e4m3(1, 1, {1});
    compare_e4m3(2, 128, {128});
    compare_e4m3(3, 97, {301});
    compare_e4m3(2, 300, {777, 259, 1, 176, 500}); // runs end inside of sixteen columns
    compare_e4m3(67, 300, {200});
    compare_e4m3(1, 200, {20001});
}

TEST_F(HopperAttend, LongRows) { compare(1, 200, {20000, 3001}); }

TEST_F(HopperAttend, RefusesWithWords) {
    HopperJob job;
    const auto refused_for = [&](const char* words) {
        const char* const why = quant::cuda::hopper_attend(job, nullptr);
        return why && std::string(why).find(words) != std::string::npos;
    };
    EXPECT_TRUE(refused_for("needs queries"));
    job.heads = job.queries = job.segment_count = 1;
    job.branch_heads = 1; // of how many?
    EXPECT_TRUE(refused_for("second branch"));
    job.heads = 2; // but no matrices
    EXPECT_TRUE(refused_for("second branch"));
}

} // namespace
} // namespace wander::test
