#include "quant/formats/qvg_stream_format.hpp"

#include "quant/qvg/session_clusters.hpp"

#include <ATen/Functions.h>
#include <c10/util/Exception.h>

#include <algorithm>

#if WANDER_CUDA
#include "quant/cuda/qvg_session.hpp"

#include <c10/cuda/CUDAStream.h>
#endif

namespace wander::quant {
namespace {

qvg::BookView view_of(const Codebook& book) {
    return {static_cast<std::uint16_t*>(book.centroids.data_ptr()), book.weights.data_ptr<float>()};
}

qvg::PageRows rows_of(const EncodeJob& job) {
    return {job.source.const_data_ptr(), job.source.scalar_type() == at::kBFloat16};
}

#if WANDER_CUDA
// The job and its memory, given back to the stream's allocator when this goes.
struct DeviceJob {
    DeviceJob(const EncodeJob& job, const QvgPageLayout& layout)
        : scratch(at::empty({cuda::encode_scratch_bytes(layout, 1)}, job.source.options().dtype(at::kByte))),
          page(at::empty({layout.total_bytes}, job.source.options().dtype(at::kByte))) {
        session.batch.pages[0] = {job.source.const_data_ptr(),
                                  job.page.defined() ? job.page.data_ptr<std::uint8_t>() : nullptr, job.options.seed,
                                  job.shape.is_key};
        session.batch.count = 1;
        session.batch.bf16 = job.source.scalar_type() == at::kBFloat16;
        session.batch.layout = layout;
        session.batch.scratch = scratch.data_ptr();
        session.page_scratch = page.data_ptr<std::uint8_t>();
    }
    at::Tensor scratch;
    at::Tensor page;
    cuda::SessionJob session;
};

void check(cudaError_t error) {
    TORCH_CHECK(error == cudaSuccess, "QvgStreamFormat: the codebook failed on the GPU: ", cudaGetErrorString(error));
}
#endif

} // namespace

// Four times what a page of its own would have: at the bytes of int2, or a little above, it loses 7 % less in the
// embedded world; with twice as many it loses more than int2 (docs/formats.md). Not more than 128: at the 1.3B shape
// more would cost what the shared codebook saves.
int QvgStreamFormat::default_centroids(const PageShape& shape) const {
    constexpr int kMost = 128;
    return std::min(4 * qvg_default_centroids(shape.tokens), kMost);
}

int QvgStreamFormat::codebook_centroids(const PageShape& shape, const EncodeOptions& options) const {
    return layout(shape, options).book_centroids;
}

void QvgStreamFormat::train(const EncodeJob& first_page, Codebook& out) const {
    const QvgPageLayout page = layout(first_page.shape, first_page.options);
    TORCH_CHECK(page.book_centroids == out.count, "QvgStreamFormat: codebook of the wrong size");
    if (first_page.source.is_cuda()) {
#if WANDER_CUDA
        DeviceJob job(first_page, page);
        job.session.after = view_of(out);
        check(cuda::train_book(job.session,
                               c10::cuda::getCurrentCUDAStream(first_page.source.device().index()).stream()));
        return;
#endif
    }
    qvg::train_book(rows_of(first_page), page, first_page.options.seed, view_of(out));
}

void QvgStreamFormat::update(const EncodeJob& page, const Codebook& before, Codebook& out) const {
    const QvgPageLayout page_layout = layout(page.shape, page.options);
    if (page.source.is_cuda()) {
#if WANDER_CUDA
        DeviceJob job(page, page_layout);
        job.session.before = view_of(before);
        job.session.after = view_of(out);
        check(cuda::update_book(job.session, c10::cuda::getCurrentCUDAStream(page.source.device().index()).stream()));
        return;
#endif
    }
    qvg::update_book(rows_of(page), page_layout, page.page.const_data_ptr<std::uint8_t>(), view_of(before),
                     view_of(out));
}

} // namespace wander::quant
