#include "generator/nn/text_attention.hpp"

#include "generator/nn/rows.hpp"

#include <ATen/ATen.h>

#include <cmath>

#if WANDER_CUDA
#include "generator/nn/cuda/cross_attention.hpp"

#include <c10/cuda/CUDAStream.h>
#endif

namespace wander::nn {
namespace plain {

at::Tensor text_attention(const at::Tensor& rows, const at::Tensor& query_weight, const TextKeys& text, double eps) {
    const std::int64_t heads = text.keys.size(1), head_dim = text.keys.size(2);
    const at::Tensor q = nn::rms_norm(rows, query_weight, eps);
    const auto heads_first = [&](const at::Tensor& t) { return t.view({1, -1, heads, head_dim}).transpose(1, 2); };
    std::optional<at::Tensor> bias;
    if (text.last_bias != 0) {
        bias = at::zeros({1, 1, 1, text.keys.size(0)}, q.options());
        bias->select(3, -1).fill_(text.last_bias);
        *bias = bias->expand({1, heads, q.size(0), text.keys.size(0)});
    }
    const at::Tensor attended =
        at::scaled_dot_product_attention(heads_first(q), heads_first(text.keys), heads_first(text.values), bias);
    return attended.transpose(1, 2).reshape({-1, heads * head_dim});
}

} // namespace plain

std::int64_t most_keys_of_kernel([[maybe_unused]] at::Device device, [[maybe_unused]] at::ScalarType type,
                                 [[maybe_unused]] std::int64_t head_dim) {
#if WANDER_CUDA
    if (device.is_cuda() && type == at::kBFloat16 && head_dim == cuda::kCrossHeadDim) return cuda::kMaxCrossKeys;
#endif
    return 0;
}

void prepare_for_kernel(TextKeys& text, const at::Tensor& query_weight) {
    const at::Tensor& keys = text.keys;
    if (keys.size(0) > most_keys_of_kernel(keys.device(), keys.scalar_type(), keys.size(2))) return;
    text.weighted = (keys.to(at::kFloat) * query_weight.view({1, keys.size(1), keys.size(2)})).to(keys.scalar_type());
}

at::Tensor text_attention(const at::Tensor& rows, const at::Tensor& query_weight, const TextKeys& text, double eps) {
#if WANDER_CUDA
    if (text.weighted.defined() && rows.is_contiguous() && rows.size(1) <= cuda::kMaxRowDim) {
        const cuda::Stream stream = c10::cuda::getCurrentCUDAStream(rows.get_device()).stream();
        const at::Tensor factors = at::empty({rows.size(0)}, rows.options().dtype(at::kFloat));
        const at::Tensor out = at::empty(rows.sizes(), rows.options());
        cuda::RmsFactorJob norm;
        norm.rows = rows.size(0);
        norm.dim = static_cast<int>(rows.size(1));
        norm.x = rows.const_data_ptr();
        norm.x_stride = rows.stride(0);
        norm.eps = static_cast<float>(eps);
        norm.factors = factors.data_ptr<float>();
        cuda::launch_rms_factors(norm, stream);
        cuda::CrossJob job;
        job.rows = rows.size(0);
        job.heads = static_cast<int>(text.weighted.size(1));
        job.keys = static_cast<int>(text.weighted.size(0));
        job.q = rows.const_data_ptr();
        job.k = text.weighted.const_data_ptr();
        job.v = text.values.const_data_ptr();
        job.row_factor = factors.const_data_ptr<float>();
        job.scale = 1.0F / std::sqrt(static_cast<float>(text.keys.size(2)));
        job.last_bias = static_cast<float>(text.last_bias);
        job.out = out.data_ptr();
        cuda::launch_cross_attention(job, stream);
        return out;
    }
#endif
    return plain::text_attention(rows, query_weight, text, eps);
}

} // namespace wander::nn
