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

// Eight values of which each is taken `repeat` times from consecutive ones.
__device__ inline uint4 repeated(const __nv_bfloat16* from, int repeat) {
    const auto low = [](unsigned word) { return __byte_perm(word, word, 0x1010U); };
    const auto high = [](unsigned word) { return __byte_perm(word, word, 0x3232U); };
    if (repeat == 1) {
        return *reinterpret_cast<const uint4*>(from);
    }
    if (repeat == 2) {
        const uint2 four = *reinterpret_cast<const uint2*>(from);
        return {low(four.x), high(four.x), low(four.y), high(four.y)};
    }
    if (repeat == 4) {
        const unsigned two = *reinterpret_cast<const unsigned*>(from);
        return {low(two), low(two), high(two), high(two)};
    }
    const unsigned one = low(*reinterpret_cast<const unsigned short*>(from));
    return {one, one, one, one};
}

// Where a thread's pixel of every frame is in the pictures that a job reads, in vectors of eight channels.
struct Source {
    long long pixel; // of x, at its frame 0
    long long frame; // from one frame of x to the next
    long long small; // pixel of `around`
    long long small_frame;
    int part; // of a quarter or a box, its first frame's
    bool odd_row;
};

__device__ inline Source source_of(const CausalInputJob& job, int row, int column) {
    const int vectors = job.channels / 8;
    Source source{(static_cast<long long>(row) * job.columns + column) * vectors,
                  static_cast<long long>(job.rows) * job.columns * vectors,
                  0,
                  0,
                  0,
                  row % 2 == 1};
    if (job.layout == PictureLayout::plain) {
        return source;
    }
    source.small = (row / 2) * static_cast<long long>(job.columns / 2) + column / 2;
    source.small_frame = static_cast<long long>(job.rows / 2) * (job.columns / 2);
    source.part = row % 2 * 2 + column % 2;
    if (job.layout == PictureLayout::quarters) {
        const long long wide = job.columns / 2 + 1;
        const long long square = (row / 2 + row % 2) * wide + column / 2 + column % 2;
        source.pixel = (square * 4 + source.part) * vectors;
        source.frame = (job.rows / 2 + 1) * wide * 4 * vectors;
    } else {
        source.pixel = (source.small * 4 * job.times + source.part) * vectors;
        source.frame = source.small_frame * 4 * job.times * vectors;
    }
    return source;
}

// `lanes` consecutive threads (a power of two) share a pixel of `out`; each holds kVectors times eight channels of it,
// `lanes` times eight apart, and walks through the frames. Pixels of a border work out what lies at the edge.
template <int kVectors>
__global__ void __launch_bounds__(kThreads) causal_input(CausalInputJob job, int lanes) {
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    const int width = job.columns + 2 * job.border;
    const int height = job.rows + 2 * job.border;
    const int places = width * height;
    const bool active = index / lanes < places;
    const int place = active ? static_cast<int>(index / lanes) : places - 1; // the others only take part in the sums
    const int lane = static_cast<int>(index % lanes);
    const int vectors = job.channels / 8; // of a pixel
    const int row = min(max(place / width - job.border, 0), job.rows - 1);
    const int column = min(max(place % width - job.border, 0), job.columns - 1);
    const bool inner = active && row == place / width - job.border && column == place % width - job.border;
    const Source source = source_of(job, row, column);
    const bool boxes = job.layout == PictureLayout::boxes;
    const bool around = job.around != nullptr;
    const auto* x = static_cast<const uint4*>(job.x);
    const auto* residual = static_cast<const uint4*>(around ? job.around : job.residual);
    auto* past = static_cast<uint4*>(job.past);
    const long long here = (static_cast<long long>(row) * job.columns + column) * vectors + lane;
    const long long frame = static_cast<long long>(job.rows) * job.columns * vectors;
    const long long there = static_cast<long long>(place) * vectors + lane; // in past
    const long long past_frame = static_cast<long long>(places) * vectors;
    const auto x_of = [&](int t, int v) {
        if (!boxes) {
            return x[source.pixel + t * source.frame + lane + v * lanes];
        }
        const int at = job.first + t;
        return x[source.pixel + at / job.times * source.frame + at % job.times * 4 * vectors + lane + v * lanes];
    };
    const auto residual_of = [&](int t, int v) {
        const int vector = lane + v * lanes;
        if (!around) {
            return residual[here + v * lanes + t * frame];
        }
        const int at = job.first + t;
        const long long small = source.small + at / job.times * source.small_frame;
        if (boxes) {
            const int part = at % job.times * 4 + source.part;
            return repeated(static_cast<const __nv_bfloat16*>(job.around) +
                                (small * 4 * job.times + part) * (job.channels / job.around_repeat) +
                                8 * vector / job.around_repeat,
                            job.around_repeat);
        }
        const long long from = small * vectors * job.around_step;
        if (job.around_step == 1) {
            return residual[from + vector];
        }
        const uint4* pair = residual + from + 2 * vector;
        return every_second(pair[0], pair[1], source.odd_row);
    };

    uint4 before2[kVectors];
    uint4 before1[kVectors];
    uint4 coming[kVectors];
    uint4 coming_residual[kVectors];
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
        if (job.taps == 3 && !job.fresh) {
            before2[v] = past[there + v * lanes];
            before1[v] = past[there + v * lanes + past_frame];
        }
        coming[v] = x_of(0, v);
        if (residual) {
            coming_residual[v] = residual_of(0, v);
        }
    }
    for (int t = 0; t < job.frames; ++t) {
        Eight value[kVectors];
        float square = 0.0F;
        const int part = boxes ? (job.first + t) % job.times * 4 + source.part : 0; // of the bias
#pragma unroll
        for (int v = 0; v < kVectors; ++v) {
            value[v] = widen(coming[v]);
            if (job.bias) {
                add_floats(value[v], job.bias + part * job.channels + (lane + v * lanes) * 8);
            }
            if (residual) {
                add_eight(value[v], coming_residual[v]);
            }
        }
        if (t + 1 < job.frames) { // the next frame travels while this one is worked on
#pragma unroll
            for (int v = 0; v < kVectors; ++v) {
                coming[v] = x_of(t + 1, v);
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
            if (job.sum && inner) {
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
            static_cast<uint4*>(job.out) + (static_cast<long long>(t) * places + place) * vectors * job.taps + lane;
#pragma unroll
        for (int v = 0; v < kVectors; ++v) {
            if (job.taps == 3) {
                if (t == 0 && job.fresh) {
                    before2[v] = made[v];
                    before1[v] = made[v];
                }
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
            past[there + v * lanes] = before2[v];
            past[there + v * lanes + past_frame] = before1[v];
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
    if (job.bias || job.residual || job.leak != 1) {
        Eight value = widen(bits);
        if (job.bias) {
            add_floats(value, job.bias + (half * vectors + vector) * 8);
        }
        if (job.residual) {
            add_eight(value, static_cast<const uint4*>(job.residual)[index]);
        }
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            value.x[i] = value.x[i] < 0 ? value.x[i] * job.leak : value.x[i];
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
    const int wide = job.columns + 2 * job.border; // of the products
    const long long products_plane = static_cast<long long>(job.rows + 2 * job.border) * wide;
    for (int dt = 0; dt < 3; ++dt) {
        const int source = frame - 2 + dt;
        const auto* products =
            source < 0 ? static_cast<const __nv_bfloat16*>(job.past) + (source + 2) * products_plane * job.planes
                       : static_cast<const __nv_bfloat16*>(job.products) + source * products_plane * job.planes;
#pragma unroll
        for (int tap = 0; tap < 9; ++tap) {
            const int y = row + tap / 3 - 1 + job.border;
            const int x = column + tap % 3 - 1 + job.border;
            if (y < 0 || y >= job.rows + 2 * job.border || x < 0 || x >= wide) {
                continue;
            }
            const auto* value =
                products + (dt * 9 + tap) * kOutputs * products_plane + static_cast<long long>(y) * wide + x;
#pragma unroll
            for (int c = 0; c < kOutputs; ++c) {
                sum[c] += __bfloat162float(value[c * products_plane]);
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
    const unsigned blocks =
        blocks_for(static_cast<long long>(job.rows + 2 * job.border) * (job.columns + 2 * job.border) * lanes);
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
