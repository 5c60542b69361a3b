// One block: 64 rows of one head, 16 rows a warp; keys and values pass through shared memory 64 at a time, the next 64
// on their way while these are multiplied.
#include "generator/nn/cuda/cross_attention.hpp"

#include <cuda_bf16.h>

namespace wander::nn::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kRows = kWarps * 16;
constexpr int kKeys = 64;
constexpr int kRowBytes = kCrossHeadDim * 2;
constexpr int kTileBytes = kKeys * kRowBytes;
constexpr int kSharedBytes = 4 * kTileBytes; // two stages of keys and values
constexpr float kLog2e = 1.4426950408889634F;

// Sixteen bytes to shared memory, zeros where there is nothing to read.
__device__ void copy_16(unsigned shared, const void* global, bool valid) {
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared), "l"(global), "r"(bytes));
}

// Where the 16-byte piece `chunk` of a row lies in its tile: neighbouring rows begin in other banks.
__device__ unsigned place(int row, int chunk) {
    return static_cast<unsigned>(row * kRowBytes + (chunk ^ (row & 7)) * 16);
}

__device__ void load_matrices(unsigned (&out)[4], unsigned shared) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared));
}

__device__ void load_turned(unsigned (&out)[4], unsigned shared) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared));
}

// 16 x 16 times 16 x 8, added to d.
__device__ void multiply(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ unsigned pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const unsigned*>(&pair);
}

// The four lanes that hold a row of a product.
__device__ float row_max(float value) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, 1));
    return fmaxf(value, __shfl_xor_sync(0xffffffffU, value, 2));
}
__device__ float row_sum(float value) {
    value += __shfl_xor_sync(0xffffffffU, value, 1);
    return value + __shfl_xor_sync(0xffffffffU, value, 2);
}

__global__ void __launch_bounds__(kThreads, 3) attend_text(CrossJob job) {
    extern __shared__ __align__(128) unsigned char tiles[];
    const auto base = static_cast<unsigned>(__cvta_generic_to_shared(tiles));
    const int head = static_cast<int>(blockIdx.y);
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const std::int64_t row_values = static_cast<std::int64_t>(job.heads) * kCrossHeadDim;
    const int tile_count = (job.keys + kKeys - 1) / kKeys;

    const auto fill = [&](int tile) {
        const unsigned stage = base + static_cast<unsigned>(tile % 2) * 2 * kTileBytes;
        for (int i = static_cast<int>(threadIdx.x); i < kKeys * 16; i += kThreads) {
            const int key = tile * kKeys + i / 16;
            const bool valid = key < job.keys;
            const std::int64_t from = (valid ? key : 0) * row_values + head * kCrossHeadDim + i % 16 * 8;
            copy_16(stage + place(i / 16, i % 16), static_cast<const __nv_bfloat16*>(job.k) + from, valid);
            copy_16(stage + kTileBytes + place(i / 16, i % 16), static_cast<const __nv_bfloat16*>(job.v) + from, valid);
        }
        asm volatile("cp.async.commit_group;\n");
    };
    fill(0);

    // Rows of this lane: of every product its values 0, 1 lie in the first and 2, 3 in the second.
    const std::int64_t rows[2] = {static_cast<std::int64_t>(blockIdx.x) * kRows + warp * 16 + lane / 4,
                                  static_cast<std::int64_t>(blockIdx.x) * kRows + warp * 16 + lane / 4 + 8};
    unsigned query[8][4];
    float factor[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const std::int64_t row = rows[r] < job.rows ? rows[r] : job.rows - 1;
        factor[r] = job.row_factor[row] * job.scale * kLog2e;
        const auto* q = static_cast<const __nv_bfloat16*>(job.q) + row * row_values + head * kCrossHeadDim;
#pragma unroll
        for (int step = 0; step < 8; ++step) {
            query[step][r] = *reinterpret_cast<const unsigned*>(q + step * 16 + lane % 4 * 2);
            query[step][r + 2] = *reinterpret_cast<const unsigned*>(q + step * 16 + 8 + lane % 4 * 2);
        }
    }

    float out[16][4] = {};
    float peak[2] = {-INFINITY, -INFINITY};
    float weight[2] = {};
    for (int tile = 0; tile < tile_count; ++tile) {
        if (tile + 1 < tile_count) {
            fill(tile + 1);
            asm volatile("cp.async.wait_group 1;\n");
        } else {
            asm volatile("cp.async.wait_group 0;\n");
        }
        __syncthreads();
        const unsigned keys = base + static_cast<unsigned>(tile % 2) * 2 * kTileBytes;
        const unsigned values = keys + kTileBytes;

        float score[8][4] = {};
#pragma unroll
        for (int step = 0; step < 8; ++step) {
#pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
                unsigned k[4];
                load_matrices(k, keys + place(pair * 16 + lane / 16 * 8 + lane % 8, step * 2 + lane / 8 % 2));
                multiply(score[2 * pair], query[step], k[0], k[1]);
                multiply(score[2 * pair + 1], query[step], k[2], k[3]);
            }
        }
        float highest[2] = {peak[0], peak[1]};
#pragma unroll
        for (int n = 0; n < 8; ++n) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int key = tile * kKeys + n * 8 + lane % 4 * 2 + i % 2;
                float logit = score[n][i] * factor[i / 2];
                if (key == job.keys - 1) logit += job.last_bias * kLog2e;
                score[n][i] = key < job.keys ? logit : -INFINITY;
                highest[i / 2] = fmaxf(highest[i / 2], score[n][i]);
            }
        }
        float shrink[2];
#pragma unroll
        for (int r = 0; r < 2; ++r) {
            highest[r] = row_max(highest[r]);
            shrink[r] = exp2f(peak[r] - highest[r]);
            peak[r] = highest[r];
            weight[r] *= shrink[r];
        }
#pragma unroll
        for (int n = 0; n < 8; ++n) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                score[n][i] = exp2f(score[n][i] - peak[i / 2]);
                weight[i / 2] += score[n][i];
            }
        }
#pragma unroll
        for (int n = 0; n < 16; ++n) {
#pragma unroll
            for (int i = 0; i < 4; ++i) out[n][i] *= shrink[i / 2];
        }
#pragma unroll
        for (int step = 0; step < 4; ++step) {
            const unsigned p[4] = {pack(score[2 * step][0], score[2 * step][1]),
                                   pack(score[2 * step][2], score[2 * step][3]),
                                   pack(score[2 * step + 1][0], score[2 * step + 1][1]),
                                   pack(score[2 * step + 1][2], score[2 * step + 1][3])};
#pragma unroll
            for (int pair = 0; pair < 8; ++pair) {
                unsigned v[4];
                load_turned(v, values + place(step * 16 + lane / 8 % 2 * 8 + lane % 8, pair * 2 + lane / 16));
                multiply(out[2 * pair], p, v[0], v[1]);
                multiply(out[2 * pair + 1], p, v[2], v[3]);
            }
        }
        __syncthreads();
    }

#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const float inverse = 1.0F / row_sum(weight[r]);
        if (rows[r] >= job.rows) continue;
        auto* target = static_cast<__nv_bfloat16*>(job.out) + rows[r] * row_values + head * kCrossHeadDim;
#pragma unroll
        for (int n = 0; n < 16; ++n) {
            *reinterpret_cast<unsigned*>(target + n * 8 + lane % 4 * 2) =
                pack(out[n][2 * r] * inverse, out[n][2 * r + 1] * inverse);
        }
    }
}

} // namespace

void launch_cross_attention(const CrossJob& job, Stream stream) {
    // Set at every launch: it is cheap, and the device may be another one.
    cudaFuncSetAttribute(attend_text, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
    const dim3 grid(static_cast<unsigned>((job.rows + kRows - 1) / kRows), static_cast<unsigned>(job.heads));
    attend_text<<<grid, kThreads, kSharedBytes, stream>>>(job);
}

} // namespace wander::nn::cuda
