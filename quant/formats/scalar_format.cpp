#include "quant/formats/scalar_format.hpp"

#include "quant/scalar/page_codec.hpp"

#include <c10/util/Exception.h>

#include <algorithm>
#include <vector>

#if WANDER_CUDA
#include "quant/cuda/scalar_encode.hpp"

#include <c10/cuda/CUDAStream.h>
#endif

namespace wander::quant {
namespace {

// Jobs of one layout.
void encode_on_device([[maybe_unused]] const std::vector<const EncodeJob*>& jobs,
                      [[maybe_unused]] const scalar::ScalarPageLayout& layout) {
#if WANDER_CUDA
    const at::Tensor& first = jobs.front()->page;
    cuda::ScalarEncodeBatch batch;
    batch.layout = layout;
    batch.header = scalar::page_header(layout, jobs.front()->shape.is_key);
    batch.bf16 = jobs.front()->source.scalar_type() == at::kBFloat16;
    for (std::size_t begin = 0; begin < jobs.size(); begin += cuda::kMaxScalarPages) {
        batch.count = static_cast<int>(std::min<std::size_t>(jobs.size() - begin, cuda::kMaxScalarPages));
        for (int i = 0; i < batch.count; ++i) {
            const EncodeJob& job = *jobs[begin + static_cast<std::size_t>(i)];
            batch.pages[i] = {job.source.const_data_ptr(), job.page.data_ptr<std::uint8_t>()};
        }
        const cudaError_t error =
            cuda::encode_scalar_pages(batch, c10::cuda::getCurrentCUDAStream(first.device().index()).stream());
        TORCH_CHECK(error == cudaSuccess, "ScalarFormat: packing on the GPU failed: ", cudaGetErrorString(error));
    }
#else
    TORCH_CHECK(false, "ScalarFormat: this build has no CUDA kernels");
#endif
}

} // namespace

double ScalarFormat::nominal_bits() const {
    return (scalar::code_bits(rules_.keys.code) * rules_.keys.stages +
            scalar::code_bits(rules_.values.code) * rules_.values.stages) /
           2.0;
}

scalar::ScalarPageLayout ScalarFormat::layout(const PageShape& shape) const {
    return scalar::scalar_page_layout(shape.is_key ? rules_.keys : rules_.values, shape.tokens, shape.heads,
                                      shape.head_dim);
}

Result<void> ScalarFormat::supports(const PageShape& shape) const {
    const std::string what = "cache format \"" + name_ + "\"";
    const std::string has = ", this model has " + std::to_string(shape.head_dim) + "; use bf16";
    if (shape.head_dim < scalar::kScalarChannels || shape.head_dim % scalar::kScalarChannels != 0) {
        return Error{ErrorCode::wrong_use, what + " needs a head dimension that 16 divides" + has};
    }
    if (shape.head_dim > scalar::kScalarMaxHeadDim) {
        return Error{ErrorCode::wrong_use,
                     what + " takes head dimensions up to " + std::to_string(scalar::kScalarMaxHeadDim) + has};
    }
    const bool rotated = rules_.keys.rotated || rules_.values.rotated;
    if (rotated && (shape.head_dim & (shape.head_dim - 1)) != 0) {
        return Error{ErrorCode::wrong_use, what + " rotates heads whose dimension is a power of two" + has};
    }
    return smaller_than_bf16(name(), shape, layout(shape).total_bytes);
}

PageBytes ScalarFormat::bytes(const PageShape& shape, const EncodeOptions&) const {
    const scalar::ScalarPageLayout page = layout(shape);
    PageBytes bytes;
    bytes.codes = page.code_bytes();
    bytes.scales = page.parameter_bytes();
    bytes.headers = page.total_bytes - bytes.codes - bytes.scales;
    return bytes;
}

void ScalarFormat::encode(const at::Tensor& source, const PageShape& shape, const EncodeOptions& options,
                          at::Tensor& page) const {
    std::vector<EncodeJob> jobs{{source, page, shape, options}};
    encode_all(jobs);
}

void ScalarFormat::encode_all(std::vector<EncodeJob>& jobs) const {
    std::vector<const EncodeJob*> on_device[2];
    for (EncodeJob& job : jobs) {
        const scalar::ScalarPageLayout page_layout = layout(job.shape);
        TORCH_CHECK(job.source.is_contiguous() && job.source.numel() == job.shape.values(),
                    "ScalarFormat: source must be contiguous [tokens, heads, head_dim]");
        TORCH_CHECK(job.source.scalar_type() == at::kFloat || job.source.scalar_type() == at::kBFloat16,
                    "ScalarFormat: float or bfloat16 only");
        TORCH_CHECK(job.page.nbytes() == static_cast<std::size_t>(page_layout.total_bytes),
                    "ScalarFormat: page of the wrong size");
        if (job.page.is_cuda()) {
            on_device[job.shape.is_key ? 1 : 0].push_back(&job);
            continue;
        }
        const scalar::ScalarRows rows{job.source.const_data_ptr(), job.source.scalar_type() == at::kBFloat16};
        scalar::encode_page(rows, page_layout, job.shape.is_key, job.page.data_ptr<std::uint8_t>());
    }
    for (const auto& same : on_device) {
        if (!same.empty()) {
            encode_on_device(same, layout(same.front()->shape));
        }
    }
}

void ScalarFormat::decode_rows(const std::uint8_t* page, const PageShape& shape, const EncodeOptions&, int head, int t0,
                               int t1, float* out) const {
    scalar::decode_page_rows(page, layout(shape), head, t0, t1, out);
}

bool ScalarFormat::expand([[maybe_unused]] const cuda::ExpandJob& job, [[maybe_unused]] const PageShape& shape,
                          const EncodeOptions&, [[maybe_unused]] CUstream_st* stream) const {
#if WANDER_CUDA
    return cuda::expand_scalar(job, layout(shape), stream);
#else
    return false;
#endif
}

std::unique_ptr<PageFormat> make_scalar_format(std::string_view name, std::string_view label,
                                               const scalar::ScalarRule& rule) {
    return std::make_unique<ScalarFormat>(name, label, ScalarRules{rule, rule});
}

} // namespace wander::quant
