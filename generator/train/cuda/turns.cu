// RMS norm, RoPE and PRoPE of queries, keys and values, and PRoPE of what attention gives, forward and backward.

#include "generator/train/cuda/lanes.cuh"
#include "generator/train/cuda/ops.hpp"

namespace wander::train::cuda {
namespace {

using Bf16 = __nv_bfloat16;

template <int kHeads>
__device__ float root_factor(const float2 (&x)[kHeads], float eps) {
    float squares = 0.0F;
#pragma unroll
    for (int j = 0; j < kHeads; ++j) squares += x[j].x * x[j].x + x[j].y * x[j].y;
    return rsqrtf(warp_sum(squares) / (64 * kHeads) + eps);
}

__device__ float2 turn(float2 x, float2 angle) {
    return {x.x * angle.x - x.y * angle.y, x.x * angle.y + x.y * angle.x};
}

// Reads a row of q or k, norms it and writes both forms.
template <int kHeads>
__device__ void turn_row(const Bf16* in, const float2 (&weight)[kHeads], float eps, float2 angle,
                         const HalfMatrix& camera, Bf16* out) {
    float2 x[kHeads], by_camera[kHeads];
    load_row(in, x);
    const float factor = root_factor(x, eps);
#pragma unroll
    for (int j = 0; j < kHeads; ++j) {
        x[j] = {x[j].x * factor * weight[j].x, x[j].y * factor * weight[j].y};
        by_camera[j] = camera.times(x[j]);
        x[j] = turn(x[j], angle);
    }
    store_row(out, x);
    store_row(out + 64 * kHeads, by_camera);
}

template <int kHeads>
__global__ void __launch_bounds__(kRowWarps * 32) turn_forward(TurnJob job) {
    constexpr int kDim = 64 * kHeads;
    const std::int64_t group = blockIdx.x;
    const Rows rows = rows_of_warp(job.tokens);
    const HalfMatrix for_query(job.camera + group * 16, true), for_key(job.camera_inverse + group * 16, false);
    float2 norm_q[kHeads], norm_k[kHeads];
    load_row(job.norm_q, norm_q);
    load_row(job.norm_k, norm_k);
    for (int token = rows.first; token < rows.end; token += kRowWarps) {
        const std::int64_t row = group * job.tokens + token, in = row * job.stride, out = row * 2 * kDim;
        const std::int64_t place = (group % job.latents * job.tokens + token) * 32 + lane_index();
        const float2 angle = {job.cos[place], job.sin[place]};
        turn_row(static_cast<const Bf16*>(job.q) + in, norm_q, job.eps, angle, for_query,
                 static_cast<Bf16*>(job.turned_q) + out);
        turn_row(static_cast<const Bf16*>(job.k) + in, norm_k, job.eps, angle, for_key,
                 static_cast<Bf16*>(job.turned_k) + out);
        float2 v[kHeads], by_camera[kHeads];
        load_row(static_cast<const Bf16*>(job.v) + in, v);
#pragma unroll
        for (int j = 0; j < kHeads; ++j) by_camera[j] = for_key.times(v[j]);
        store_row(static_cast<Bf16*>(job.turned_v) + out, v);
        store_row(static_cast<Bf16*>(job.turned_v) + out + kDim, by_camera);
    }
}

// The way back through turn_row. With y = x r w, r = 1 / root of the mean square: dx = r dy w - x r^3 / D sum(dy w x).
template <int kHeads>
__device__ void turn_row_back(const Bf16* in, const float2 (&weight)[kHeads], float eps, float2 angle,
                              const HalfMatrix& camera, const Bf16* turned, Bf16* out, float2 (&dweight)[kHeads]) {
    float2 x[kHeads], dy[kHeads], by_camera[kHeads];
    load_row(in, x);
    load_row(turned, dy);
    load_row(turned + 64 * kHeads, by_camera);
    const float factor = root_factor(x, eps);
    float products = 0.0F;
#pragma unroll
    for (int j = 0; j < kHeads; ++j) {
        const float2 a = turn(dy[j], {angle.x, -angle.y}), b = camera.times(by_camera[j]);
        dy[j] = {a.x + b.x, a.y + b.y};
        dweight[j].x = fmaf(dy[j].x, x[j].x * factor, dweight[j].x);
        dweight[j].y = fmaf(dy[j].y, x[j].y * factor, dweight[j].y);
        dy[j] = {dy[j].x * weight[j].x, dy[j].y * weight[j].y};
        products += dy[j].x * x[j].x + dy[j].y * x[j].y;
    }
    const float slope = warp_sum(products) * factor * factor / (64 * kHeads);
#pragma unroll
    for (int j = 0; j < kHeads; ++j) x[j] = {factor * (dy[j].x - x[j].x * slope), factor * (dy[j].y - x[j].y * slope)};
    store_row(out, x);
}

template <int kHeads>
__global__ void __launch_bounds__(kRowWarps * 32) turn_backward(TurnJob job) {
    constexpr int kDim = 64 * kHeads;
    __shared__ float shared[kRowWarps * kDim];
    const std::int64_t group = blockIdx.x;
    const Rows rows = rows_of_warp(job.tokens);
    const HalfMatrix for_query(job.camera + group * 16, false), for_key(job.camera_inverse + group * 16, true);
    float2 norm_q[kHeads], norm_k[kHeads], dnorm_q[kHeads] = {}, dnorm_k[kHeads] = {};
    load_row(job.norm_q, norm_q);
    load_row(job.norm_k, norm_k);
    for (int token = rows.first; token < rows.end; token += kRowWarps) {
        const std::int64_t row = group * job.tokens + token, in = row * job.stride, turned = row * 2 * kDim;
        const std::int64_t out = row * job.gradient_stride;
        const std::int64_t place = (group % job.latents * job.tokens + token) * 32 + lane_index();
        const float2 angle = {job.cos[place], job.sin[place]};
        turn_row_back(static_cast<const Bf16*>(job.q) + in, norm_q, job.eps, angle, for_query,
                      static_cast<const Bf16*>(job.turned_q) + turned, static_cast<Bf16*>(job.dq) + out, dnorm_q);
        turn_row_back(static_cast<const Bf16*>(job.k) + in, norm_k, job.eps, angle, for_key,
                      static_cast<const Bf16*>(job.turned_k) + turned, static_cast<Bf16*>(job.dk) + out, dnorm_k);
        float2 dv[kHeads], by_camera[kHeads];
        load_row(static_cast<const Bf16*>(job.turned_v) + turned, dv);
        load_row(static_cast<const Bf16*>(job.turned_v) + turned + kDim, by_camera);
#pragma unroll
        for (int j = 0; j < kHeads; ++j) {
            const float2 b = for_key.times(by_camera[j]);
            dv[j].x += b.x, dv[j].y += b.y;
        }
        store_row(static_cast<Bf16*>(job.dv) + out, dv);
    }
    float* dnorms = job.dnorms + (group * kParts + blockIdx.y) * 2 * kDim;
    store_sum(dnorm_q, shared, dnorms);
    store_sum(dnorm_k, shared, dnorms + kDim);
}

template <int kHeads>
__global__ void __launch_bounds__(kRowWarps * 32) unturn(UnturnJob job) {
    constexpr int kDim = 64 * kHeads;
    const std::int64_t group = blockIdx.x;
    const Rows rows = rows_of_warp(job.tokens);
    const HalfMatrix camera(job.camera + group * 16, job.transposed);
    for (int token = rows.first; token < rows.end; token += kRowWarps) {
        const std::int64_t place = (group * job.tokens + token) * 2 * kDim;
        float2 kept[kHeads], turned[kHeads];
        load_row(static_cast<const Bf16*>(job.in) + place, kept);
        load_row(static_cast<const Bf16*>(job.in) + place + kDim, turned);
#pragma unroll
        for (int j = 0; j < kHeads; ++j) turned[j] = camera.times(turned[j]);
        store_row(static_cast<Bf16*>(job.out) + place, kept);
        store_row(static_cast<Bf16*>(job.out) + place + kDim, turned);
    }
}

} // namespace

void launch_turn_forward(const TurnJob& job, Stream stream) {
    with_heads(job.heads, [&]<int kHeads>() {
        turn_forward<kHeads><<<dim3(static_cast<unsigned>(job.groups), kParts), kRowWarps * 32, 0, stream>>>(job);
    });
}

void launch_turn_backward(const TurnJob& job, Stream stream) {
    with_heads(job.heads, [&]<int kHeads>() {
        turn_backward<kHeads><<<dim3(static_cast<unsigned>(job.groups), kParts), kRowWarps * 32, 0, stream>>>(job);
    });
}

void launch_unturn(const UnturnJob& job, Stream stream) {
    with_heads(job.heads, [&]<int kHeads>() {
        unturn<kHeads><<<dim3(static_cast<unsigned>(job.groups), kParts), kRowWarps * 32, 0, stream>>>(job);
    });
}

} // namespace wander::train::cuda
