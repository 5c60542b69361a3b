#include "quant/formats/qvg_format.hpp"

#include "quant/qvg/page_encoder.hpp"

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <string>

namespace wander::quant {
namespace {

std::string described(const PageShape& shape) {
    return std::to_string(shape.tokens) + " tokens x " + std::to_string(shape.heads) + " heads x " +
           std::to_string(shape.head_dim);
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
    const qvg::PageRows rows{source.data_ptr(), source.scalar_type() == at::kBFloat16};
    const qvg::PageOptions page_options{grid_, shape.is_key, options.seed};
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
