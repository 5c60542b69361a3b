#pragma once
// Eight channels at a time, the unit of all page kernels: 16 bytes of bf16, 32 of float, 8 of e4m3.

#include <cuda_bf16.h>
#include <cuda_fp8.h>

namespace wander::quant::cuda {

struct Eight {
    float x[8];
};

__device__ inline Eight load_eight(const float* source) {
    const float4 a = reinterpret_cast<const float4*>(source)[0];
    const float4 b = reinterpret_cast<const float4*>(source)[1];
    return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}

__device__ inline Eight eight_of_bf16(uint4 bits) {
    const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
    Eight out;
    for (int i = 0; i < 4; ++i) {
        out.x[2 * i] = __uint_as_float(words[i] << 16);
        out.x[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000U);
    }
    return out;
}

__device__ inline Eight load_eight(const __nv_bfloat16* source) {
    return eight_of_bf16(*reinterpret_cast<const uint4*>(source));
}

__device__ inline Eight load_eight(const __nv_fp8_e4m3* source) {
    const uint2 bits = *reinterpret_cast<const uint2*>(source);
    const unsigned words[2] = {bits.x, bits.y};
    Eight out;
    for (int i = 0; i < 8; ++i) {
        __nv_fp8_e4m3 value;
        value.__x = static_cast<__nv_fp8_storage_t>(words[i / 4] >> (i % 4 * 8));
        out.x[i] = static_cast<float>(value);
    }
    return out;
}

__device__ inline void store_eight(float* target, const Eight& value) {
    reinterpret_cast<float4*>(target)[0] = make_float4(value.x[0], value.x[1], value.x[2], value.x[3]);
    reinterpret_cast<float4*>(target)[1] = make_float4(value.x[4], value.x[5], value.x[6], value.x[7]);
}

__device__ inline uint4 bf16_of_eight(const Eight& value) {
    uint4 bits;
    auto* pairs = reinterpret_cast<__nv_bfloat162*>(&bits);
    for (int i = 0; i < 4; ++i) {
        pairs[i] = __floats2bfloat162_rn(value.x[2 * i], value.x[2 * i + 1]);
    }
    return bits;
}

__device__ inline void store_eight(__nv_bfloat16* target, const Eight& value) {
    *reinterpret_cast<uint4*>(target) = bf16_of_eight(value);
}

// `scale` serves the narrow type alone; rows of the other types keep their values.
__device__ inline void store_eight(float* target, const Eight& value, float) { store_eight(target, value); }
__device__ inline void store_eight(__nv_bfloat16* target, const Eight& value, float) { store_eight(target, value); }
__device__ inline void store_eight(__nv_fp8_e4m3* target, const Eight& value, float scale) { // saturates at 448
    unsigned words[2] = {};
    for (int i = 0; i < 8; i += 2) {
        const auto pair = __nv_cvt_float2_to_fp8x2(make_float2(value.x[i] * scale, value.x[i + 1] * scale),
                                                   __NV_SATFINITE, __NV_E4M3);
        words[i / 4] |= static_cast<unsigned>(pair) << (i % 4 * 8);
    }
    *reinterpret_cast<uint2*>(target) = make_uint2(words[0], words[1]);
}

// matrix: 4 x 4 row-major, for both groups of 4 channels.
__device__ inline Eight turn_eight(const float* matrix, const Eight& value) {
    Eight out;
    for (int group = 0; group < 8; group += 4) {
        for (int row = 0; row < 4; ++row) {
            float sum = 0.0F;
            for (int column = 0; column < 4; ++column) {
                sum = fmaf(matrix[row * 4 + column], value.x[group + column], sum);
            }
            out.x[group + row] = sum;
        }
    }
    return out;
}

} // namespace wander::quant::cuda
