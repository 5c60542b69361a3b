// Attention of teacher forcing without a mask: a block works on one latent of one head. Going forward and for dq it
// holds the latent's queries and walks over the keys they see, for dk and dv it holds the latent's keys and walks over
// the queries that see them; both are at most two runs of rows. Nothing is added up outside a block.

#include "generator/train/cuda/matrix_tiles.cuh"
#include "generator/train/cuda/ops.hpp"

namespace wander::train::cuda {
namespace {

using Bf16 = __nv_bfloat16;

constexpr int kWarps = 3; // each has 32 rows of the latent
constexpr int kThreads = kWarps * 32;
constexpr int kHeld = kWarps * 32; // rows held, zeros beyond the latent's
constexpr int kKeyTile = 64, kQueryTile = 32;
constexpr float kScale = 0.125F; // 1 / sqrt(64)
constexpr float kScaleLog2 = kScale * 1.44269504088896341F;

// Two runs of rows, counted as one.
struct Runs {
    int first, count, second, total;
    __device__ int row(int index) const { return index < count ? first + index : second + index - count; }
};

__device__ Runs seen_keys(int latent, int latents, int tokens) {
    const int before = latent <= latents ? latent : latent - latents;
    return {0, before * tokens, latent * tokens, (before + 1) * tokens};
}

__device__ Runs seeing_queries(int latent, int latents, int tokens) {
    if (latent > latents) return {latent * tokens, tokens, 0, tokens};
    return {latent * tokens, (latents + 1 - latent) * tokens, (latents + 1 + latent) * tokens,
            (2 * latents + 1 - 2 * latent) * tokens};
}

// The block's latent, the one with the longest walk first, so that the short ones fill the end. `late`: walks get
// longer with the latent's place (keys), otherwise shorter (queries).
__device__ int latent_of(int order, int latents, bool late) {
    if (!late) return order;
    const int before = latents - order / 2;
    return order % 2 == 0 ? before : before + latents;
}

struct Place {
    std::int64_t values;     // of row 0 of this head
    std::int64_t statistics; // the same in [B, heads, rows]
    std::int64_t stride;
};

__device__ Place place_of(const AttentionJob& job) {
    const int rows = (2 * job.latents + 1) * job.tokens, head = static_cast<int>(blockIdx.y) % job.heads,
              clip = static_cast<int>(blockIdx.y) / job.heads;
    const std::int64_t stride = job.heads * 64;
    return {static_cast<std::int64_t>(clip) * rows * stride + head * 64, static_cast<std::int64_t>(blockIdx.y) * rows,
            stride};
}

// kRows rows from `start` of the runs on.
template <int kRows>
__device__ void copy_tile(std::uint32_t tile, const void* values, const Place& place, const Runs& runs, int start) {
    for (int index = static_cast<int>(threadIdx.x); index < kRows * 8; index += kThreads) {
        const int row = index / 8, chunk = index % 8;
        const bool inside = start + row < runs.total;
        const int source = inside ? runs.row(start + row) : 0;
        copy_chunk(chunk_address(tile, row, chunk),
                   static_cast<const Bf16*>(values) + place.values + source * place.stride + chunk * 8, inside);
    }
}

// Rows of a warp's products, [2 x 16 rows][64 channels], times `factor`, to the latent's rows in device memory.
__device__ void store_rows(void* out, const Place& place, int latent_row, int tokens, const float (&value)[2][8][4],
                           const float (&factor)[2][2]) {
    const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int row = warp * 32 + m * 16 + half * 8 + lane / 4;
            if (row >= tokens) continue;
            Bf16* target = static_cast<Bf16*>(out) + place.values + (latent_row + row) * place.stride + lane % 4 * 2;
#pragma unroll
            for (int n = 0; n < 8; ++n)
                *reinterpret_cast<std::uint32_t*>(target + n * 8) =
                    pack(value[m][n][half * 2] * factor[m][half], value[m][n][half * 2 + 1] * factor[m][half]);
        }
    }
}

// 2^x, two units in the last place.
__device__ float exp2_of(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Columns from `count` on count as not there.
template <int kColumns>
__device__ void mask_columns(float (&logits)[2][kColumns][4], int count) {
    const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
    for (int n = 0; n < kColumns; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if (n * 8 + lane % 4 * 2 + i % 2 < count) continue;
            logits[0][n][i] = logits[1][n][i] = -INFINITY;
        }
    }
}

__global__ void __launch_bounds__(kThreads, 4) attention_forward(AttentionJob job) {
    __shared__ __align__(128) unsigned char shared[(kHeld + 4 * kKeyTile) * kRowBytes];
    const std::uint32_t queries = shared_address(shared), stages = queries + kHeld * kRowBytes;
    const auto key_tile = [&](int tile) {
        return stages + static_cast<std::uint32_t>(tile % 2 * 2 * kKeyTile * kRowBytes);
    };
    const auto value_tile = [&](int tile) { return key_tile(tile) + kKeyTile * kRowBytes; };
    const Place place = place_of(job);
    const int latent = latent_of(static_cast<int>(blockIdx.x), job.latents, true), first_row = latent * job.tokens;
    const Runs keys = seen_keys(latent, job.latents, job.tokens);
    const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
    const auto fetch = [&](int tile) {
        copy_tile<kKeyTile>(key_tile(tile), job.k, place, keys, tile * kKeyTile);
        copy_tile<kKeyTile>(value_tile(tile), job.v, place, keys, tile * kKeyTile);
        end_copies();
    };
    copy_tile<kHeld>(queries, job.q, place, {first_row, job.tokens, 0, job.tokens}, 0);
    end_copies();
    fetch(0);

    float out[2][8][4] = {}, largest[2][2], sum[2][2] = {};
    for (int m = 0; m < 2; ++m) largest[m][0] = largest[m][1] = -INFINITY;
    const int tiles = (keys.total + kKeyTile - 1) / kKeyTile;
    for (int tile = 0; tile < tiles; ++tile) {
        if (tile + 1 < tiles) {
            fetch(tile + 1);
            wait_for_copies<1>();
        } else {
            wait_for_copies<0>();
        }
        __syncthreads();
        float logits[2][8][4] = {};
#pragma unroll
        for (int step = 0; step < 4; ++step) {
            std::uint32_t query[2][4];
#pragma unroll
            for (int m = 0; m < 2; ++m) load_left(query[m], queries, warp * 32 + m * 16, step);
#pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
                std::uint32_t key[4];
                load_right_rows(key, key_tile(tile), pair * 16, step);
#pragma unroll
                for (int m = 0; m < 2; ++m) {
                    multiply_add(logits[m][pair * 2], query[m], key[0], key[1]);
                    multiply_add(logits[m][pair * 2 + 1], query[m], key[2], key[3]);
                }
            }
        }
        if (keys.total - tile * kKeyTile < kKeyTile) mask_columns(logits, keys.total - tile * kKeyTile);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                float top = largest[m][half];
#pragma unroll
                for (int n = 0; n < 8; ++n) top = fmaxf(top, fmaxf(logits[m][n][half * 2], logits[m][n][half * 2 + 1]));
                top = quad_max(top);
                const float shrink = exp2_of((largest[m][half] - top) * kScaleLog2), base = top * kScaleLog2;
                largest[m][half] = top;
                sum[m][half] *= shrink;
#pragma unroll
                for (int n = 0; n < 8; ++n) {
#pragma unroll
                    for (int i = half * 2; i < half * 2 + 2; ++i) {
                        logits[m][n][i] = exp2_of(fmaf(logits[m][n][i], kScaleLog2, -base));
                        sum[m][half] += logits[m][n][i];
                        out[m][n][i] *= shrink;
                    }
                }
            }
        }
#pragma unroll
        for (int step = 0; step < kKeyTile / 16; ++step) {
            std::uint32_t weight[2][4];
#pragma unroll
            for (int m = 0; m < 2; ++m) as_left(weight[m], logits[m][step * 2], logits[m][step * 2 + 1]);
#pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
                std::uint32_t value[4];
                load_right(value, value_tile(tile), step * 16, pair);
#pragma unroll
                for (int m = 0; m < 2; ++m) {
                    multiply_add(out[m][pair * 2], weight[m], value[0], value[1]);
                    multiply_add(out[m][pair * 2 + 1], weight[m], value[2], value[3]);
                }
            }
        }
        __syncthreads();
    }
    float factor[2][2];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const float all = quad_sum(sum[m][half]);
            factor[m][half] = 1.0F / all;
            const int row = warp * 32 + m * 16 + half * 8 + lane / 4;
            if (lane % 4 == 0 && row < job.tokens)
                job.log_sum[place.statistics + first_row + row] = fmaf(largest[m][half], kScaleLog2, log2f(all));
        }
    }
    store_rows(job.o, place, first_row, job.tokens, out, factor);
}

// dq, and delta for the kernel below. With p = exp(s - log sum), dp = do v^T: ds = p (dp - delta), dq = ds k / 8.
__global__ void __launch_bounds__(kThreads, 4) attention_backward_queries(AttentionJob job) {
    constexpr int kTile = 32, kStageBytes = 2 * kTile * kRowBytes; // keys, values
    __shared__ __align__(128) unsigned char shared[2 * kHeld * kRowBytes + 2 * kStageBytes];
    const std::uint32_t queries = shared_address(shared), d_outs = queries + kHeld * kRowBytes,
                        stages = d_outs + kHeld * kRowBytes;
    const auto key_tile = [&](int tile) { return stages + static_cast<std::uint32_t>(tile % 2 * kStageBytes); };
    const auto value_tile = [&](int tile) { return key_tile(tile) + kTile * kRowBytes; };
    const Place place = place_of(job);
    const int latent = latent_of(static_cast<int>(blockIdx.x), job.latents, true), first_row = latent * job.tokens;
    const Runs keys = seen_keys(latent, job.latents, job.tokens), own = {first_row, job.tokens, 0, job.tokens};
    const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
    static_assert(kHeld * kRowBytes <= 2 * kStageBytes); // o lies where the stages come
    copy_tile<kHeld>(queries, job.q, place, own, 0);
    copy_tile<kHeld>(d_outs, job.d_o, place, own, 0);
    copy_tile<kHeld>(stages, job.o, place, own, 0);
    end_copies();
    wait_for_copies<0>();
    __syncthreads();
    float delta[2][2] = {}, log_sum[2][2];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int step = 0; step < 4; ++step) {
            std::uint32_t out[4], d_out[4];
            load_left(out, stages, warp * 32 + m * 16, step);
            load_left(d_out, d_outs, warp * 32 + m * 16, step);
#pragma unroll
            for (int i = 0; i < 4; ++i) { // words 0, 2: row lane / 4; 1, 3: eight rows below
                const float2 a = unpack(out[i]), b = unpack(d_out[i]);
                delta[m][i % 2] += a.x * b.x + a.y * b.y;
            }
        }
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            delta[m][half] = quad_sum(delta[m][half]);
            const int row = warp * 32 + m * 16 + half * 8 + lane / 4;
            const std::int64_t index = place.statistics + first_row + row;
            log_sum[m][half] = row < job.tokens ? job.log_sum[index] : 0.0F;
            if (lane % 4 == 0 && row < job.tokens) job.delta[index] = delta[m][half];
        }
    }
    __syncthreads();
    const auto fetch = [&](int tile) {
        copy_tile<kTile>(key_tile(tile), job.k, place, keys, tile * kTile);
        copy_tile<kTile>(value_tile(tile), job.v, place, keys, tile * kTile);
        end_copies();
    };
    fetch(0);
    float dq[2][8][4] = {};
    const int tiles = (keys.total + kTile - 1) / kTile;
    for (int tile = 0; tile < tiles; ++tile) {
        if (tile + 1 < tiles) {
            fetch(tile + 1);
            wait_for_copies<1>();
        } else {
            wait_for_copies<0>();
        }
        __syncthreads();
        float logits[2][4][4] = {}, slopes[2][4][4] = {};
#pragma unroll
        for (int step = 0; step < 4; ++step) {
            std::uint32_t query[2][4], d_out[2][4];
#pragma unroll
            for (int m = 0; m < 2; ++m) {
                load_left(query[m], queries, warp * 32 + m * 16, step);
                load_left(d_out[m], d_outs, warp * 32 + m * 16, step);
            }
#pragma unroll
            for (int pair = 0; pair < 2; ++pair) {
                std::uint32_t key[4], value[4];
                load_right_rows(key, key_tile(tile), pair * 16, step);
                load_right_rows(value, value_tile(tile), pair * 16, step);
#pragma unroll
                for (int m = 0; m < 2; ++m) {
                    multiply_add(logits[m][pair * 2], query[m], key[0], key[1]);
                    multiply_add(logits[m][pair * 2 + 1], query[m], key[2], key[3]);
                    multiply_add(slopes[m][pair * 2], d_out[m], value[0], value[1]);
                    multiply_add(slopes[m][pair * 2 + 1], d_out[m], value[2], value[3]);
                }
            }
        }
        if (keys.total - tile * kTile < kTile) mask_columns(logits, keys.total - tile * kTile);
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
            for (int n = 0; n < 4; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    slopes[m][n][i] = exp2_of(fmaf(logits[m][n][i], kScaleLog2, -log_sum[m][i / 2])) *
                                      (slopes[m][n][i] - delta[m][i / 2]);
#pragma unroll
        for (int step = 0; step < 2; ++step) {
            std::uint32_t slope[2][4];
#pragma unroll
            for (int m = 0; m < 2; ++m) as_left(slope[m], slopes[m][step * 2], slopes[m][step * 2 + 1]);
#pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
                std::uint32_t key[4];
                load_right(key, key_tile(tile), step * 16, pair);
#pragma unroll
                for (int m = 0; m < 2; ++m) {
                    multiply_add(dq[m][pair * 2], slope[m], key[0], key[1]);
                    multiply_add(dq[m][pair * 2 + 1], slope[m], key[2], key[3]);
                }
            }
        }
        __syncthreads();
    }
    const float factor[2][2] = {{kScale, kScale}, {kScale, kScale}};
    store_rows(job.dq, place, first_row, job.tokens, dq, factor);
}

// dk and dv: everything transposed, rows are keys and columns queries.
__global__ void __launch_bounds__(kThreads, 2) attention_backward_keys(AttentionJob job) {
    constexpr int kStageBytes = 2 * kQueryTile * kRowBytes; // queries, do
    __shared__ __align__(128) unsigned char shared[2 * kHeld * kRowBytes + 2 * kStageBytes];
    __shared__ __align__(8) float statistics[2][2][kQueryTile]; // [stage][log sum, delta][query]
    const std::uint32_t key_tile = shared_address(shared), value_tile = key_tile + kHeld * kRowBytes;
    const auto query_tile = [&](int tile) {
        return value_tile + static_cast<std::uint32_t>(kHeld * kRowBytes + tile % 2 * kStageBytes);
    };
    const auto d_out_tile = [&](int tile) { return query_tile(tile) + kQueryTile * kRowBytes; };
    const Place place = place_of(job);
    const int latent = latent_of(static_cast<int>(blockIdx.x), job.latents, false), first_row = latent * job.tokens;
    const Runs queries = seeing_queries(latent, job.latents, job.tokens), own = {first_row, job.tokens, 0, job.tokens};
    const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
    const auto fetch = [&](int tile) {
        copy_tile<kQueryTile>(query_tile(tile), job.q, place, queries, tile * kQueryTile);
        copy_tile<kQueryTile>(d_out_tile(tile), job.d_o, place, queries, tile * kQueryTile);
        if (threadIdx.x < kQueryTile) {
            float* target = &statistics[tile % 2][0][threadIdx.x];
            const int index = tile * kQueryTile + static_cast<int>(threadIdx.x);
            if (index < queries.total) {
                const std::int64_t source = place.statistics + queries.row(index);
                copy_word(shared_address(target), job.log_sum + source);
                copy_word(shared_address(target + kQueryTile), job.delta + source);
            } else {
                *target = INFINITY; // a weight of zero
                target[kQueryTile] = 0.0F;
            }
        }
        end_copies();
    };
    copy_tile<kHeld>(key_tile, job.k, place, own, 0);
    copy_tile<kHeld>(value_tile, job.v, place, own, 0);
    fetch(0);
    float dk[2][8][4] = {}, dv[2][8][4] = {};
    const int tiles = (queries.total + kQueryTile - 1) / kQueryTile;
    for (int tile = 0; tile < tiles; ++tile) {
        if (tile + 1 < tiles) {
            fetch(tile + 1);
            wait_for_copies<1>();
        } else {
            wait_for_copies<0>();
        }
        __syncthreads();
        float weights[2][4][4] = {}, slopes[2][4][4] = {};
#pragma unroll
        for (int step = 0; step < 4; ++step) {
            std::uint32_t key[2][4], value[2][4];
#pragma unroll
            for (int m = 0; m < 2; ++m) {
                load_left(key[m], key_tile, warp * 32 + m * 16, step);
                load_left(value[m], value_tile, warp * 32 + m * 16, step);
            }
#pragma unroll
            for (int pair = 0; pair < 2; ++pair) {
                std::uint32_t query[4], d_out[4];
                load_right_rows(query, query_tile(tile), pair * 16, step);
                load_right_rows(d_out, d_out_tile(tile), pair * 16, step);
#pragma unroll
                for (int m = 0; m < 2; ++m) {
                    multiply_add(weights[m][pair * 2], key[m], query[0], query[1]);
                    multiply_add(weights[m][pair * 2 + 1], key[m], query[2], query[3]);
                    multiply_add(slopes[m][pair * 2], value[m], d_out[0], d_out[1]);
                    multiply_add(slopes[m][pair * 2 + 1], value[m], d_out[2], d_out[3]);
                }
            }
        }
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            const int column = n * 8 + lane % 4 * 2;
            const float2 log_sum = *reinterpret_cast<const float2*>(&statistics[tile % 2][0][column]);
            const float2 delta = *reinterpret_cast<const float2*>(&statistics[tile % 2][1][column]);
#pragma unroll
            for (int m = 0; m < 2; ++m) {
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    weights[m][n][i] =
                        exp2_of(fmaf(weights[m][n][i], kScaleLog2, i % 2 == 0 ? -log_sum.x : -log_sum.y));
                    slopes[m][n][i] = weights[m][n][i] * (slopes[m][n][i] - (i % 2 == 0 ? delta.x : delta.y));
                }
            }
        }
#pragma unroll
        for (int step = 0; step < 2; ++step) {
            std::uint32_t weight[2][4], slope[2][4];
#pragma unroll
            for (int m = 0; m < 2; ++m) {
                as_left(weight[m], weights[m][step * 2], weights[m][step * 2 + 1]);
                as_left(slope[m], slopes[m][step * 2], slopes[m][step * 2 + 1]);
            }
#pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
                std::uint32_t query[4], d_out[4];
                load_right(d_out, d_out_tile(tile), step * 16, pair);
                load_right(query, query_tile(tile), step * 16, pair);
#pragma unroll
                for (int m = 0; m < 2; ++m) {
                    multiply_add(dv[m][pair * 2], weight[m], d_out[0], d_out[1]);
                    multiply_add(dv[m][pair * 2 + 1], weight[m], d_out[2], d_out[3]);
                    multiply_add(dk[m][pair * 2], slope[m], query[0], query[1]);
                    multiply_add(dk[m][pair * 2 + 1], slope[m], query[2], query[3]);
                }
            }
        }
        __syncthreads();
    }
    const float one[2][2] = {{1, 1}, {1, 1}}, factor[2][2] = {{kScale, kScale}, {kScale, kScale}};
    store_rows(job.dv, place, first_row, job.tokens, dv, one);
    store_rows(job.dk, place, first_row, job.tokens, dk, factor);
}

dim3 grid_of(const AttentionJob& job) {
    return {static_cast<unsigned>(2 * job.latents + 1), static_cast<unsigned>(job.batch * job.heads)};
}

} // namespace

bool attention_supports(int device) {
    int major = 0;
    return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 8;
}

void launch_attention_forward(const AttentionJob& job, Stream stream) {
    attention_forward<<<grid_of(job), kThreads, 0, stream>>>(job);
}

void launch_attention_backward(const AttentionJob& job, Stream stream) {
    attention_backward_queries<<<grid_of(job), kThreads, 0, stream>>>(job);
    attention_backward_keys<<<grid_of(job), kThreads, 0, stream>>>(job);
}

} // namespace wander::train::cuda
