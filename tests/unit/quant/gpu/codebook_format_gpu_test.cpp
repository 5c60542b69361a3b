// Formats with several stages, bases, session codebooks and summaries on the device against the CPU: the same bytes of
// pages and codebooks, the same values. No tolerance.
#include "quant/cache/codebook_store.hpp"
#include "quant/cuda/expand.hpp"
#include "quant/format.hpp"
#include "quant/qvg/page_rules.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace wander::quant {
namespace {

const char* const kFormats[] = {"qvg-pro", "pca2", "qvg-stream", "soft4"};

const PageShape kShapes[] = {{336, 5, 64, true, at::kFloat, 84},       {84, 5, 64, false, at::kFloat, 84},
                             {100, 2, 128, true, at::kBFloat16, 25},   {132, 1, 32, false, at::kFloat, 33},
                             {48, 1, 96, true, at::kBFloat16, 12},     {640, 2, 256, false, at::kBFloat16, 160},
                             {4680, 2, 128, true, at::kBFloat16, 1560}};

class CodebookFormatGpu : public testing::Test {
protected:
    void SetUp() override {
        if (!test::open_cuda()) {
            FAIL() << "no CUDA device";
        }
    }
};

const PageFormat& format(const std::string& name) { return *FormatRegistry::instance().find(name); }

at::Tensor source_of(const PageShape& shape, std::uint64_t seed) {
    const at::Generator generator = at::detail::createCPUGenerator(seed);
    const at::Tensor directions = at::randn({6, shape.heads, shape.head_dim}, generator);
    const at::Tensor weights = at::randn({shape.tokens, 6}, generator);
    return (at::einsum("tr,rhd->thd", {weights, directions}) +
            3 * at::randn({1, shape.heads, shape.head_dim}, generator) +
            0.5 * at::randn({shape.tokens, shape.heads, shape.head_dim}, generator))
        .to(shape.compute)
        .contiguous();
}

// Packs pages one after another as a walk does; with their codebooks.
class Side {
public:
    Side(const PageFormat& format, at::Device device) : format_(format), device_(device), arena_(device) {}

    void pack(const PageShape& shape, const at::Tensor& source, std::uint64_t seed) {
        EncodeJob job{source.to(device_), {}, shape, {}};
        job.options.seed = seed;
        job.options.kept = 0b0101;
        book = nullptr;
        const auto* trainer = dynamic_cast<const CodebookTrainer*>(&format_);
        if (trainer) {
            book = store_.for_page(*trainer, 0, job);
            job.options.codebook = book.get();
        }
        job.page =
            at::full({format_.bytes(shape, job.options).total()}, 0xCD, at::TensorOptions(at::kByte).device(device_));
        std::vector<EncodeJob> jobs{job};
        format_.encode_all(jobs);
        if (trainer) {
            store_.note_packed(*trainer, 0, job);
        }
        page = job.page;
        options = job.options;
    }

    at::Tensor page;
    EncodeOptions options;
    std::shared_ptr<const Codebook> book;

private:
    const PageFormat& format_;
    at::Device device_;
    PageArena arena_;
    CodebookStore store_{arena_};
};

template <class Check>
void for_all(const Check& check) {
    for (const char* name : kFormats) {
        for (const PageShape& shape : kShapes) {
            if (format(name).supports(shape)) {
                SCOPED_TRACE(testing::Message() << name << " " << shape.tokens << " x " << shape.heads << " x "
                                                << shape.head_dim << " " << shape.compute);
                check(format(name), shape);
            }
        }
    }
}

TEST_F(CodebookFormatGpu, PagesAreThoseOfTheCpu) {
    for_all([](const PageFormat& of, const PageShape& shape) {
        Side cpu(of, at::kCPU);
        Side gpu(of, at::kCUDA);
        const at::Tensor source = source_of(shape, 3);
        cpu.pack(shape, source, 11);
        gpu.pack(shape, source, 11);
        if (cpu.book) {
            EXPECT_TRUE(gpu.book->memory.cpu().equal(cpu.book->memory)) << "codebook";
        }
        EXPECT_EQ(gpu.page.cpu().ne(cpu.page).sum().item<std::int64_t>(), 0);
    });
}

TEST_F(CodebookFormatGpu, CodebooksOfManyPagesAreThoseOfTheCpu) {
    for (const PageShape& shape : kShapes) {
        if (shape.tokens > 1000) {
            continue;
        }
        Side cpu(format("qvg-stream"), at::kCPU);
        Side gpu(format("qvg-stream"), at::kCUDA);
        for (std::uint64_t n = 0; n < 2 * qvg::kSessionPages + 1; ++n) {
            const at::Tensor source = source_of(shape, 20 + n);
            cpu.pack(shape, source, n);
            gpu.pack(shape, source, n);
        }
        EXPECT_EQ(gpu.book->version, 3U);
        EXPECT_TRUE(gpu.book->memory.cpu().equal(cpu.book->memory)) << shape.tokens << " x " << shape.head_dim;
        EXPECT_TRUE(gpu.page.cpu().equal(cpu.page));
    }
}

TEST_F(CodebookFormatGpu, SeveralPagesInOneCallAreThePagesOneByOne) {
    for (const char* name : {"qvg-pro", "pca2", "soft4"}) {
        const PageShape& shape = kShapes[0];
        std::vector<EncodeJob> jobs;
        for (std::uint64_t n = 0; n < 5; ++n) {
            EncodeJob job{source_of(shape, 40 + n).cuda(), {}, shape, {}};
            job.options.seed = n;
            job.options.kept = 0b1001;
            job.page = at::empty({format(name).bytes(shape, job.options).total()},
                                 at::TensorOptions(at::kByte).device(at::kCUDA));
            jobs.push_back(job);
        }
        format(name).encode_all(jobs);
        for (const EncodeJob& job : jobs) {
            at::Tensor alone = at::empty_like(job.page);
            format(name).encode(job.source, shape, job.options, alone);
            EXPECT_TRUE(alone.equal(job.page)) << name;
        }
    }
}

TEST_F(CodebookFormatGpu, RowsAreReadAsOnTheCpu) {
    for_all([](const PageFormat& of, const PageShape& shape) {
        Side cpu(of, at::kCPU);
        Side gpu(of, at::kCUDA);
        const at::Tensor source = source_of(shape, 5);
        cpu.pack(shape, source, 12);
        gpu.pack(shape, source, 12);
        const StoredLatent last = of.stored(shape, cpu.options, shape.latents() - 1);
        const StoredLatent before = of.stored(shape, cpu.options, std::max(0, shape.latents() - 2));
        const int rows = std::max(last.row + last.rows, before.row + before.rows);
        const int first = rows / 5;
        const at::Tensor out =
            at::empty({rows - first, shape.heads, shape.head_dim}, at::TensorOptions(at::kFloat).device(at::kCUDA));
        cuda::ExpandJob job;
        job.runs[0] = {gpu.page.const_data_ptr(), first, first, rows - first, 0, 0};
        job.run_count = 1;
        job.heads = shape.heads;
        job.head_dim = shape.head_dim;
        job.head_count = shape.heads;
        job.out = out.data_ptr();
        ASSERT_TRUE(of.expand(job, shape, gpu.options, c10::cuda::getCurrentCUDAStream().stream()));
        const at::Tensor got = out.cpu();
        at::Tensor wanted = at::empty({rows - first, shape.head_dim}, at::kFloat);
        for (int head = 0; head < shape.heads; ++head) {
            of.decode_rows(cpu.page.data_ptr<std::uint8_t>(), shape, cpu.options, head, first, rows,
                           wanted.data_ptr<float>());
            EXPECT_TRUE(got.select(1, head).equal(wanted)) << "head " << head;
        }
    });
}

} // namespace
} // namespace wander::quant
