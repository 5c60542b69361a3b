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
#include "quant/cuda/hopper_sync.cuh"

#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

namespace wander::train::cuda {
namespace {

using namespace wander::quant::cuda::hopper;
using Bf16 = __nv_bfloat16;

constexpr int kTile = 64, kStages = 4, kAhead = 2;
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

// The thread's copies to shared memory, when they are done, are one of the barrier's arrivals.
__device__ void arrive_with_copies(std::uint32_t barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
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

__device__ int tiles_of(int rows, int tile) { return (rows + tile - 1) / tile; }

// The rows that a block holds and the rows it walks over. Walked rows lie in up to two runs.
struct Walk {
    int latents, tokens; // L, T
    bool keys_held, noisy;
    int first_row, end_row; // held
    int first_latent;
    int first, count, second, second_count; // walked; places of the second run begin at a tile's start

    __device__ int first_tiles() const { return tiles_of(count, kTile); }
    __device__ int tiles() const { return first_tiles() + tiles_of(second_count, kTile); }
    // Where a tile's rows begin, and how many of them belong to its run.
    __device__ int row(int tile) const {
        return tile < first_tiles() ? first + tile * kTile : second + (tile - first_tiles()) * kTile;
    }
    __device__ int rows(int tile) const {
        return tile < first_tiles() ? count - tile * kTile : second_count - (tile - first_tiles()) * kTile;
    }

    // Of a held row's latent. Both ends of both spans grow with the latent.
    __device__ Spans spans(int latent) const {
        const int ahead = (latent - first_latent) * tokens, later = first_tiles() * kTile;
        if (keys_held) {
            if (noisy) return {ahead, ahead + tokens, 0, 0};
            return {ahead, count, later + ahead, later + second_count};
        }
        if (noisy) return {0, (latent - latents) * tokens, later + ahead, later + ahead + tokens};
        return {0, (latent + 1) * tokens, 0, 0};
    }
};

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
    walk.second = walk.second_count = 0;
    if (keys_held && walk.noisy) {
        walk.first = own_first;
        walk.count = own_count;
    } else if (keys_held) { // clean queries from this latent on, noisy ones from the next on
        walk.first = own_first;
        walk.count = clean_rows - own_first;
        walk.second = clean_rows + own_first;
        walk.second_count = noisy_rows - own_first;
    } else if (walk.noisy) {
        walk.first = 0;
        walk.count = (last_latent - job.latents) * job.tokens;
        walk.second = own_first;
        walk.second_count = own_count;
    } else {
        walk.first = 0;
        walk.count = (last_latent + 1) * job.tokens;
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

// Tensors [B rows][heads][64], in boxes of 64 rows of one head.
struct Maps {
    CUtensorMap held[2], walked[2];
};

// Arrival of what the copy engine brings, and what is free again. Thread 0 sets the engine going.
template <int kGroups, int kHeldTensors>
struct Pipe {
    static constexpr int kHeldBytes = kGroups * kTile * kRowBytes;
    std::uint32_t barriers; // held, then full of each stage, then empty of each
    std::uint32_t tiles;
    int head, first_row; // of the clip, in the maps
    const Maps& maps;

    // also: threads that arrive at a full barrier beside the engine.
    __device__ Pipe(const Maps& m, const AttentionJob& job, std::uint64_t* shared_barriers, std::uint32_t tiles_at,
                    int also)
        : barriers(shared_address(shared_barriers)),
          tiles(tiles_at),
          head(static_cast<int>(blockIdx.y) % job.heads),
          first_row(static_cast<int>(blockIdx.y) / job.heads * (2 * job.latents + 1) * job.tokens),
          maps(m) {
        if (threadIdx.x == 0) {
            barrier_init(barriers, 1);
            for (int stage = 0; stage < kStages; ++stage) {
                barrier_init(full(stage), static_cast<unsigned>(1 + also));
                barrier_init(empty(stage), kGroups * 4);
            }
            barrier_fence();
        }
        __syncthreads();
    }

    __device__ std::uint32_t full(int tile) const { return barriers + 8 + static_cast<unsigned>(tile % kStages) * 8; }
    __device__ std::uint32_t empty(int tile) const { return full(tile) + kStages * 8; }
    __device__ std::uint32_t held(int tensor) const { return tiles + static_cast<unsigned>(tensor * kHeldBytes); }
    __device__ std::uint32_t stage(int tile) const {
        return held(kHeldTensors) + static_cast<unsigned>(tile % kStages) * kStageBytes;
    }

    __device__ void fetch_held(const Walk& walk) const {
        if (threadIdx.x != 0) return;
        barrier_expect(barriers, kHeldTensors * kHeldBytes);
        for (int tensor = 0; tensor < kHeldTensors; ++tensor)
            for (int group = 0; group < kGroups; ++group)
                copy_box(held(tensor) + static_cast<unsigned>(group) * kTileBytes, maps.held[tensor], barriers, 0, head,
                         first_row + walk.first_row + group * 64);
    }
    __device__ void wait_held() const { barrier_wait(barriers, 0); }

    // Until what lay at the tile's place is read.
    __device__ void wait_empty(int tile) const {
        if (tile >= kStages) barrier_wait(empty(tile), static_cast<unsigned>(tile / kStages - 1) & 1U);
    }
    // By thread 0, behind wait_empty.
    __device__ void fetch(const Walk& walk, int tile) const {
        barrier_expect(full(tile), kStageBytes);
        for (int tensor = 0; tensor < 2; ++tensor)
            copy_box(stage(tile) + static_cast<unsigned>(tensor) * kTileBytes, maps.walked[tensor], full(tile), 0, head,
                     first_row + walk.row(tile));
    }
    __device__ void wait_full(int tile) const { barrier_wait(full(tile), static_cast<unsigned>(tile / kStages) & 1U); }
    // One arrival a warp.
    __device__ void release(int tile) const {
        __syncwarp();
        if (threadIdx.x % 32 == 0) barrier_arrive(empty(tile));
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

template <int kGroups, int kBlocks>
__global__ void __launch_bounds__(kGroups * 128, kBlocks)
    hopper_forward(AttentionJob job, const __grid_constant__ Maps maps) {
    __shared__ __align__(8) std::uint64_t barriers[1 + 2 * kStages];
    const Place place = place_of(job);
    const Walk walk = walk_of(job, false, kGroups * 64);
    const Group group(walk);
    const Pipe<kGroups, 1> pipe(maps, job, barriers, shared_tiles(), 0);
    const int tiles = walk.tiles();
    const auto fetch = [&](int tile) {
        if (threadIdx.x != 0 || tile >= tiles) return;
        pipe.wait_empty(tile);
        pipe.fetch(walk, tile);
    };
    pipe.fetch_held(walk);
    for (int tile = 0; tile < kAhead; ++tile) fetch(tile);
    const std::uint32_t own = pipe.held(0) + threadIdx.x / 128 * kTileBytes;
    float out[32] = {}, largest[2] = {-INFINITY, -INFINITY}, sum[2] = {};
    std::uint32_t weights[16];
    pipe.wait_held();
    for (int tile = 0; tile < tiles; ++tile) {
        fetch(tile + kAhead);
        pipe.wait_full(tile);
        if (!group.meets(tile)) {
            pipe.release(tile);
            continue;
        }
        const std::uint32_t stage = pipe.stage(tile);
        float logits[32];
        start_rows(logits, own, stage);
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
        add_columns(out, weights, stage + kTileBytes);
        products_commit();
        products_wait<0>();
        pin(out);
        pipe.release(tile);
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
__global__ void __launch_bounds__(kGroups * 128, kBlocks)
    hopper_backward_queries(AttentionJob job, const __grid_constant__ Maps maps) {
    __shared__ __align__(8) std::uint64_t barriers[1 + 2 * kStages];
    const Place place = place_of(job);
    const Walk walk = walk_of(job, false, kGroups * 64);
    const Group group(walk);
    const Pipe<kGroups, 2> pipe(maps, job, barriers, shared_tiles(), 0);
    const int tiles = walk.tiles();
    const auto fetch = [&](int tile) {
        if (threadIdx.x != 0 || tile >= tiles) return;
        pipe.wait_empty(tile);
        pipe.fetch(walk, tile);
    };
    pipe.fetch_held(walk);
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
    pipe.wait_held();
    for (int tile = 0; tile < tiles; ++tile) {
        fetch(tile + kAhead);
        pipe.wait_full(tile);
        if (!group.meets(tile)) {
            pipe.release(tile);
            continue;
        }
        const std::uint32_t stage = pipe.stage(tile);
        float logits[32], slopes[32];
        start_rows(logits, pipe.held(0) + own, stage);
        start_rows(slopes, pipe.held(1) + own, stage + kTileBytes);
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
        add_columns(dq, slopes_left, stage);
        products_commit();
        products_wait<0>();
        pin(dq);
        pipe.release(tile);
    }
    products_wait<0>();
    pin(dq);
    store_rows(job.dq, place, walk, group, dq, kScale, kScale);
}

// dk and dv: everything transposed, rows are keys and columns queries.
template <int kGroups, int kBlocks>
__global__ void __launch_bounds__(kGroups * 128, kBlocks)
    hopper_backward_keys(AttentionJob job, const __grid_constant__ Maps maps) {
    __shared__ __align__(8) float statistics[kStages][2][kTile]; // log sum, delta
    __shared__ __align__(8) std::uint64_t barriers[1 + 2 * kStages];
    const Place place = place_of(job);
    const Walk walk = walk_of(job, true, kGroups * 64);
    const Group group(walk);
    const Pipe<kGroups, 2> pipe(maps, job, barriers, shared_tiles(), kTile);
    const int tiles = walk.tiles();
    const auto fetch = [&](int tile) {
        if (threadIdx.x >= kTile || tile >= tiles) return;
        pipe.wait_empty(tile);
        if (threadIdx.x == 0) pipe.fetch(walk, tile);
        float* target = &statistics[tile % kStages][0][threadIdx.x];
        if (static_cast<int>(threadIdx.x) < walk.rows(tile)) {
            const std::int64_t source = place.statistics + walk.row(tile) + threadIdx.x;
            copy_word(shared_address(target), job.log_sum + source);
            copy_word(shared_address(target + kTile), job.delta + source);
            arrive_with_copies(pipe.full(tile));
        } else {
            target[0] = target[kTile] = 0.0F; // masked
            barrier_arrive(pipe.full(tile));
        }
    };
    pipe.fetch_held(walk);
    for (int tile = 0; tile < kAhead; ++tile) fetch(tile);
    const std::uint32_t own = threadIdx.x / 128 * kTileBytes;
    float dk[32] = {}, dv[32] = {};
    std::uint32_t weights_left[16], slopes_left[16];
    pipe.wait_held();
    for (int tile = 0; tile < tiles; ++tile) {
        fetch(tile + kAhead);
        pipe.wait_full(tile);
        if (!group.meets(tile)) {
            pipe.release(tile);
            continue;
        }
        const std::uint32_t stage = pipe.stage(tile);
        float weights[32], slopes[32];
        start_rows(weights, pipe.held(0) + own, stage);
        start_rows(slopes, pipe.held(1) + own, stage + kTileBytes);
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
        add_columns(dv, weights_left, stage + kTileBytes);
        add_columns(dk, slopes_left, stage);
        products_commit();
        products_wait<0>();
        pin(dk);
        pin(dv);
        pipe.release(tile);
    }
    products_wait<0>();
    pin(dk);
    pin(dv);
    store_rows(job.dv, place, walk, group, dv, 1.0F, 1.0F);
    store_rows(job.dk, place, walk, group, dk, kScale, kScale);
}

// The driver's function that describes tensors, found at run time: the program starts without a driver.
PFN_cuTensorMapEncodeTiled_v12000 describer() {
    static const PFN_cuTensorMapEncodeTiled_v12000 found = [] {
        void* function = nullptr;
        cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &result);
        return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
    }();
    return found;
}

CUtensorMap map_of(const AttentionJob& job, const void* values) {
    const auto heads = static_cast<cuuint64_t>(job.heads);
    const auto rows = static_cast<cuuint64_t>(job.batch) * static_cast<cuuint64_t>((2 * job.latents + 1) * job.tokens);
    const cuuint64_t sizes[] = {64, heads, rows}, strides[] = {kRowBytes, heads * kRowBytes};
    const cuuint32_t box[] = {64, 1, kTile}, steps[] = {1, 1, 1};
    CUtensorMap map;
    describer()(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<void*>(values), sizes, strides, box, steps,
                CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return map;
}

template <int kGroups, int kHeldTensors, class Kernel>
void launch(Kernel kernel, const AttentionJob& job, const Maps& maps, Stream stream) {
    constexpr int kHeld = kGroups * 64, kBytes = 1024 + kHeldTensors * kHeld * kRowBytes + kStages * int{kStageBytes};
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
    const auto tiles = [&](int latents) { return static_cast<unsigned>((latents * job.tokens + kHeld - 1) / kHeld); };
    const dim3 grid(tiles(job.latents + 1) + tiles(job.latents), static_cast<unsigned>(job.batch * job.heads));
    kernel<<<grid, kGroups * 128, kBytes, stream>>>(job, maps);
}

} // namespace

void launch_hopper_attention_forward(const AttentionJob& job, Stream stream) {
    const CUtensorMap q = map_of(job, job.q), k = map_of(job, job.k), v = map_of(job, job.v);
    launch<2, 1>(hopper_forward<2, 2>, job, {{q, q}, {k, v}}, stream);
}

void launch_hopper_attention_backward(const AttentionJob& job, Stream stream) {
    const CUtensorMap q = map_of(job, job.q), k = map_of(job, job.k), v = map_of(job, job.v),
                      d_o = map_of(job, job.d_o);
    launch<3, 2>(hopper_backward_queries<3, 1>, job, {{q, d_o}, {k, v}}, stream);
    launch<3, 2>(hopper_backward_keys<3, 1>, job, {{k, v}, {q, d_o}}, stream);
}

} // namespace wander::train::cuda
