// The residual stream: gated addition, layer norm and modulation, forward and backward.

#include "generator/train/cuda/lanes.cuh"
#include "generator/train/cuda/ops.hpp"

namespace wander::train::cuda {
namespace {

template <int kHeads>
__device__ float sum_of(const float2 (&value)[kHeads]) {
    float sum = 0.0F;
#pragma unroll
    for (int j = 0; j < kHeads; ++j) sum += value[j].x + value[j].y;
    return warp_sum(sum);
}

template <int kHeads>
__device__ float sum_of_products(const float2 (&a)[kHeads], const float2 (&b)[kHeads]) {
    float sum = 0.0F;
#pragma unroll
    for (int j = 0; j < kHeads; ++j) sum += a[j].x * b[j].x + a[j].y * b[j].y;
    return warp_sum(sum);
}

template <int kHeads, bool kAdd, bool kNorm>
__global__ void __launch_bounds__(kRowWarps * 32) rows_forward(RowsForward job) {
    constexpr int kDim = 64 * kHeads;
    const std::int64_t group = blockIdx.x;
    const Rows rows = rows_of_warp(job.tokens);
    float2 gate[kHeads], shift[kHeads], scale[kHeads];
    if constexpr (kAdd) load_row(job.gate + group * kDim, gate);
    if constexpr (kNorm) {
        load_row(job.shift + group * kDim, shift);
        load_row(job.scale + group * kDim, scale);
    }
    for (int token = rows.first; token < rows.end; token += kRowWarps) {
        const std::int64_t row = group * job.tokens + token;
        float2 x[kHeads];
        load_row(job.x + row * kDim, x);
        if constexpr (kAdd) {
            float2 y[kHeads];
            load_row(static_cast<const __nv_bfloat16*>(job.y) + row * kDim, y);
#pragma unroll
            for (int j = 0; j < kHeads; ++j) {
                x[j].x = fmaf(gate[j].x, y[j].x, x[j].x);
                x[j].y = fmaf(gate[j].y, y[j].y, x[j].y);
            }
            store_row(job.x_out + row * kDim, x);
        }
        if constexpr (kNorm) {
            const float mean = sum_of(x) / kDim;
#pragma unroll
            for (int j = 0; j < kHeads; ++j) x[j].x -= mean, x[j].y -= mean;
            const float factor = rsqrtf(sum_of_products(x, x) / kDim + job.eps);
#pragma unroll
            for (int j = 0; j < kHeads; ++j) {
                x[j].x = fmaf(x[j].x * factor, scale[j].x, shift[j].x);
                x[j].y = fmaf(x[j].y * factor, scale[j].y, shift[j].y);
            }
            store_row(static_cast<__nv_bfloat16*>(job.h) + row * kDim, x);
            if (lane_index() == 0) reinterpret_cast<float2*>(job.statistics)[row] = {mean, factor};
        }
    }
}

template <int kHeads, bool kAdd, bool kNorm>
__global__ void __launch_bounds__(kRowWarps * 32) rows_backward(RowsBackward job) {
    constexpr int kDim = 64 * kHeads;
    __shared__ float shared[kRowWarps * kDim];
    const std::int64_t group = blockIdx.x;
    const Rows rows = rows_of_warp(job.tokens);
    float2 gate[kHeads], scale[kHeads], dgate[kHeads] = {}, dshift[kHeads] = {}, dscale[kHeads] = {};
    if constexpr (kAdd) load_row(job.gate + group * kDim, gate);
    if constexpr (kNorm) load_row(job.scale + group * kDim, scale);
    for (int token = rows.first; token < rows.end; token += kRowWarps) {
        const std::int64_t row = group * job.tokens + token;
        float2 dx[kHeads] = {};
        if (job.dx_out) load_row(job.dx_out + row * kDim, dx);
        if constexpr (kNorm) {
            float2 x[kHeads], dh[kHeads];
            load_row(job.x_out + row * kDim, x);
            load_row(static_cast<const __nv_bfloat16*>(job.dh) + row * kDim, dh);
            const float2 statistics = reinterpret_cast<const float2*>(job.statistics)[row];
#pragma unroll
            for (int j = 0; j < kHeads; ++j) {
                x[j] = {(x[j].x - statistics.x) * statistics.y, (x[j].y - statistics.x) * statistics.y};
                dshift[j].x += dh[j].x, dshift[j].y += dh[j].y;
                dscale[j].x = fmaf(dh[j].x, x[j].x, dscale[j].x), dscale[j].y = fmaf(dh[j].y, x[j].y, dscale[j].y);
                dh[j].x *= scale[j].x, dh[j].y *= scale[j].y;
            }
            const float mean = sum_of(dh) / kDim, slope = sum_of_products(dh, x) / kDim;
#pragma unroll
            for (int j = 0; j < kHeads; ++j) {
                dx[j].x = fmaf(statistics.y, dh[j].x - mean - x[j].x * slope, dx[j].x);
                dx[j].y = fmaf(statistics.y, dh[j].y - mean - x[j].y * slope, dx[j].y);
            }
        }
        if (job.dx) store_row(job.dx + row * kDim, dx);
        if constexpr (kAdd) {
            float2 y[kHeads];
            load_row(static_cast<const __nv_bfloat16*>(job.y) + row * kDim, y);
#pragma unroll
            for (int j = 0; j < kHeads; ++j) {
                dgate[j].x = fmaf(dx[j].x, y[j].x, dgate[j].x), dgate[j].y = fmaf(dx[j].y, y[j].y, dgate[j].y);
                dx[j].x *= gate[j].x, dx[j].y *= gate[j].y;
            }
            store_row(static_cast<__nv_bfloat16*>(job.dy) + row * kDim, dx);
        }
    }
    const std::int64_t part = (group * kParts + blockIdx.y) * kDim;
    if constexpr (kAdd) store_sum(dgate, shared, job.dgate + part);
    if constexpr (kNorm) {
        store_sum(dshift, shared, job.dshift + part);
        store_sum(dscale, shared, job.dscale + part);
    }
}

} // namespace

int row_parts() { return kParts; }

bool has_row_kernels(std::int64_t heads) {
    std::int64_t compiled = 0;
    with_heads(heads, [&]<int kHeads>() { compiled = kHeads; });
    return compiled == heads;
}

void launch_rows_forward(const RowsForward& job, Stream stream) {
    const dim3 groups(static_cast<unsigned>(job.groups), kParts);
    with_heads(job.heads, [&]<int kHeads>() {
        if (job.y && job.scale) rows_forward<kHeads, true, true><<<groups, kRowWarps * 32, 0, stream>>>(job);
        if (job.y && !job.scale) rows_forward<kHeads, true, false><<<groups, kRowWarps * 32, 0, stream>>>(job);
        if (!job.y && job.scale) rows_forward<kHeads, false, true><<<groups, kRowWarps * 32, 0, stream>>>(job);
    });
}

void launch_rows_backward(const RowsBackward& job, Stream stream) {
    const dim3 groups(static_cast<unsigned>(job.groups), kParts);
    with_heads(job.heads, [&]<int kHeads>() {
        if (job.y && job.dh) rows_backward<kHeads, true, true><<<groups, kRowWarps * 32, 0, stream>>>(job);
        if (job.y && !job.dh) rows_backward<kHeads, true, false><<<groups, kRowWarps * 32, 0, stream>>>(job);
        if (!job.y && job.dh) rows_backward<kHeads, false, true><<<groups, kRowWarps * 32, 0, stream>>>(job);
    });
}

} // namespace wander::train::cuda
