#pragma once
// Eight values at a time, the unit of the row kernels, and sums over a warp. Include from .cu only.

#include <cuda_bf16.h>
#include <cuda_fp8.h>

namespace wander::nn::cuda {

inline constexpr float kLargestE4m3 = 448.0F;

__device__ inline float warp_sum(float value) {
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffU, value, step);
    return value;
}

__device__ inline float warp_max(float value) {
    for (int step = 16; step > 0; step /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, step));
    return value;
}

__device__ inline void load(const float* source, float (&out)[8]) {
    const float4 a = reinterpret_cast<const float4*>(source)[0];
    const float4 b = reinterpret_cast<const float4*>(source)[1];
    out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
    out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
}

__device__ inline void load(const __nv_bfloat16* source, float (&out)[8]) {
    const uint4 bits = *reinterpret_cast<const uint4*>(source);
    const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        out[2 * i] = __uint_as_float(words[i] << 16);
        out[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000U);
    }
}

__device__ inline void store(float* target, const float (&value)[8]) {
    reinterpret_cast<float4*>(target)[0] = make_float4(value[0], value[1], value[2], value[3]);
    reinterpret_cast<float4*>(target)[1] = make_float4(value[4], value[5], value[6], value[7]);
}

__device__ inline void store(__nv_bfloat16* target, const float (&value)[8]) {
    uint4 bits;
    auto* pairs = reinterpret_cast<__nv_bfloat162*>(&bits);
#pragma unroll
    for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(value[2 * i], value[2 * i + 1]);
    *reinterpret_cast<uint4*>(target) = bits;
}

__device__ inline void store(__nv_fp8_e4m3* target, const float (&value)[8]) {
    unsigned words[2] = {};
#pragma unroll
    for (int i = 0; i < 8; i += 2) {
        const auto pair = __nv_cvt_float2_to_fp8x2(make_float2(value[i], value[i + 1]), __NV_SATFINITE, __NV_E4M3);
        words[i / 4] |= static_cast<unsigned>(pair) << (i % 4 * 8);
    }
    *reinterpret_cast<uint2*>(target) = make_uint2(words[0], words[1]);
}

} // namespace wander::nn::cuda
