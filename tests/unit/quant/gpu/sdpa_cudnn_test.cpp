// cuDNN attention against the plain float loop: output and log-sum-exp, lengths that no tile divides, slices that
// merge.
#include "quant/cuda/sdpa_cudnn.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace wander::test {
namespace {

using quant::cuda::SdpaJob;
using quant::cuda::SdpaType;

struct Rows {
    at::Tensor exact;   // float, CPU [tokens, heads, head_dim]: what the stored values mean
    at::Tensor stored;  // device, in the type of the job
    at::Tensor descale; // device float [1]
};

struct Attended {
    std::vector<float> out; // [queries][heads][head_dim]
    std::vector<float> lse; // [heads][queries]
};

// The obvious loop.
Attended plain(const Rows& q, const Rows& k, const Rows& v, double scale) {
    const std::int64_t queries = q.exact.size(0), keys = k.exact.size(0), heads = q.exact.size(1),
                       dim = q.exact.size(2);
    const auto at = [&](const Rows& rows, std::int64_t token, std::int64_t head) {
        return rows.exact.const_data_ptr<float>() + (token * heads + head) * dim;
    };
    Attended result{std::vector<float>(static_cast<std::size_t>(queries * heads * dim)),
                    std::vector<float>(static_cast<std::size_t>(heads * queries))};
    std::vector<double> weights(static_cast<std::size_t>(keys));
    std::vector<double> sum(static_cast<std::size_t>(dim));
    for (std::int64_t head = 0; head < heads; ++head) {
        for (std::int64_t query = 0; query < queries; ++query) {
            double total = 0;
            sum.assign(sum.size(), 0.0);
            for (std::int64_t key = 0; key < keys; ++key) {
                double score = 0;
                for (std::int64_t c = 0; c < dim; ++c)
                    score += static_cast<double>(at(q, query, head)[c]) * static_cast<double>(at(k, key, head)[c]);
                const double weight = std::exp(score * scale); // small scores: no maximum needed
                total += weight;
                for (std::int64_t c = 0; c < dim; ++c)
                    sum[static_cast<std::size_t>(c)] += weight * static_cast<double>(at(v, key, head)[c]);
            }
            for (std::int64_t c = 0; c < dim; ++c)
                result.out[static_cast<std::size_t>((query * heads + head) * dim + c)] =
                    static_cast<float>(sum[static_cast<std::size_t>(c)] / total);
            result.lse[static_cast<std::size_t>(head * queries + query)] = static_cast<float>(std::log(total));
        }
    }
    return result;
}

double relative(const std::vector<float>& a, const std::vector<float>& b) {
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
        difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
        size += std::pow(static_cast<double>(b[i]), 2);
    }
    return std::sqrt(difference / size);
}

double largest(const std::vector<float>& a, const std::vector<float>& b) {
    double worst = 0;
    for (std::size_t i = 0; i < b.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    return worst;
}

class SdpaCudnn : public testing::Test {
protected:
    void SetUp() override {
        if (!open_cuda()) FAIL() << "no CUDA device";
        at::manual_seed(11);
    }

    static Rows make_rows(SdpaType type, std::int64_t tokens, std::int64_t heads, std::int64_t dim) {
        const at::Tensor values = at::randn({tokens, heads, dim}) + at::randn({1, heads, dim});
        Rows rows;
        rows.descale = (values.abs().amax() / 448.0).reshape({1});
        if (type == SdpaType::bfloat16) {
            rows.stored = values.to(at::kBFloat16);
            rows.exact = rows.stored.to(at::kFloat);
        } else {
            rows.stored = (values / rows.descale).to(at::kFloat8_e4m3fn);
            rows.exact = rows.stored.to(at::kFloat) * rows.descale;
        }
        rows.stored = rows.stored.to(at::Device(at::kCUDA, 0));
        rows.descale = rows.descale.to(at::Device(at::kCUDA, 0));
        return rows;
    }

    static SdpaJob job_of(SdpaType type, const Rows& q, const Rows& k, const Rows& v) {
        SdpaJob job;
        job.type = type;
        job.heads = static_cast<int>(q.exact.size(1));
        job.head_dim = static_cast<int>(q.exact.size(2));
        job.queries = q.exact.size(0);
        job.keys = k.exact.size(0);
        job.scale = 1.0 / std::sqrt(static_cast<double>(job.head_dim));
        job.q = q.stored.const_data_ptr();
        job.k = k.stored.const_data_ptr();
        job.v = v.stored.const_data_ptr();
        return job;
    }

    // Runs the job into poisoned memory; `apart`: rows of queries and output lie further apart than they are long.
    static Attended attend(SdpaJob job, const Rows& q, const Rows& k, const Rows& v, bool apart) {
        const auto options = at::TensorOptions().device(at::Device(at::kCUDA, 0));
        const bool e4m3 = job.type == SdpaType::e4m3;
        const std::int64_t row = static_cast<std::int64_t>(job.heads) * job.head_dim;
        const std::int64_t room = apart ? row + 64 : row;
        at::Tensor out = at::full({job.queries, room}, std::nan(""), options.dtype(at::kBFloat16));
        if (e4m3) out = out.to(at::kFloat8_e4m3fn);
        at::Tensor queries = q.stored.flatten(1);
        if (apart) {
            queries = at::empty({job.queries, room}, queries.options());
            queries.narrow(1, 0, row).copy_(q.stored.flatten(1));
            job.q = queries.const_data_ptr();
            job.q_row = room;
            job.out_row = room;
        }
        const at::Tensor lse = at::full({job.heads, job.queries}, std::nan(""), options.dtype(at::kFloat));
        const at::Tensor descale = at::cat({q.descale, k.descale, v.descale});
        // In the order of E4m3Factors.
        const at::Tensor factors =
            at::cat({1 / descale, descale, at::tensor({1.0F / 256, 256.0F, 0.0F, 0.0F}, descale.options())});
        job.factors = reinterpret_cast<quant::cuda::E4m3Factors*>(factors.data_ptr());
        job.out = out.data_ptr();
        job.lse = lse.data_ptr<float>();
        quant::cuda::attend(job);
        const auto host = [](const at::Tensor& tensor) {
            const at::Tensor flat = tensor.to(at::kCPU, at::kFloat).flatten().contiguous();
            return std::vector<float>(flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel());
        };
        at::Tensor wide = out.to(at::kFloat).narrow(1, 0, row);
        if (e4m3) wide = wide * v.descale;
        return {host(wide), host(lse)};
    }

    static void compare(SdpaType type, std::int64_t queries, std::int64_t keys, std::int64_t heads, std::int64_t dim,
                        bool apart = false) {
        if (!quant::cuda::sdpa_supports(type, 0)) GTEST_SKIP() << "no such attention in this build or on this GPU";
        SCOPED_TRACE(testing::Message() << queries << " queries, " << keys << " keys, " << heads << " x " << dim);
        const Rows q = make_rows(type, queries, heads, dim);
        const Rows k = make_rows(type, keys, heads, dim);
        const Rows v = make_rows(type, keys, heads, dim);
        const SdpaJob job = job_of(type, q, k, v);
        const Attended got = attend(job, q, k, v, apart);
        const Attended wanted = plain(q, k, v, job.scale);
        const bool e4m3 = type == SdpaType::e4m3;
        // Negated, so that a NaN fails.
        EXPECT_TRUE(relative(got.out, wanted.out) < (e4m3 ? 5e-2 : 2e-2)) << relative(got.out, wanted.out);
        EXPECT_TRUE(largest(got.lse, wanted.lse) < (e4m3 ? 2e-2 : 1e-3)) << largest(got.lse, wanted.lse);
    }
};

TEST_F(SdpaCudnn, Bfloat16) {
    compare(SdpaType::bfloat16, 84, 336, 5, 64);
    compare(SdpaType::bfloat16, 97, 301, 3, 128, true);
    compare(SdpaType::bfloat16, 1, 1, 1, 64);
}

TEST_F(SdpaCudnn, E4m3) {
    compare(SdpaType::e4m3, 128, 512, 2, 128);
    compare(SdpaType::e4m3, 97, 301, 3, 128, true);
    compare(SdpaType::e4m3, 84, 336, 5, 64);
}

// What makes attention fast is cuDNN's own fused kernel: another engine would be right, and slow.
TEST_F(SdpaCudnn, RunsInAnEngineOfCudnn) {
    if (!quant::cuda::sdpa_supports(SdpaType::bfloat16, 0)) GTEST_SKIP() << "no cuDNN attention in this build";
    const Rows rows = make_rows(SdpaType::bfloat16, 256, 2, 128);
    const std::string engine = quant::cuda::prepare(job_of(SdpaType::bfloat16, rows, rows, rows));
    EXPECT_NE(engine.find("eng"), std::string::npos) << engine;
}

// The plan of a shape is kept: factors and pointers of a later call must be that call's.
TEST_F(SdpaCudnn, ASecondCallOfAShapeTakesItsOwnValues) {
    compare(SdpaType::e4m3, 64, 256, 2, 128);
    compare(SdpaType::e4m3, 64, 256, 2, 128);
}

TEST_F(SdpaCudnn, RefusesWithWords) {
    if (!quant::cuda::sdpa_supports(SdpaType::bfloat16, 0)) GTEST_SKIP() << "no cuDNN attention in this build";
    const Rows rows = make_rows(SdpaType::bfloat16, 4, 1, 64);
    SdpaJob job = job_of(SdpaType::bfloat16, rows, rows, rows);
    job.head_dim = 20;
    EXPECT_THROW(quant::cuda::attend(job), c10::Error);
    job = job_of(SdpaType::bfloat16, rows, rows, rows);
    job.keys = 0;
    EXPECT_THROW(quant::cuda::attend(job), c10::Error);
}

} // namespace
} // namespace wander::test
