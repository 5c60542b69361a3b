#include "quant/formats/qvg_format.hpp"

#include "quant/cache/codebook_store.hpp"
#include "quant/qvg/page_encoder.hpp"
#include "quant/qvg/page_rules.hpp"

#include <ATen/Functions.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <string>
#include <vector>

#if WANDER_CUDA
#include "quant/cuda/qvg_encode.hpp"

#include <c10/cuda/CUDAStream.h>
#endif

namespace wander::quant {
namespace {

const std::uint16_t* centroids_of(const Codebook* book) {
    return book ? static_cast<const std::uint16_t*>(book->centroids.const_data_ptr()) : nullptr;
}

const std::uint8_t* book_of(const Codebook* book) {
    return book ? static_cast<const std::uint8_t*>(book->centroids.const_data_ptr()) : nullptr;
}

void encode_on_device([[maybe_unused]] const std::vector<EncodeJob>& jobs, [[maybe_unused]] const QvgPageLayout& layout,
                      [[maybe_unused]] QvgGrid grid) {
#if WANDER_CUDA
    const at::Tensor& first = jobs.front().page;
    // Later stages read the residual of the one before from the scratch, as large as the source in bfloat16: 55 MiB
    // at the 1.3B shape.
    const int most = cuda::keeps_residual(layout) ? 4 : cuda::kMaxPages;
    const int together = static_cast<int>(std::min<std::size_t>(jobs.size(), static_cast<std::size_t>(most)));
    const at::Tensor scratch = at::empty({cuda::encode_scratch_bytes(layout, together)}, first.options());
    cuda::EncodeBatch batch;
    batch.bf16 = jobs.front().source.scalar_type() == at::kBFloat16;
    batch.grid = grid;
    batch.layout = layout;
    batch.scratch = scratch.data_ptr();
    for (std::size_t begin = 0; begin < jobs.size(); begin += static_cast<std::size_t>(together)) {
        batch.count = static_cast<int>(std::min<std::size_t>(jobs.size() - begin, static_cast<std::size_t>(together)));
        for (int i = 0; i < batch.count; ++i) {
            const EncodeJob& job = jobs[begin + static_cast<std::size_t>(i)];
            batch.pages[i] = {job.source.const_data_ptr(),
                              job.page.data_ptr<std::uint8_t>(),
                              job.options.seed,
                              job.shape.is_key,
                              centroids_of(job.options.codebook),
                              job.options.codebook ? job.options.codebook->version : 0};
        }
        const cudaError_t error =
            cuda::encode_pages(batch, c10::cuda::getCurrentCUDAStream(first.device().index()).stream());
        TORCH_CHECK(error == cudaSuccess, "QvgFormat: packing on the GPU failed: ", cudaGetErrorString(error));
    }
#else
    TORCH_CHECK(false, "QvgFormat: this build has no CUDA kernels");
#endif
}

} // namespace

QvgPageLayout QvgFormat::layout(const PageShape& shape, const EncodeOptions& options) const {
    const int centroids = options.codebook        ? options.codebook->count
                          : options.centroids > 0 ? options.centroids
                                                  : default_centroids(shape);
    // The mean that every page has is a codebook of one already.
    const int least = kind_.stages.session ? 2 : 1;
    return qvg_page_layout(shape.tokens, shape.heads, shape.head_dim, std::max(centroids, least), kind_.stages);
}

Result<void> QvgFormat::supports(const PageShape& shape) const {
    const std::string what = "cache format \"" + std::string(name()) + "\"";
    if (qvg_block(shape.head_dim) == 0) {
        return Error{ErrorCode::wrong_use, what + " needs a head dimension that 16 divides, this model has " +
                                               std::to_string(shape.head_dim) + "; use bf16"};
    }
    if (shape.head_dim > kQvgMaxHeadDim) {
        return Error{ErrorCode::wrong_use, what + " takes head dimensions up to " + std::to_string(kQvgMaxHeadDim) +
                                               ", this model has " + std::to_string(shape.head_dim) + "; use bf16"};
    }
    if (shape.tokens > qvg::kMaxTokens) {
        return Error{ErrorCode::wrong_use, what + " takes pages of up to " + std::to_string(qvg::kMaxTokens) +
                                               " tokens, this model has " + std::to_string(shape.tokens) +
                                               "; use int4"};
    }
    return smaller_than_bf16(name(), shape, layout(shape, {}).total_bytes);
}

PageBytes QvgFormat::bytes(const PageShape& shape, const EncodeOptions& options) const {
    const QvgPageLayout page = layout(shape, options);
    PageBytes bytes;
    bytes.codes = page.code_bytes();
    bytes.scales = page.scale_bytes();
    bytes.codebooks = page.id_bytes() + page.centroid_bytes() + page.book_id_bytes() + page.basis_bytes() +
                      page.span_bytes() + page.weight_bytes();
    bytes.headers = page.total_bytes - bytes.codes - bytes.scales - bytes.codebooks;
    return bytes;
}

void QvgFormat::encode(const at::Tensor& source, const PageShape& shape, const EncodeOptions& options,
                       at::Tensor& page) const {
    std::vector<EncodeJob> jobs{{source, page, shape, options}};
    encode_all(jobs);
}

void QvgFormat::encode_all(std::vector<EncodeJob>& jobs) const {
    if (jobs.empty()) {
        return;
    }
    const QvgPageLayout page_layout = layout(jobs.front().shape, jobs.front().options);
    for (const EncodeJob& job : jobs) {
        TORCH_CHECK(job.source.is_contiguous() && job.source.numel() == job.shape.values(),
                    "QvgFormat: source must be contiguous [tokens, heads, head_dim]");
        TORCH_CHECK(job.source.scalar_type() == at::kFloat || job.source.scalar_type() == at::kBFloat16,
                    "QvgFormat: float or bfloat16 only");
        TORCH_CHECK(job.page.nbytes() == static_cast<std::size_t>(page_layout.total_bytes),
                    "QvgFormat: page of the wrong size");
        TORCH_CHECK(job.options.codebook != nullptr || page_layout.book_centroids == 0,
                    "QvgFormat: no session codebook");
        TORCH_CHECK(job.options.centroids <= kQvgMaxCentroids, "QvgFormat: at most ", kQvgMaxCentroids, " centroids");
    }
    if (jobs.front().page.is_cuda()) {
        encode_on_device(jobs, page_layout, kind_.grid);
        return;
    }
    for (EncodeJob& job : jobs) {
        const qvg::PageRows rows{job.source.data_ptr(), job.source.scalar_type() == at::kBFloat16};
        const Codebook* book = job.options.codebook;
        qvg::encode_page(rows, page_layout,
                         {kind_.grid, job.shape.is_key, job.options.seed, centroids_of(book), book ? book->version : 0},
                         job.page.data_ptr<std::uint8_t>());
    }
}

void QvgFormat::decode_rows(const std::uint8_t* page, const PageShape& shape, const EncodeOptions& options, int head,
                            int t0, int t1, float* out) const {
    qvg::decode_page_rows(page, book_of(options.codebook), layout(shape, options), kind_.grid, head, t0, t1, out);
}

bool QvgFormat::expand([[maybe_unused]] const cuda::ExpandJob& job, [[maybe_unused]] const PageShape& shape,
                       [[maybe_unused]] const EncodeOptions& options, [[maybe_unused]] CUstream_st* stream) const {
#if WANDER_CUDA
    return cuda::expand_qvg(job, book_of(options.codebook), layout(shape, options), kind_.grid, stream);
#else
    return false;
#endif
}

} // namespace wander::quant
