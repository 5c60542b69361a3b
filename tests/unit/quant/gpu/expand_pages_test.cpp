// Packed pages expanded on the device, keys and values by one launch, against decode_rows() on the CPU and a turn in
// float. Values and what is not turned: no tolerance; turned keys 1e-5 of the largest, for products may be fused.
#include "quant/cuda/expand.hpp"
#include "quant/format.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace wander::quant {
namespace {

constexpr int kHeads = 5;
constexpr int kFirstHead = 1, kHeadCount = 3; // that are read

struct PageRun {
    int page = 0;
    int first_row = 0;
    int rows = 0;
    int table_latent = 0;
};

// Whole pages; pages of which the first latent is gone; less than a latent; borders inside latents.
const std::vector<std::vector<PageRun>> kReads = {
    {{0, 0, 0, 0}, {1, 0, 0, 5}}, {{0, 1, 0, 0}, {1, 0, 0, 4}}, {{0, 3, 17, 1}}, {{1, 5, -9, 2}, {0, 0, 1, 0}}};

class ExpandPages : public testing::Test {
protected:
    void SetUp() override {
        if (!test::open_cuda()) FAIL() << "no CUDA device";
    }
};

at::Tensor floats(const std::vector<std::int64_t>& sizes, std::uint64_t seed) {
    return at::randn(sizes, at::detail::createCPUGenerator(seed));
}

at::Tensor angles(std::int64_t rows, int head_dim, std::uint64_t seed) {
    const at::Tensor angle = 3 * floats({rows, head_dim / 2}, seed);
    return at::stack({angle.cos(), angle.sin()}, 2).contiguous();
}

struct Pages {
    Pages(const PageFormat& of, const PageShape& key_shape) : format(of), shape(key_shape) {
        for (int page = 0; page < 2; ++page) {
            for (const bool is_key : {true, false}) {
                const std::uint64_t seed = static_cast<std::uint64_t>(2 * page + (is_key ? 1 : 2));
                const at::Tensor centres = 3 * floats({7, shape.heads, shape.head_dim}, seed);
                const at::Tensor member = at::arange(shape.tokens, at::kLong).remainder(7);
                const at::Tensor source = (at::index_select(centres, 0, member) +
                                           0.5 * floats({shape.tokens, shape.heads, shape.head_dim}, seed + 50))
                                              .to(shape.compute)
                                              .contiguous()
                                              .cuda();
                PageShape its = shape;
                its.is_key = is_key;
                at::Tensor bytes =
                    at::zeros({format.bytes(its, {}).total()}, at::TensorOptions(at::kByte).device(at::kCUDA));
                format.encode(source, its, {}, bytes);
                const at::Tensor on_host = bytes.cpu();
                at::Tensor decoded = at::empty({shape.heads, shape.tokens, shape.head_dim});
                for (int head = 0; head < shape.heads; ++head) {
                    format.decode_rows(on_host.data_ptr<std::uint8_t>(), its, {}, head, 0, shape.tokens,
                                       decoded[head].data_ptr<float>());
                }
                (is_key ? keys : values).push_back(bytes);
                (is_key ? key_rows : value_rows).push_back(decoded.transpose(0, 1).contiguous());
            }
        }
    }
    const PageFormat& format;
    PageShape shape;
    std::vector<at::Tensor> keys, values;         // packed
    std::vector<at::Tensor> key_rows, value_rows; // [tokens, heads, head_dim] float
};

// Rows of whole reads stand for "to the end of the page" and less.
std::vector<PageRun> resolved(std::vector<PageRun> runs, int tokens, int tokens_per_latent) {
    for (PageRun& run : runs) {
        if (run.first_row == 1) run.first_row = tokens_per_latent;
        if (run.rows <= 0) run.rows += tokens - run.first_row;
    }
    return runs;
}

at::Tensor turned(const at::Tensor& rows, const at::Tensor& time, const at::Tensor& space, int time_pairs,
                  const PageRun& run, int tokens_per_latent) {
    const at::Tensor token = at::arange(run.first_row, run.first_row + run.rows, at::kLong);
    const at::Tensor latent = token.div(tokens_per_latent, "floor");
    const at::Tensor of_time = at::index_select(time, 0, latent + run.table_latent);
    const at::Tensor of_space = at::index_select(space, 0, token - latent * tokens_per_latent);
    const at::Tensor both =
        at::cat({of_time.narrow(1, 0, time_pairs), of_space.narrow(1, time_pairs, of_space.size(1) - time_pairs)}, 1);
    const at::Tensor cosine = both.select(2, 0).unsqueeze(1), sine = both.select(2, 1).unsqueeze(1);
    const at::Tensor pairs = rows.view({rows.size(0), rows.size(1), -1, 2});
    const at::Tensor x = pairs.select(3, 0), y = pairs.select(3, 1);
    return at::stack({x * cosine - y * sine, y * cosine + x * sine}, 3).view(rows.sizes());
}

// with_plain: rows of plain memory stand behind those of pages.
void check(const Pages& pages, int time_pairs, const std::vector<PageRun>& runs, at::ScalarType type, bool with_plain) {
    const PageShape& shape = pages.shape;
    const PageRun plain{0, 5, 2 * shape.tokens_per_latent - 9, 3};
    const at::Tensor dense =
        floats({plain.first_row + plain.rows, shape.heads, shape.head_dim}, 33).to(shape.compute).cuda();
    const at::Tensor time = angles(12, shape.head_dim, 90), space = angles(shape.tokens_per_latent, shape.head_dim, 91);
    const at::Tensor device_time = time.cuda(), device_space = space.cuda();
    const cuda::DeviceTables tables{device_time.const_data_ptr<float>(), device_space.const_data_ptr<float>(),
                                    time_pairs, shape.tokens_per_latent};
    cuda::ExpandJob job;
    job.heads = shape.heads;
    job.head_dim = shape.head_dim;
    job.first_head = kFirstHead;
    job.head_count = kHeadCount;
    job.tables = &tables;
    job.rotary = true;
    job.element = type == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16;
    std::vector<at::Tensor> expected_keys, expected_values;
    int out_row = 0;
    for (const PageRun& run : runs) {
        const auto page = static_cast<std::size_t>(run.page);
        job.runs[job.run_count++] = {
            pages.keys[page].const_data_ptr(), run.first_row, run.first_row, run.rows, run.table_latent, out_row, 0};
        out_row += run.rows;
        const at::Tensor rows = pages.key_rows[page].narrow(0, run.first_row, run.rows);
        expected_keys.push_back(turned(rows.narrow(1, kFirstHead, kHeadCount).contiguous(), time, space, time_pairs,
                                       run, shape.tokens_per_latent));
        expected_values.push_back(
            pages.value_rows[page].narrow(0, run.first_row, run.rows).narrow(1, kFirstHead, kHeadCount));
    }
    if (with_plain) {
        job.source_element = cuda::Element::bfloat16;
        job.runs[job.run_count++] = {dense.const_data_ptr(),
                                     plain.first_row,
                                     plain.first_row,
                                     plain.rows,
                                     plain.table_latent,
                                     out_row,
                                     std::int64_t{shape.heads} * shape.head_dim,
                                     true};
        out_row += plain.rows;
        const at::Tensor rows = dense.cpu().to(at::kFloat).narrow(0, plain.first_row, plain.rows);
        const at::Tensor read = rows.narrow(1, kFirstHead, kHeadCount).contiguous();
        expected_keys.push_back(turned(read, time, space, time_pairs, plain, shape.tokens_per_latent));
        expected_values.push_back(read);
    }
    job.value_runs = job.run_count;
    for (int i = 0; i < job.value_runs; ++i) {
        job.runs[job.run_count] = job.runs[i];
        if (!job.runs[i].plain) {
            job.runs[job.run_count].source =
                pages.values[static_cast<std::size_t>(runs[static_cast<std::size_t>(i)].page)].const_data_ptr();
        }
        ++job.run_count;
    }
    const auto options = at::TensorOptions(type).device(at::kCUDA);
    const at::Tensor keys = at::full({out_row, kHeadCount, shape.head_dim}, -77, options);
    const at::Tensor values = at::full_like(keys, -77);
    job.out = keys.data_ptr();
    job.out_of_values = values.data_ptr();
    ASSERT_TRUE(pages.format.expand(job, shape, {}, c10::cuda::getCurrentCUDAStream().stream()));
    EXPECT_TRUE(values.cpu().equal(at::cat(expected_values).to(type)));
    const at::Tensor expected = at::cat(expected_keys);
    const double largest = expected.abs().max().item<double>();
    const double off = (keys.cpu().to(at::kFloat) - expected).abs().max().item<double>();
    EXPECT_LT(off, largest * (type == at::kFloat ? 1e-5 : 5e-3));
}

TEST_F(ExpandPages, KeysAndValuesByOneLaunch) {
    for (const char* name : {"int2", "qvg-int2", "qvg-pro", "pca2", "int8", "int4", "quarot2"}) {
        const PageFormat& format = *FormatRegistry::instance().find(name);
        ASSERT_TRUE(format.keys_like_values()) << name;
        for (const int head_dim : {64, 128}) {
            for (const int latents : {1, 3, 4, 7}) {
                constexpr int kTokensPerLatent = 96;
                const Pages pages(
                    format, {latents * kTokensPerLatent, kHeads, head_dim, true, at::kBFloat16, kTokensPerLatent});
                for (const int time_pairs : {22, 11, 0}) {
                    for (const auto& read : kReads) {
                        SCOPED_TRACE(testing::Message() << name << ", head " << head_dim << ", latents " << latents
                                                        << ", pairs of time " << time_pairs);
                        const auto runs = resolved(read, pages.shape.tokens, latents > 1 ? kTokensPerLatent : 1);
                        check(pages, time_pairs, runs, at::kFloat, false);
                        check(pages, time_pairs, runs, at::kBFloat16, format.takes_plain_runs());
                    }
                }
            }
        }
    }
}

} // namespace
} // namespace wander::quant
