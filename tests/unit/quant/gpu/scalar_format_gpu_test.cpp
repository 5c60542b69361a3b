// The scalar formats on the device against the CPU: the same bytes, the same values. No tolerance.
#include "quant/cuda/expand.hpp"
#include "quant/format.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>
#include <gtest/gtest.h>

#include <vector>

namespace wander::quant {
namespace {

const char* const kScalar[] = {"fp8",   "int8", "int4",    "int4-g16", "kivi4",
                               "kivi2", "k4v2", "quarot4", "quarot2",  "prq4"};

struct Size {
    int tokens;
    int heads;
    int head_dim;
};
constexpr Size kSizes[] = {{336, 5, 64}, {84, 5, 64}, {97, 2, 128}, {131, 1, 32},
                           {7, 3, 256},  {50, 1, 96}, {33, 2, 16},  {4680, 2, 128}};

class ScalarFormatGpu : public testing::Test {
protected:
    void SetUp() override {
        if (!test::open_cuda()) {
            FAIL() << "no CUDA device";
        }
    }
};

const PageFormat& format(const char* name) { return *FormatRegistry::instance().find(name); }

// Offsets by channel, sizes by head and by token, some zero rows, some outliers.
at::Tensor source_of(const Size& size, at::ScalarType type) {
    at::manual_seed(9);
    at::Tensor rows = at::randn({size.tokens, size.heads, size.head_dim}) * at::rand({size.tokens, 1, 1}).add(0.1) +
                      3 * at::randn({1, size.heads, size.head_dim});
    rows.mul_(at::pow(30, at::randn({1, size.heads, 1})));
    rows.select(0, size.tokens / 2).zero_();
    rows.select(2, 3).zero_();
    rows.select(2, 5).mul_(100);
    return rows.to(type);
}

at::Tensor page_for(const PageFormat& of, const PageShape& shape, at::Device device) {
    return at::full({of.bytes(shape, {}).total()}, 0xCD, at::TensorOptions(at::kByte).device(device));
}

template <class Check>
void for_all(const Check& check) {
    for (const char* name : kScalar) {
        for (const Size& size : kSizes) {
            for (const bool is_key : {true, false}) {
                for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
                    const PageShape shape{size.tokens, size.heads, size.head_dim, is_key, type};
                    if (format(name).supports(shape)) {
                        check(format(name), shape, source_of(size, type));
                    }
                }
            }
        }
    }
}

TEST_F(ScalarFormatGpu, PagesAreThoseOfTheCpu) {
    for_all([](const PageFormat& of, const PageShape& shape, const at::Tensor& source) {
        at::Tensor wanted = page_for(of, shape, at::kCPU);
        of.encode(source, shape, {}, wanted);
        // Two in one launch.
        std::vector<EncodeJob> jobs;
        for (int i = 0; i < 2; ++i) {
            jobs.push_back({source.cuda(), page_for(of, shape, at::kCUDA), shape, {}});
        }
        of.encode_all(jobs);
        for (const EncodeJob& job : jobs) {
            EXPECT_EQ(job.page.cpu().ne(wanted).sum().item<std::int64_t>(), 0)
                << of.name() << " " << shape.tokens << " x " << shape.heads << " x " << shape.head_dim << " key "
                << shape.is_key << " " << c10::toString(shape.compute);
        }
    });
}

TEST_F(ScalarFormatGpu, RowsAreReadAsOnTheCpu) {
    for_all([](const PageFormat& of, const PageShape& shape, const at::Tensor& source) {
        at::Tensor page = page_for(of, shape, at::kCPU);
        of.encode(source, shape, {}, page);
        const at::Tensor on_device = page.cuda();
        const int first = shape.tokens / 3;
        const int rows = shape.tokens - first - shape.tokens / 5;
        const at::Tensor out = at::full({rows, shape.heads, shape.head_dim}, 7.0, at::TensorOptions(at::kCUDA));
        cuda::ExpandJob job;
        job.runs[0] = {on_device.const_data_ptr(), first, 0, rows, 0, 0};
        job.run_count = 1;
        job.heads = shape.heads;
        job.head_dim = shape.head_dim;
        job.head_count = shape.heads;
        job.element = cuda::Element::float32;
        job.out = out.data_ptr();
        ASSERT_TRUE(of.expand(job, shape, {}, c10::cuda::getCurrentCUDAStream().stream()));
        const at::Tensor got = out.cpu();
        at::Tensor wanted = at::empty({rows, shape.head_dim});
        for (int head = 0; head < shape.heads; ++head) {
            of.decode_rows(page.const_data_ptr<std::uint8_t>(), shape, {}, head, first, first + rows,
                           wanted.data_ptr<float>());
            EXPECT_TRUE(got.select(1, head).equal(wanted))
                << of.name() << " " << shape.tokens << " x " << shape.heads << " x " << shape.head_dim << " key "
                << shape.is_key << " head " << head;
        }
    });
}

} // namespace
} // namespace wander::quant
