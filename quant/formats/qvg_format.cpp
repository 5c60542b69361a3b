#include "quant/formats/qvg_format.hpp"

#include "quant/qvg/page_encoder.hpp"

#include <ATen/Functions.h>
#include <c10/util/Exception.h>

#include <string>

#if WANDER_CUDA
#include "quant/cuda/qvg_encode.hpp"

#include <c10/cuda/CUDAStream.h>
#endif

namespace wander::quant {
namespace {

std::string described(const PageShape& shape) {
    return std::to_string(shape.tokens) + " tokens x " + std::to_string(shape.heads) + " heads x " +
           std::to_string(shape.head_dim);
}

void encode_on_device([[maybe_unused]] const at::Tensor& source, [[maybe_unused]] const QvgPageLayout& layout,
                      [[maybe_unused]] const qvg::PageOptions& options, [[maybe_unused]] at::Tensor& page) {
#if WANDER_CUDA
    const at::Tensor scratch = at::empty({cuda::encode_scratch_bytes(layout, 1)}, page.options());
    cuda::EncodeBatch batch;
    batch.pages[0] = {source.data_ptr(), page.data_ptr<std::uint8_t>(), options.seed, options.is_key};
    batch.count = 1;
    batch.bf16 = source.scalar_type() == at::kBFloat16;
    batch.grid = options.grid;
    batch.layout = layout;
    batch.scratch = scratch.data_ptr();
    const cudaError_t error =
        cuda::encode_pages(batch, c10::cuda::getCurrentCUDAStream(page.device().index()).stream());
    TORCH_CHECK(error == cudaSuccess, "QvgFormat: packing on the GPU failed: ", cudaGetErrorString(error));
#else
    TORCH_CHECK(false, "QvgFormat: this build has no CUDA kernels");
#endif
}

} // namespace

QvgPageLayout QvgFormat::layout(const PageShape& shape, const EncodeOptions& options) {
    const int centroids = options.centroids > 0 ? options.centroids : qvg_default_centroids(shape.tokens);
    return qvg_page_layout(shape.tokens, shape.heads, shape.head_dim, centroids);
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
    const std::int64_t packed = layout(shape, {}).total_bytes;
    const std::int64_t bf16 = static_cast<std::int64_t>(shape.tokens) * shape.heads * shape.head_dim * 2;
    if (packed >= bf16) {
        return Error{ErrorCode::wrong_use, what + " would not be smaller than BF16 for pages of " + described(shape) +
                                               " (" + std::to_string(packed) + " of " + std::to_string(bf16) +
                                               " bytes); use bf16"};
    }
    return {};
}

PageBytes QvgFormat::bytes(const PageShape& shape, const EncodeOptions& options) const {
    const QvgPageLayout page = layout(shape, options);
    PageBytes bytes;
    bytes.codes = page.code_bytes();
    bytes.scales = page.scale_bytes();
    bytes.codebooks = page.id_bytes() + page.centroid_bytes();
    bytes.headers = page.total_bytes - bytes.codes - bytes.scales - bytes.codebooks;
    return bytes;
}

void QvgFormat::encode(const at::Tensor& source, const PageShape& shape, const EncodeOptions& options,
                       at::Tensor& page) const {
    const QvgPageLayout page_layout = layout(shape, options);
    TORCH_CHECK(source.is_contiguous() &&
                    source.numel() == static_cast<std::int64_t>(shape.tokens) * shape.heads * shape.head_dim,
                "QvgFormat: source must be contiguous [tokens, heads, head_dim]");
    TORCH_CHECK(source.scalar_type() == at::kFloat || source.scalar_type() == at::kBFloat16,
                "QvgFormat: float or bfloat16 only");
    TORCH_CHECK(page.nbytes() == static_cast<std::size_t>(page_layout.total_bytes),
                "QvgFormat: page of the wrong size");
    TORCH_CHECK(options.centroids <= kQvgMaxCentroids, "QvgFormat: at most ", kQvgMaxCentroids, " centroids");
    const qvg::PageOptions page_options{grid_, shape.is_key, options.seed};
    if (page.is_cuda()) {
        encode_on_device(source, page_layout, page_options, page);
        return;
    }
    const qvg::PageRows rows{source.data_ptr(), source.scalar_type() == at::kBFloat16};
    qvg::encode_page(rows, page_layout, page_options, page.data_ptr<std::uint8_t>());
}

void QvgFormat::decode_rows(const std::uint8_t* page, const PageShape& shape, const EncodeOptions& options, int head,
                            int t0, int t1, float* out) const {
    qvg::decode_page_rows(page, layout(shape, options), grid_, head, t0, t1, out);
}

int QvgFormat::cuda_decoder() const {
    return static_cast<int>(grid_ == QvgGrid::four_level ? PageDecoder::four_level : PageDecoder::ternary);
}

} // namespace wander::quant
