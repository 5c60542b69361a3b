#include "generator/train/history_rotation.hpp"

#include <cuda_bf16.h>

namespace wander::train::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kChannels = 8; // of one thread: 16 bytes, four RoPE pairs, two PRoPE vectors
constexpr int kPairs = 32;   // of a head

struct Eight {
    float x[kChannels];
};

__device__ inline Eight load(const __nv_bfloat16* from) {
    const uint4 bits = *reinterpret_cast<const uint4*>(from);
    const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
    Eight out;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        out.x[2 * i] = __uint_as_float(words[i] << 16);
        out.x[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000U);
    }
    return out;
}

__device__ inline void store(__nv_bfloat16* to, const Eight& value) {
    uint4 bits;
    auto* pairs = reinterpret_cast<__nv_bfloat162*>(&bits);
#pragma unroll
    for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(value.x[2 * i], value.x[2 * i + 1]);
    *reinterpret_cast<uint4*>(to) = bits;
}

__device__ inline Eight seen_by_camera(const Eight& value, const float* matrix) {
    Eight out;
#pragma unroll
    for (int group = 0; group < kChannels; group += 4) {
#pragma unroll
        for (int row = 0; row < 4; ++row) {
            float sum = 0;
#pragma unroll
            for (int column = 0; column < 4; ++column) sum += matrix[4 * row + column] * value.x[group + column];
            out.x[group + row] = sum;
        }
    }
    return out;
}

// A block for each slot of each walk: one camera.
__global__ void __launch_bounds__(kThreads) rotate_history_kernel(const RotateHistoryJob job) {
    const int walk = static_cast<int>(blockIdx.x) / job.slots;
    const int slot = static_cast<int>(blockIdx.x) % job.slots;
    float matrix[16];
#pragma unroll
    for (int i = 0; i < 16; ++i) matrix[i] = job.camera_inverse[static_cast<long long>(blockIdx.x) * 16 + i];

    const int parts = job.dim / kChannels; // of a row
    const long long from_slot = walk * job.walk_stride + static_cast<long long>(slot) * job.tokens * job.dim;
    const long long to_slot = walk * job.rotated_walk_stride + static_cast<long long>(slot) * job.tokens * 2 * job.dim;
    const auto* keys = static_cast<const __nv_bfloat16*>(job.keys) + from_slot;
    const auto* values = static_cast<const __nv_bfloat16*>(job.values) + from_slot;
    auto* rotated_keys = static_cast<__nv_bfloat16*>(job.rotated_keys) + to_slot;
    auto* rotated_values = static_cast<__nv_bfloat16*>(job.rotated_values) + to_slot;

    for (int i = static_cast<int>(threadIdx.x); i < job.tokens * parts; i += kThreads) {
        const int token = i / parts;
        const int channel = i % parts * kChannels;
        const int angle = (slot * job.tokens + token) * kPairs + channel / 2 % kPairs;
        const float4 cos = *reinterpret_cast<const float4*>(job.cos + angle);
        const float4 sin = *reinterpret_cast<const float4*>(job.sin + angle);
        const float cosines[4] = {cos.x, cos.y, cos.z, cos.w}, sines[4] = {sin.x, sin.y, sin.z, sin.w};
        const Eight key = load(keys + static_cast<long long>(i) * kChannels);
        const Eight value = load(values + static_cast<long long>(i) * kChannels);
        Eight turned;
#pragma unroll
        for (int pair = 0; pair < 4; ++pair) {
            const float a = key.x[2 * pair], b = key.x[2 * pair + 1];
            turned.x[2 * pair] = a * cosines[pair] - b * sines[pair];
            turned.x[2 * pair + 1] = a * sines[pair] + b * cosines[pair];
        }
        const int to = token * 2 * job.dim + channel;
        store(rotated_keys + to, turned);
        store(rotated_keys + to + job.dim, seen_by_camera(key, matrix));
        store(rotated_values + to, value);
        store(rotated_values + to + job.dim, seen_by_camera(value, matrix));
    }
}

} // namespace

void launch_rotate_history(const RotateHistoryJob& job, CUstream_st* stream) {
    rotate_history_kernel<<<static_cast<unsigned>(job.walks * job.slots), kThreads, 0, stream>>>(job);
}

} // namespace wander::train::cuda
