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
// Up to kMaxPages pages of one shape and their memory, given back to the stream's allocator when this goes.
struct DeviceJob {
    DeviceJob(const EncodeJob* jobs, std::size_t count, const QvgPageLayout& layout)
        : scratch(at::empty({cuda::encode_scratch_bytes(layout, static_cast<int>(count))},
                            jobs->source.options().dtype(at::kByte))) {
        for (std::size_t i = 0; i < count; ++i) {
            cuda::EncodePage& page = session.batch.pages[i];
            page.rows = jobs[i].source.const_data_ptr();
            page.seed = jobs[i].options.seed;
        }
        session.batch.count = static_cast<int>(count);
        session.batch.bf16 = jobs->source.scalar_type() == at::kBFloat16;
        session.batch.layout = layout;
        session.batch.scratch = scratch.data_ptr();
    }
    at::Tensor scratch;
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

void QvgStreamFormat::train(const std::vector<EncodeJob>& first_pages, const std::vector<Codebook*>& out) const {
    for (std::size_t i = 0; i < first_pages.size(); ++i) {
        TORCH_CHECK(codebook_centroids(first_pages[i].shape, first_pages[i].options) == out[i]->count,
                    "QvgStreamFormat: codebook of the wrong size");
    }
    if (!first_pages.empty() && first_pages.front().source.is_cuda()) {
#if WANDER_CUDA
        const auto stream = c10::cuda::getCurrentCUDAStream(first_pages.front().source.device().index());
        for (std::size_t begin = 0; begin < first_pages.size(); begin += cuda::kMaxPages) {
            const EncodeJob& first = first_pages[begin];
            const std::size_t count = std::min<std::size_t>(first_pages.size() - begin, cuda::kMaxPages);
            DeviceJob job(&first, count, layout(first.shape, first.options));
            for (std::size_t i = 0; i < count; ++i) {
                job.session.after.of[i] = view_of(*out[begin + i]);
            }
            check(cuda::train_books(job.session, stream.stream()));
        }
        return;
#endif
    }
    for (std::size_t i = 0; i < first_pages.size(); ++i) {
        const EncodeJob& page = first_pages[i];
        qvg::train_book(rows_of(page), layout(page.shape, page.options), page.options.seed, view_of(*out[i]));
    }
}

void QvgStreamFormat::update(const EncodeJob& page, const Codebook& before, Codebook& out) const {
    const QvgPageLayout page_layout = layout(page.shape, page.options);
    if (page.source.is_cuda()) {
#if WANDER_CUDA
        DeviceJob job(&page, 1, page_layout);
        job.session.before.of[0] = view_of(before);
        job.session.after.of[0] = view_of(out);
        check(cuda::update_books(job.session, c10::cuda::getCurrentCUDAStream(page.source.device().index()).stream()));
        return;
#endif
    }
    qvg::update_book(rows_of(page), page_layout, page.page.const_data_ptr<std::uint8_t>(), view_of(before),
                     view_of(out));
}

} // namespace wander::quant
