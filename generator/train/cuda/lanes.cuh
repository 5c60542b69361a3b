#pragma once
// A row of D = 64 kHeads channels in a warp: lane l holds the pairs (64 j + 2 l, 64 j + 2 l + 1), j = head. That is
// RoPE pair l of every head; lanes 2 m and 2 m + 1 hold PRoPE's vector m. Include from .cu only.

#include <cuda_bf16.h>

#include <cstdint>

namespace wander::train::cuda {

// A block works on one part of a group, so that also few groups spread evenly over the multiprocessors; its warps take
// rows in turn.
inline constexpr int kRowWarps = 4, kParts = 3;

struct Rows {
    int first, end; // of the group's tokens, this warp's
};

__device__ inline Rows rows_of_warp(int tokens) {
    const int part = static_cast<int>(blockIdx.y), length = (tokens + kParts - 1) / kParts, first = part * length;
    return {first + static_cast<int>(threadIdx.x) / 32, first + length < tokens ? first + length : tokens};
}

__device__ inline float warp_sum(float value) {
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffU, value, step);
    return value;
}

__device__ inline int lane_index() { return static_cast<int>(threadIdx.x % 32); }

template <int kHeads>
__device__ void load_row(const float* row, float2 (&out)[kHeads]) {
#pragma unroll
    for (int j = 0; j < kHeads; ++j) out[j] = reinterpret_cast<const float2*>(row)[32 * j + lane_index()];
}

template <int kHeads>
__device__ void load_row(const __nv_bfloat16* row, float2 (&out)[kHeads]) {
#pragma unroll
    for (int j = 0; j < kHeads; ++j)
        out[j] = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162*>(row)[32 * j + lane_index()]);
}

template <int kHeads>
__device__ void store_row(float* row, const float2 (&value)[kHeads]) {
#pragma unroll
    for (int j = 0; j < kHeads; ++j) reinterpret_cast<float2*>(row)[32 * j + lane_index()] = value[j];
}

template <int kHeads>
__device__ void store_row(__nv_bfloat16* row, const float2 (&value)[kHeads]) {
#pragma unroll
    for (int j = 0; j < kHeads; ++j)
        reinterpret_cast<__nv_bfloat162*>(row)[32 * j + lane_index()] = __float22bfloat162_rn(value[j]);
}

// Adds `value` of all warps of the block in their order and stores the row. shared: [kRowWarps][64 kHeads].
template <int kHeads>
__device__ void store_sum(const float2 (&value)[kHeads], float* shared, float* out) {
    constexpr int kDim = 64 * kHeads;
    __syncthreads();
    store_row(shared + threadIdx.x / 32 * kDim, value);
    __syncthreads();
    for (int channel = static_cast<int>(threadIdx.x); channel < kDim; channel += kRowWarps * 32) {
        float sum = 0.0F;
        for (int warp = 0; warp < kRowWarps; ++warp) sum += shared[warp * kDim + channel];
        out[channel] = sum;
    }
}

// The two rows of a 4 x 4 matrix that a lane needs for its two channels of matrix * vector.
struct HalfMatrix {
    float own[2][2];   // [output][input], inputs that the lane holds
    float other[2][2]; // inputs that its neighbour holds

    __device__ HalfMatrix(const float* matrix, bool transposed) {
        const int first = lane_index() % 2 * 2;
        for (int out = 0; out < 2; ++out) {
            for (int in = 0; in < 2; ++in) {
                own[out][in] = at(matrix, transposed, first + out, first + in);
                other[out][in] = at(matrix, transposed, first + out, 2 - first + in);
            }
        }
    }

    __device__ static float at(const float* matrix, bool transposed, int row, int column) {
        return transposed ? matrix[column * 4 + row] : matrix[row * 4 + column];
    }

    __device__ float2 times(float2 value) const {
        const float2 far = {__shfl_xor_sync(0xffffffffU, value.x, 1), __shfl_xor_sync(0xffffffffU, value.y, 1)};
        return {own[0][0] * value.x + own[0][1] * value.y + other[0][0] * far.x + other[0][1] * far.y,
                own[1][0] * value.x + own[1][1] * value.y + other[1][0] * far.x + other[1][1] * far.y};
    }
};

// Calls work.operator()<kHeads>() for the numbers of heads that are compiled; false for others.
template <class Work>
bool with_heads(std::int64_t heads, Work&& work) {
    switch (heads) {
        case 1: work.template operator()<1>(); return true;
        case 2: work.template operator()<2>(); return true;
        case 5: work.template operator()<5>(); return true;
        default: return false;
    }
}

} // namespace wander::train::cuda
