// Attention of teacher forcing on Hopper (compute capability 9.0): clip_attention.cu with warpgroup products. Compiled
// for sm_90a alone.
//
// A block holds 64 rows for each of its warpgroups, from one run of clean or of noisy rows of a head, whatever latents
// they belong to, and walks in tiles of 64 over all rows that any of them meets. A warpgroup passes over tiles that
// none of its rows meets; in tiles where a border of latents falls, products that do not exist are set to minus
// infinity. One tile is at work while two arrive.

#include "generator/train/cuda/matrix_tiles.cuh"
#include "generator/train/cuda/ops.hpp"
#include "quant/cuda/hopper_mma.cuh"

#include <cuda_runtime_api.h>

namespace wander::train::cuda {
namespace {

using namespace wander::quant::cuda::hopper;
using Bf16 = __nv_bfloat16;

constexpr int kTile = 64, kStages = 3, kAhead = 2;
constexpr unsigned kTileBytes = kTile * kRowBytes, kStageBytes = 2 * kTileBytes;
constexpr float kScale = 0.125F; // 1 / sqrt(64)
constexpr float kScaleLog2 = kScale * 1.44269504088896341F;

// d[64 x 64] (+)= a b over 16 of the depth, both from shared memory with contiguous depth. add: 0 overwrites.
__device__ inline void multiply_rows(float (&d)[32], std::uint32_t a, std::uint32_t b, int add) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n" WANDER_MATRIX(a, "%32")
                     WANDER_MATRIX(b, "%33") "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WANDER_TEN()
                         WANDER_TEN(1) WANDER_TEN(2) "%30, %31}, a, b, p, 1, 1, 0, 0;\n}\n"
                 : WANDER_EIGHT(d, 0), WANDER_EIGHT(d, 8), WANDER_EIGHT(d, 16), WANDER_EIGHT(d, 24)
                 : "r"(a), "r"(b), "r"(add));
}

// d[64 x 64] += p b: p 64 x 16 in registers, two bf16 each, laid out as accumulators are; b with contiguous columns.
__device__ inline void multiply_columns(float (&d)[32], const std::uint32_t* p, std::uint32_t b) {
    asm volatile("{\n" WANDER_MATRIX(b, "%36") "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WANDER_TEN()
                     WANDER_TEN(1) WANDER_TEN(2) "%30, %31}, {%32, %33, %34, %35}, b, 1, 1, 1, 1;\n}\n"
                 : WANDER_EIGHT(d, 0), WANDER_EIGHT(d, 8), WANDER_EIGHT(d, 16), WANDER_EIGHT(d, 24)
                 : "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(p[3]), "r"(b));
}

// A value that all lanes have, and the compiler knows it.
__device__ std::uint32_t alike(std::uint32_t value) { return __shfl_sync(0xffffffffU, value, 0); }

// Starts held rows (64 of them) times the rows of a tile: 64 x 64, over all 64 channels.
__device__ void start_rows(float (&d)[32], std::uint32_t held, std::uint32_t tile) {
    const std::uint32_t a = alike(describe(held, 0)), b = alike(describe(tile, 0));
    products_begin();
#pragma unroll
    for (unsigned step = 0; step < 4; ++step)
        multiply_rows(d, further(a, step * 32), further(b, step * 32), static_cast<int>(step));
    products_commit();
}

// Adds p (64 x 64) times a tile; the caller begins and commits.
__device__ void add_columns(float (&d)[32], const std::uint32_t (&p)[16], std::uint32_t tile) {
    const std::uint32_t b = alike(describe(tile, 0));
#pragma unroll
    for (unsigned step = 0; step < 4; ++step) multiply_columns(d, p + 4 * step, further(b, step * 16 * kRowBytes));
}

__device__ void pack_all(std::uint32_t (&out)[16], const float (&value)[32]) {
#pragma unroll
    for (int i = 0; i < 16; ++i) out[i] = pack(value[2 * i], value[2 * i + 1]);
}

__device__ float exp2_of(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// What a row meets of the walk: places from a0 to a1 and from b0 to b1.
struct Spans {
    int a0, a1, b0, b1;
};

// The rows that a block holds and the rows it walks over. Walked rows lie in two runs, counted as one.
struct Walk {
    int latents, tokens; // L, T
    bool keys_held, noisy;
    int first_row, end_row; // held
    int first_latent;
    int first, count, second, total; // walked

    __device__ int row(int place) const { return place < count ? first + place : second + place - count; }

    // Of a held row's latent. Both ends of both spans grow with the latent.
    __device__ Spans spans(int latent) const {
        const int ahead = (latent - first_latent) * tokens;
        if (keys_held) {
            if (noisy) return {ahead, ahead + tokens, 0, 0};
            return {ahead, count, count + ahead, total};
        }
        if (noisy) return {0, (latent - latents) * tokens, count + ahead, count + ahead + tokens};
        return {0, (latent + 1) * tokens, 0, 0};
    }
};

__device__ int tiles_of(int rows, int held) { return (rows + held - 1) / held; }

// The block's rows: longest walks first, so that short ones fill the end.
__device__ Walk walk_of(const AttentionJob& job, bool keys_held, int held) {
    const int clean_rows = (job.latents + 1) * job.tokens, noisy_rows = job.latents * job.tokens;
    const int clean_tiles = tiles_of(clean_rows, held), noisy_tiles = tiles_of(noisy_rows, held);
    const int order = static_cast<int>(blockIdx.x);
    Walk walk;
    walk.latents = job.latents;
    walk.tokens = job.tokens;
    walk.keys_held = keys_held;
    int tile = 0;
    if (keys_held) {
        walk.noisy = order >= clean_tiles;
        tile = walk.noisy ? order - clean_tiles : order;
    } else { // there are as many clean tiles as noisy ones or one more
        walk.noisy = order % 2 == 1;
        tile = (walk.noisy ? noisy_tiles : clean_tiles) - 1 - order / 2;
    }
    const int begin = walk.noisy ? clean_rows : 0, end = begin + (walk.noisy ? noisy_rows : clean_rows);
    walk.first_row = begin + tile * held;
    walk.end_row = walk.first_row + held < end ? walk.first_row + held : end;
    walk.first_latent = walk.first_row / job.tokens;
    const int last_latent = (walk.end_row - 1) / job.tokens;
    const int own_first = walk.first_latent * job.tokens, own_count = (last_latent + 1) * job.tokens - own_first;
    walk.second = 0;
    if (keys_held && walk.noisy) {
        walk.first = own_first;
        walk.count = walk.total = own_count;
    } else if (keys_held) { // clean queries from this latent on, noisy ones from the next on
        walk.first = own_first;
        walk.count = clean_rows - own_first;
        walk.second = clean_rows + own_first;
        walk.total = walk.count + noisy_rows - own_first;
    } else if (walk.noisy) {
        walk.first = 0;
        walk.count = (last_latent - job.latents) * job.tokens;
        walk.second = own_first;
        walk.total = walk.count + own_count;
    } else {
        walk.first = 0;
        walk.count = walk.total = (last_latent + 1) * job.tokens;
    }
    return walk;
}

// One thread's place in its warpgroup, and which tiles the warpgroup meets.
struct Group {
    int rows[2];    // that the thread has values of, from the block's first on
    int latents[2]; // of these rows
    bool inside[2];
    bool any; // the warpgroup has rows
    Spans first, last;

    __device__ explicit Group(const Walk& walk) {
        const int thread = static_cast<int>(threadIdx.x % 128), begin = static_cast<int>(threadIdx.x / 128) * 64;
        any = walk.first_row + begin < walk.end_row;
        for (int half = 0; half < 2; ++half) {
            rows[half] = begin + thread / 32 * 16 + thread % 32 / 4 + half * 8;
            inside[half] = walk.first_row + rows[half] < walk.end_row;
            latents[half] = latent_of(walk, rows[half]);
        }
        first = walk.spans(latent_of(walk, begin));
        last = walk.spans(latent_of(walk, begin + 63));
    }

    __device__ static int latent_of(const Walk& walk, int row) {
        return min(walk.first_row + row, walk.end_row - 1) / walk.tokens;
    }

    __device__ bool meets(int tile) const {
        const int begin = tile * kTile, end = begin + kTile;
        return any && ((begin < last.a1 && end > first.a0) || (begin < last.b1 && end > first.b0));
    }
    // All rows of the warpgroup meet all of the tile.
    __device__ bool meets_all(int tile) const {
        const int begin = tile * kTile, end = begin + kTile;
        return (begin >= last.a0 && end <= first.a1) || (begin >= last.b0 && end <= first.b1);
    }

    __device__ void mask(const Walk& walk, int tile, float (&products)[32]) const {
        const int column = tile * kTile + static_cast<int>(threadIdx.x % 4) * 2;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const Spans spans = walk.spans(latents[half]);
#pragma unroll
            for (int n = 0; n < 8; ++n) {
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const int place = column + n * 8 + i;
                    const bool met = (place >= spans.a0 && place < spans.a1) || (place >= spans.b0 && place < spans.b1);
                    if (!met) products[n * 4 + half * 2 + i] = -INFINITY;
                }
            }
        }
    }
};

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

// Eight threads copy a row, one chunk each.
template <int kThreads>
__device__ void copy_held(std::uint32_t target, const void* values, const Place& place, const Walk& walk) {
    constexpr int kPass = kThreads / 8;
    const int chunk = static_cast<int>(threadIdx.x % 8);
    const Bf16* source = static_cast<const Bf16*>(values) + place.values + chunk * 8;
#pragma unroll
    for (int pass = 0; pass < kThreads / 2 / kPass; ++pass) {
        const int row = pass * kPass + static_cast<int>(threadIdx.x / 8);
        const bool inside = walk.first_row + row < walk.end_row;
        copy_chunk(chunk_address(target, row, chunk), source + (inside ? walk.first_row + row : 0) * place.stride,
                   inside);
    }
}

// What a thread copies of the walked rows of two tensors: its chunk of every kThreads / 8th row of a tile.
template <int kThreads>
struct WalkedRows {
    static constexpr int kPass = kThreads / 8;
    const char* first;
    const char* second;
    int stride; // bytes between rows
    int row;
    std::uint32_t target; // from the tile's start

    __device__ WalkedRows(const void* a, const void* b, const Place& place)
        : stride(static_cast<int>(place.stride) * 2), row(static_cast<int>(threadIdx.x / 8)) {
        const int chunk = static_cast<int>(threadIdx.x % 8);
        const std::int64_t offset = (place.values + chunk * 8) * 2;
        first = static_cast<const char*>(a) + offset;
        second = static_cast<const char*>(b) + offset;
        target = chunk_address(0, row, chunk); // kPass is a multiple of 8: the swizzle stays
    }

    __device__ void copy(std::uint32_t stage, const Walk& walk, int tile) const {
        static_assert(kPass % 8 == 0);
#pragma unroll
        for (int begin = 0; begin < kTile; begin += kPass) {
            if (begin + kPass > kTile && begin + row >= kTile) continue;
            const int at = tile * kTile + begin + row;
            const bool inside = at < walk.total;
            const std::int64_t offset = static_cast<std::int64_t>(inside ? walk.row(at) : 0) * stride;
            const std::uint32_t to = stage + target + static_cast<unsigned>(begin * kRowBytes);
            copy_chunk(to, first + offset, inside);
            copy_chunk(to + kTileBytes, second + offset, inside);
        }
    }
};

__device__ void store_rows(void* out, const Place& place, const Walk& walk, const Group& group,
                           const float (&value)[32], float first_factor, float second_factor) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        if (!group.inside[half]) continue;
        const float factor = half == 0 ? first_factor : second_factor;
        Bf16* target = static_cast<Bf16*>(out) + place.values + (walk.first_row + group.rows[half]) * place.stride +
                       threadIdx.x % 4 * 2;
#pragma unroll
        for (int n = 0; n < 8; ++n)
            *reinterpret_cast<std::uint32_t*>(target + n * 8) =
                pack(value[n * 4 + half * 2] * factor, value[n * 4 + half * 2 + 1] * factor);
    }
}

extern __shared__ unsigned char dynamic_shared[];

__device__ std::uint32_t shared_tiles() { return (shared_address(dynamic_shared) + 1023U) & ~1023U; }

// What the copies wrote becomes visible to the products of all warpgroups.
__device__ void arrive_copies() {
    wait_for_copies<kAhead - 1>();
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
}

template <int kGroups, int kBlocks>
__global__ void __launch_bounds__(kGroups * 128, kBlocks) hopper_forward(AttentionJob job) {
    constexpr int kThreads = kGroups * 128, kHeld = kGroups * 64;
    const std::uint32_t queries = shared_tiles(), stages = queries + kHeld * kRowBytes;
    const Place place = place_of(job);
    const Walk walk = walk_of(job, false, kHeld);
    const Group group(walk);
    const WalkedRows<kThreads> rows(job.k, job.v, place);
    const int tiles = (walk.total + kTile - 1) / kTile;
    const auto stage = [&](int tile) { return stages + static_cast<unsigned>(tile % kStages) * kStageBytes; };
    const auto fetch = [&](int tile) {
        if (tile < tiles) rows.copy(stage(tile), walk, tile);
        end_copies();
    };
    copy_held<kThreads>(queries, job.q, place, walk);
    for (int tile = 0; tile < kAhead; ++tile) fetch(tile);
    const std::uint32_t own = queries + threadIdx.x / 128 * kTileBytes;
    float out[32] = {}, largest[2] = {-INFINITY, -INFINITY}, sum[2] = {};
    std::uint32_t weights[16];
    for (int tile = 0; tile < tiles; ++tile) {
        arrive_copies();
        fetch(tile + kAhead);
        if (!group.meets(tile)) continue;
        float logits[32];
        start_rows(logits, own, stage(tile));
        products_wait<0>();
        pin(logits);
        pin(out);
        if (!group.meets_all(tile)) group.mask(walk, tile, logits);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float top = largest[half];
#pragma unroll
            for (int n = 0; n < 8; ++n) top = fmaxf(top, fmaxf(logits[n * 4 + half * 2], logits[n * 4 + half * 2 + 1]));
            top = quad_max(top);
            const float shrink = exp2_of((largest[half] - top) * kScaleLog2), base = top * kScaleLog2;
            largest[half] = top;
            sum[half] *= shrink;
#pragma unroll
            for (int n = 0; n < 8; ++n) {
#pragma unroll
                for (int i = n * 4 + half * 2; i < n * 4 + half * 2 + 2; ++i) {
                    logits[i] = exp2_of(fmaf(logits[i], kScaleLog2, -base));
                    sum[half] += logits[i];
                    out[i] *= shrink;
                }
            }
        }
        pack_all(weights, logits);
        products_begin();
        add_columns(out, weights, stage(tile) + kTileBytes);
        products_commit();
        products_wait<0>();
        pin(out);
    }
    products_wait<0>();
    pin(out);
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const float all = quad_sum(sum[half]);
        factor[half] = 1.0F / all;
        if (threadIdx.x % 4 == 0 && group.inside[half])
            job.log_sum[place.statistics + walk.first_row + group.rows[half]] =
                fmaf(largest[half], kScaleLog2, log2f(all));
    }
    store_rows(job.o, place, walk, group, out, factor[0], factor[1]);
}

// dq, and delta for the kernel below. With p = exp(s - log sum), dp = do v^T: ds = p (dp - delta), dq = ds k / 8.
template <int kGroups, int kBlocks>
__global__ void __launch_bounds__(kGroups * 128, kBlocks) hopper_backward_queries(AttentionJob job) {
    constexpr int kThreads = kGroups * 128, kHeld = kGroups * 64;
    const std::uint32_t queries = shared_tiles(), d_outs = queries + kHeld * kRowBytes,
                        stages = d_outs + kHeld * kRowBytes;
    const Place place = place_of(job);
    const Walk walk = walk_of(job, false, kHeld);
    const Group group(walk);
    const WalkedRows<kThreads> rows(job.k, job.v, place);
    const int tiles = (walk.total + kTile - 1) / kTile;
    const auto stage = [&](int tile) { return stages + static_cast<unsigned>(tile % kStages) * kStageBytes; };
    const auto fetch = [&](int tile) {
        if (tile < tiles) rows.copy(stage(tile), walk, tile);
        end_copies();
    };
    copy_held<kThreads>(queries, job.q, place, walk);
    copy_held<kThreads>(d_outs, job.d_o, place, walk);
    for (int tile = 0; tile < kAhead; ++tile) fetch(tile);
    float log_sum[2] = {}, delta[2] = {};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int row = walk.first_row + group.rows[half];
        if (group.inside[half]) {
            const std::int64_t at = place.values + row * place.stride + threadIdx.x % 4 * 16;
#pragma unroll
            for (int part = 0; part < 2; ++part) {
                const uint4 a = *reinterpret_cast<const uint4*>(static_cast<const Bf16*>(job.o) + at + part * 8);
                const uint4 b = *reinterpret_cast<const uint4*>(static_cast<const Bf16*>(job.d_o) + at + part * 8);
                const std::uint32_t out[4] = {a.x, a.y, a.z, a.w}, d_out[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const float2 x = unpack(out[i]), y = unpack(d_out[i]);
                    delta[half] += x.x * y.x + x.y * y.y;
                }
            }
            log_sum[half] = job.log_sum[place.statistics + row];
        }
        delta[half] = quad_sum(delta[half]);
        if (threadIdx.x % 4 == 0 && group.inside[half]) job.delta[place.statistics + row] = delta[half];
    }
    const std::uint32_t own = threadIdx.x / 128 * kTileBytes;
    float dq[32] = {};
    std::uint32_t slopes_left[16];
    for (int tile = 0; tile < tiles; ++tile) {
        arrive_copies();
        fetch(tile + kAhead);
        if (!group.meets(tile)) continue;
        float logits[32], slopes[32];
        start_rows(logits, queries + own, stage(tile));
        start_rows(slopes, d_outs + own, stage(tile) + kTileBytes);
        products_wait<1>();
        pin(logits);
        if (!group.meets_all(tile)) group.mask(walk, tile, logits);
#pragma unroll
        for (int i = 0; i < 32; ++i) logits[i] = exp2_of(fmaf(logits[i], kScaleLog2, -log_sum[i / 2 % 2]));
        products_wait<0>();
        pin(slopes);
        pin(dq);
#pragma unroll
        for (int i = 0; i < 32; ++i) slopes[i] = logits[i] * (slopes[i] - delta[i / 2 % 2]);
        pack_all(slopes_left, slopes);
        products_begin();
        add_columns(dq, slopes_left, stage(tile));
        products_commit();
        products_wait<0>();
        pin(dq);
    }
    products_wait<0>();
    pin(dq);
    store_rows(job.dq, place, walk, group, dq, kScale, kScale);
}

// dk and dv: everything transposed, rows are keys and columns queries.
template <int kGroups, int kBlocks>
__global__ void __launch_bounds__(kGroups * 128, kBlocks) hopper_backward_keys(AttentionJob job) {
    constexpr int kThreads = kGroups * 128, kHeld = kGroups * 64;
    __shared__ __align__(8) float statistics[kStages][2][kTile]; // log sum, delta
    const std::uint32_t keys = shared_tiles(), values = keys + kHeld * kRowBytes, stages = values + kHeld * kRowBytes;
    const Place place = place_of(job);
    const Walk walk = walk_of(job, true, kHeld);
    const Group group(walk);
    const WalkedRows<kThreads> rows(job.q, job.d_o, place);
    const int tiles = (walk.total + kTile - 1) / kTile;
    const auto stage = [&](int tile) { return stages + static_cast<unsigned>(tile % kStages) * kStageBytes; };
    const auto fetch = [&](int tile) {
        if (tile < tiles) {
            rows.copy(stage(tile), walk, tile);
            if (threadIdx.x < kTile) {
                float* target = &statistics[tile % kStages][0][threadIdx.x];
                const int at = tile * kTile + static_cast<int>(threadIdx.x);
                if (at < walk.total) {
                    const std::int64_t source = place.statistics + walk.row(at);
                    copy_word(shared_address(target), job.log_sum + source);
                    copy_word(shared_address(target + kTile), job.delta + source);
                } else {
                    target[0] = target[kTile] = 0.0F; // masked
                }
            }
        }
        end_copies();
    };
    copy_held<kThreads>(keys, job.k, place, walk);
    copy_held<kThreads>(values, job.v, place, walk);
    for (int tile = 0; tile < kAhead; ++tile) fetch(tile);
    const std::uint32_t own = threadIdx.x / 128 * kTileBytes;
    float dk[32] = {}, dv[32] = {};
    std::uint32_t weights_left[16], slopes_left[16];
    for (int tile = 0; tile < tiles; ++tile) {
        arrive_copies();
        fetch(tile + kAhead);
        if (!group.meets(tile)) continue;
        float weights[32], slopes[32];
        start_rows(weights, keys + own, stage(tile));
        start_rows(slopes, values + own, stage(tile) + kTileBytes);
        products_wait<1>();
        pin(weights);
        if (!group.meets_all(tile)) group.mask(walk, tile, weights);
        const float (&of_tile)[2][kTile] = statistics[tile % kStages];
#pragma unroll
        for (int n = 0; n < 8; ++n) {
            const float2 log_sum = *reinterpret_cast<const float2*>(&of_tile[0][n * 8 + threadIdx.x % 4 * 2]);
#pragma unroll
            for (int i = 0; i < 4; ++i)
                weights[n * 4 + i] =
                    exp2_of(fmaf(weights[n * 4 + i], kScaleLog2, i % 2 == 0 ? -log_sum.x : -log_sum.y));
        }
        products_wait<0>();
        pin(slopes);
        pin(dk);
        pin(dv);
#pragma unroll
        for (int n = 0; n < 8; ++n) {
            const float2 delta = *reinterpret_cast<const float2*>(&of_tile[1][n * 8 + threadIdx.x % 4 * 2]);
#pragma unroll
            for (int i = 0; i < 4; ++i)
                slopes[n * 4 + i] = weights[n * 4 + i] * (slopes[n * 4 + i] - (i % 2 == 0 ? delta.x : delta.y));
        }
        pack_all(weights_left, weights);
        pack_all(slopes_left, slopes);
        products_begin();
        add_columns(dv, weights_left, stage(tile) + kTileBytes);
        add_columns(dk, slopes_left, stage(tile));
        products_commit();
        products_wait<0>();
        pin(dk);
        pin(dv);
    }
    products_wait<0>();
    pin(dk);
    pin(dv);
    store_rows(job.dv, place, walk, group, dv, 1.0F, 1.0F);
    store_rows(job.dk, place, walk, group, dk, kScale, kScale);
}

template <int kGroups, int kHeldTensors, class Kernel>
void launch(Kernel kernel, const AttentionJob& job, Stream stream) {
    constexpr int kHeld = kGroups * 64, kBytes = 1024 + kHeldTensors * kHeld * kRowBytes + kStages * int{kStageBytes};
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
    const auto tiles = [&](int latents) { return static_cast<unsigned>((latents * job.tokens + kHeld - 1) / kHeld); };
    const dim3 grid(tiles(job.latents + 1) + tiles(job.latents), static_cast<unsigned>(job.batch * job.heads));
    kernel<<<grid, kGroups * 128, kBytes, stream>>>(job);
}

} // namespace

void launch_hopper_attention_forward(const AttentionJob& job, Stream stream) {
    launch<2, 1>(hopper_forward<2, 2>, job, stream);
}

void launch_hopper_attention_backward(const AttentionJob& job, Stream stream) {
    launch<3, 2>(hopper_backward_queries<3, 1>, job, stream);
    launch<3, 2>(hopper_backward_keys<3, 1>, job, stream);
}

} // namespace wander::train::cuda
