#include "generator/wan/decode_kernels.hpp"

#include <cuda_bf16.h>

namespace wander::cuda {
namespace {

constexpr int kThreads = 256;

unsigned blocks_for(long long threads) { return static_cast<unsigned>((threads + kThreads - 1) / kThreads); }

struct Eight {
    float x[8];
};

__device__ inline Eight widen(const uint4& bits) {
    const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
    Eight out;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        out.x[2 * i] = __uint_as_float(words[i] << 16);
        out.x[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000U);
    }
    return out;
}

__device__ inline uint4 narrow(const Eight& value) {
    uint4 bits;
    auto* pairs = reinterpret_cast<__nv_bfloat162*>(&bits);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        pairs[i] = __floats2bfloat162_rn(value.x[2 * i], value.x[2 * i + 1]);
    }
    return bits;
}

__device__ inline void add_floats(Eight& value, const float* bias) {
    const float4 a = reinterpret_cast<const float4*>(bias)[0];
    const float4 b = reinterpret_cast<const float4*>(bias)[1];
    const float all[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        value.x[i] += all[i];
    }
}

__device__ inline void add_eight(Eight& value, const uint4& bits) {
    const Eight other = widen(bits);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        value.x[i] += other.x[i];
    }
}

// Every second of sixteen values: those at even places, or at odd ones.
__device__ inline uint4 every_second(const uint4& a, const uint4& b, bool odd) {
    const unsigned picked = odd ? 0x7632U : 0x5410U; // bytes of two words
    return {__byte_perm(a.x, a.y, picked), __byte_perm(a.z, a.w, picked), __byte_perm(b.x, b.y, picked),
            __byte_perm(b.z, b.w, picked)};
}

// `lanes` consecutive threads (a power of two) share a pixel; each holds kVectors times eight channels of it, `lanes`
// times eight apart, and walks through the frames.
template <int kVectors>
__global__ void __launch_bounds__(kThreads) causal_input(CausalInputJob job, int lanes) {
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    const bool active = index / lanes < job.pixels;
    const long long pixel = active ? index / lanes : job.pixels - 1; // the others only take part in the sums
    const int lane = static_cast<int>(index % lanes);
    const int vectors = job.channels / 8; // of a pixel
    const auto* x = static_cast<const uint4*>(job.x);
    const bool around = job.around != nullptr;
    const auto* residual = static_cast<const uint4*>(around ? job.around : job.residual);
    auto* past = static_cast<uint4*>(job.past);
    const long long here = pixel * vectors + lane;
    const long long frame = job.pixels * vectors;
    long long x_here = here;
    long long x_frame = frame;
    long long around_here = 0; // of the pixel's first value
    bool odd_row = false;
    if (job.phase_columns > 0) {
        const int row = static_cast<int>(pixel / job.phase_columns);
        const int column = static_cast<int>(pixel % job.phase_columns);
        const long long wide = job.phase_columns / 2 + 1;
        const long long square = (row / 2 + row % 2) * wide + column / 2 + column % 2;
        x_here = (square * 4 + row % 2 * 2 + column % 2) * vectors + lane;
        x_frame = (job.pixels / job.phase_columns / 2 + 1) * wide * 4 * vectors;
        around_here = ((row / 2) * static_cast<long long>(job.phase_columns / 2) + column / 2) * vectors;
        odd_row = row % 2 == 1;
    }
    const auto residual_of = [&](int t, int v) {
        const int vector = lane + v * lanes;
        if (!around) {
            return residual[here + v * lanes + t * frame];
        }
        const long long from = around_here + (job.around_first + t) / job.around_time * (frame / 4);
        if (job.around_step == 1) {
            return residual[from + vector];
        }
        const uint4* pair = residual + 2 * (from + vector);
        return every_second(pair[0], pair[1], odd_row);
    };

    uint4 before2[kVectors];
    uint4 before1[kVectors];
    uint4 coming[kVectors];
    uint4 coming_residual[kVectors];
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
        if (job.taps == 3) {
            before2[v] = past[here + v * lanes];
            before1[v] = past[here + v * lanes + frame];
        }
        coming[v] = x[x_here + v * lanes];
        if (residual) {
            coming_residual[v] = residual_of(0, v);
        }
    }
    for (int t = 0; t < job.frames; ++t) {
        Eight value[kVectors];
        float square = 0.0F;
#pragma unroll
        for (int v = 0; v < kVectors; ++v) {
            value[v] = widen(coming[v]);
            if (job.bias) {
                add_floats(value[v], job.bias + (lane + v * lanes) * 8);
            }
            if (residual) {
                add_eight(value[v], coming_residual[v]);
            }
        }
        if (t + 1 < job.frames) { // the next frame travels while this one is worked on
#pragma unroll
            for (int v = 0; v < kVectors; ++v) {
                coming[v] = x[x_here + v * lanes + (t + 1) * x_frame];
                if (residual) {
                    coming_residual[v] = residual_of(t + 1, v);
                }
            }
        }
        uint4 made[kVectors];
#pragma unroll
        for (int v = 0; v < kVectors; ++v) {
            if (job.bias || residual) {
                made[v] = narrow(value[v]);
                value[v] = widen(made[v]);
            } else {
                made[v] = narrow(value[v]); // exact
            }
            if (job.sum && active) {
                static_cast<uint4*>(job.sum)[here + v * lanes + t * frame] = made[v];
            }
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                square += value[v].x[i] * value[v].x[i];
            }
        }
        if (job.gamma) {
            for (int step = lanes / 2; step > 0; step /= 2) {
                square += __shfl_xor_sync(0xffffffffU, square, step);
            }
            const float scale = rsqrtf(square / static_cast<float>(job.channels) + job.eps);
#pragma unroll
            for (int v = 0; v < kVectors; ++v) {
                const float* gamma = job.gamma + (lane + v * lanes) * 8;
#pragma unroll
                for (int i = 0; i < 8; ++i) {
                    float n = value[v].x[i] * scale * gamma[i];
                    if (job.silu) {
                        n = n / (1.0F + __expf(-n));
                    }
                    value[v].x[i] = n;
                }
                made[v] = narrow(value[v]);
            }
        }
        if (!active || !job.out) {
            continue;
        }
        auto* out =
            static_cast<uint4*>(job.out) + (static_cast<long long>(t) * job.pixels + pixel) * vectors * job.taps + lane;
#pragma unroll
        for (int v = 0; v < kVectors; ++v) {
            if (job.taps == 3) {
                out[v * lanes] = before2[v];
                out[v * lanes + vectors] = before1[v];
                out[v * lanes + 2 * vectors] = made[v];
                before2[v] = before1[v];
                before1[v] = made[v];
            } else {
                out[v * lanes] = made[v];
            }
        }
    }
    if (job.taps == 3 && active) {
#pragma unroll
        for (int v = 0; v < kVectors; ++v) {
            past[here + v * lanes] = before2[v];
            past[here + v * lanes + frame] = before1[v];
        }
    }
}

// Lanes for a pixel of that many eights, or 0.
int lanes_of(int vectors) {
    for (int lanes = 32; lanes > 0; lanes /= 2) {
        if (vectors % lanes == 0) {
            return vectors / lanes <= 4 ? lanes : 0;
        }
    }
    return 0;
}

// One thread: eight channels of one pixel of `x`.
__global__ void __launch_bounds__(kThreads) enlarge(EnlargeJob job) {
    const int vectors = job.channels / 8;
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    const long long count = static_cast<long long>(job.frames) * job.rows * job.columns * job.times * vectors;
    if (index >= count) {
        return;
    }
    const int vector = static_cast<int>(index % vectors);
    const int half = static_cast<int>(index / vectors % job.times);
    const long long pixel = index / (static_cast<long long>(vectors) * job.times);
    const int column = static_cast<int>(pixel % job.columns);
    const int row = static_cast<int>(pixel / job.columns % job.rows);
    const int frame = static_cast<int>(pixel / job.columns / job.rows) * job.times + half - job.drop;
    if (frame < 0) {
        return;
    }
    uint4 bits = static_cast<const uint4*>(job.x)[index];
    if (job.bias || job.residual) {
        Eight value = widen(bits);
        if (job.bias) {
            add_floats(value, job.bias + (half * vectors + vector) * 8);
        }
        if (job.residual) {
            add_eight(value, static_cast<const uint4*>(job.residual)[index]);
        }
        bits = narrow(value);
    }
    uint4* out = static_cast<uint4*>(job.out) +
                 ((static_cast<long long>(frame) * job.size * job.rows + job.size * row) * job.size * job.columns +
                  job.size * column) *
                     vectors +
                 vector;
    const long long next_row = 2LL * job.columns * vectors;
    out[0] = bits;
    if (job.size == 1) {
        return;
    }
    out[vectors] = bits;
    out[next_row] = bits;
    out[next_row + vectors] = bits;
}

// One thread: one pixel. Neighbouring threads read neighbouring values of every plane.
template <int kPatch>
__global__ void __launch_bounds__(kThreads) sum_taps(SumTapsJob job) {
    constexpr int kOutputs = 3 * kPatch * kPatch;
    const long long plane = static_cast<long long>(job.rows) * job.columns;
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    if (index >= plane * job.frames) {
        return;
    }
    const int frame = static_cast<int>(index / plane);
    const int row = static_cast<int>(index % plane / job.columns);
    const int column = static_cast<int>(index % job.columns);
    float sum[kOutputs];
#pragma unroll
    for (int c = 0; c < kOutputs; ++c) {
        sum[c] = job.bias[c];
    }
    for (int dt = 0; dt < 3; ++dt) {
        const int source = frame - 2 + dt;
        const auto* products = source < 0
                                   ? static_cast<const __nv_bfloat16*>(job.past) + (source + 2) * plane * job.planes
                                   : static_cast<const __nv_bfloat16*>(job.products) + source * plane * job.planes;
#pragma unroll
        for (int tap = 0; tap < 9; ++tap) {
            const int y = row + tap / 3 - 1;
            const int x = column + tap % 3 - 1;
            if (y < 0 || y >= job.rows || x < 0 || x >= job.columns) {
                continue;
            }
            const auto* value =
                products + (dt * 9 + tap) * kOutputs * plane + static_cast<long long>(y) * job.columns + x;
#pragma unroll
            for (int c = 0; c < kOutputs; ++c) {
                sum[c] += __bfloat162float(value[c * plane]);
            }
        }
    }
    auto* frame_out = static_cast<__nv_bfloat16*>(job.out) + frame * plane * kOutputs;
#pragma unroll
    for (int dy = 0; dy < kPatch; ++dy) {
        auto* out = frame_out + (static_cast<long long>(kPatch * row + dy) * job.columns + column) * kPatch * 3;
#pragma unroll
        for (int dx = 0; dx < kPatch; ++dx) {
#pragma unroll
            for (int colour = 0; colour < 3; ++colour) {
                out[dx * 3 + colour] = __float2bfloat16(sum[(colour * kPatch + dx) * kPatch + dy]);
            }
        }
    }
}

__device__ inline float value_at(const PixelsJob& job, long long offset) {
    return job.bf16 ? __bfloat162float(static_cast<const __nv_bfloat16*>(job.x)[offset])
                    : static_cast<const float*>(job.x)[offset];
}

__global__ void __launch_bounds__(kThreads) to_pixels(PixelsJob job) {
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    if (index >= static_cast<long long>(job.rows) * job.columns) {
        return;
    }
    const long long offset = index / job.columns * job.row_stride + index % job.columns * job.column_stride;
    unsigned char bytes[4] = {0, 0, 0, 255};
    for (int c = 0; c < 3; ++c) {
        // Two roundings, as everywhere else that makes bytes.
        const float scaled =
            __fadd_rn(__fmul_rn(value_at(job, offset + c * job.channel_stride), job.scale), job.offset);
        bytes[c] = static_cast<unsigned char>(__float2int_rn(fminf(fmaxf(scaled, 0.0F), 255.0F)));
    }
    static_cast<uchar4*>(job.out)[index] = make_uchar4(bytes[0], bytes[1], bytes[2], bytes[3]);
}

} // namespace

bool causal_input_serves(int channels) { return channels > 0 && channels % 8 == 0 && lanes_of(channels / 8) > 0; }

void launch_causal_input(const CausalInputJob& job, Stream stream) {
    const int lanes = lanes_of(job.channels / 8);
    const unsigned blocks = blocks_for(job.pixels * lanes);
    switch (job.channels / 8 / lanes) {
        case 1: causal_input<1><<<blocks, kThreads, 0, stream>>>(job, lanes); break;
        case 2: causal_input<2><<<blocks, kThreads, 0, stream>>>(job, lanes); break;
        case 3: causal_input<3><<<blocks, kThreads, 0, stream>>>(job, lanes); break;
        default: causal_input<4><<<blocks, kThreads, 0, stream>>>(job, lanes); break;
    }
}

void launch_enlarge(const EnlargeJob& job, Stream stream) {
    const long long count =
        static_cast<long long>(job.frames) * job.rows * job.columns * job.times * (job.channels / 8);
    enlarge<<<blocks_for(count), kThreads, 0, stream>>>(job);
}

void launch_sum_taps(const SumTapsJob& job, Stream stream) {
    const unsigned blocks = blocks_for(static_cast<long long>(job.frames) * job.rows * job.columns);
    if (job.patch == 2) {
        sum_taps<2><<<blocks, kThreads, 0, stream>>>(job);
    } else {
        sum_taps<1><<<blocks, kThreads, 0, stream>>>(job);
    }
}

void launch_pixels(const PixelsJob& job, Stream stream) {
    to_pixels<<<blocks_for(static_cast<long long>(job.rows) * job.columns), kThreads, 0, stream>>>(job);
}

} // namespace wander::cuda
