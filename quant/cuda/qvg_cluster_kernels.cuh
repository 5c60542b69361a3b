#pragma once
// Clustering on the device: mean, start, assignment and update, all but the mean in whole numbers. Plain twin:
// qvg/page_clusters.cpp, bit for bit.

#include "quant/cuda/qvg_tiles.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kMeanChannels = 64;
constexpr int kStartThreads = 512;
constexpr int kRoundThreads = 256;
constexpr int kWarpTokens = 32;             // that a warp assigns at once
constexpr int kTileCentroids = 64;          // scores that a warp has in registers for them
constexpr int kSumTokens = 4 * kTileTokens; // a block of sum_round_kernel
static_assert(kSumTokens * 128LL * qvg::kFineLevels < 0x7FFFFFFF, "a sum times 128 is less than 2^31");
constexpr int kRoundTokens = 512; // about as many a block

// Mean, least and largest value of each channel. Threads: 32 pairs of channels x kMeanParts.
template <bool kBf16, Rows kRows>
__global__ void mean_kernel(Work<kBf16, kRows> work) {
    __shared__ float sums[qvg::kMeanParts][kMeanChannels];
    __shared__ float lows[qvg::kMeanParts][kMeanChannels];
    __shared__ float highs[qvg::kMeanParts][kMeanChannels];
    const int dim = work.layout().head_dim;
    const int inside = static_cast<int>(threadIdx.x) * 2;
    const int pair = min(static_cast<int>(blockIdx.x) * kMeanChannels + inside, dim - 2);
    const int tokens = work.layout().tokens;
    float sum[2] = {};
    float low[2] = {INFINITY, INFINITY};
    float high[2] = {-INFINITY, -INFINITY};
#pragma unroll 8
    for (int t = static_cast<int>(threadIdx.y); t < tokens; t += qvg::kMeanParts) {
        float x[2];
        load_source(work, t, pair, x);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            sum[i] = __fadd_rn(sum[i], x[i]);
            low[i] = fminf(low[i], x[i]);
            high[i] = fmaxf(high[i], x[i]);
        }
    }
    for (int i = 0; i < 2; ++i) {
        sums[threadIdx.y][inside + i] = sum[i];
        lows[threadIdx.y][inside + i] = low[i];
        highs[threadIdx.y][inside + i] = high[i];
    }
    __syncthreads();
    const int at = static_cast<int>(threadIdx.y) * 32 + static_cast<int>(threadIdx.x);
    const int channel = static_cast<int>(blockIdx.x) * kMeanChannels + at;
    if (at >= kMeanChannels || channel >= dim) {
        return;
    }
    float total = sums[0][at];
    float least = lows[0][at];
    float largest = highs[0][at];
    for (int p = 1; p < qvg::kMeanParts; ++p) {
        total = __fadd_rn(total, sums[p][at]);
        least = fminf(least, lows[p][at]);
        largest = fmaxf(largest, highs[p][at]);
    }
    float mean = __fdiv_rn(total, static_cast<float>(tokens));
    if (work.clusters() == 1) {
        work.centroids()[channel] = mean;
    }
    if constexpr (kRows == Rows::about_mean) {
        mean = rounded_bf16(mean);
    }
    work.mean()[channel] = mean;
    work.lowest()[channel] = least;
    work.highest()[channel] = largest;
}

// Largest magnitude of the points of a head: those of the least and the largest values, for what makes a point of a
// value never changes their order.
template <bool kBf16, Rows kRows>
__device__ float head_peak(const Work<kBf16, kRows>& work) {
    if constexpr (kRows == Rows::left_over) {
        return __int_as_float(work.peak());
    }
    float most = 0;
    for (int c = static_cast<int>(threadIdx.x); c < work.layout().head_dim; c += static_cast<int>(blockDim.x)) {
        const float mean = work.mean()[c];
        most = fmaxf(most, fabsf(point_value<kBf16, kRows>(work.lowest()[c], mean)));
        most = fmaxf(most, fabsf(point_value<kBf16, kRows>(work.highest()[c], mean)));
    }
    return block_max(most);
}

template <bool kBf16, Rows kRows>
__device__ StepGrid put_grid(const Work<kBf16, kRows>& work, float peak) {
    constexpr auto kLevels = static_cast<float>(qvg::kFineLevels);
    const StepGrid grid{peak > qvg::kLeastPeak ? __fdiv_rn(kLevels, peak) : 0.0F, __fdiv_rn(peak, kLevels)};
    if (threadIdx.x == 0) {
        work.grid() = grid;
    }
    return grid;
}

// Coarse point of four channels.
template <bool kBf16, Rows kRows>
__device__ unsigned coarse_four(const Work<kBf16, kRows>& work, int token, int channel, const float* mean,
                                float inverse) {
    float x[4];
    load_source(work, token, channel, x);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        x[i] = point_value<kBf16, kRows>(x[i], mean[channel + i]);
    }
    return coarse_word(x[0], x[1], x[2], x[3], inverse);
}

// Rows and norms of the padding, and sums of nothing. After the centroids.
template <bool kBf16, Rows kRows>
__device__ void clear_rounds(const Work<kBf16, kRows>& work) {
    const int clusters = work.clusters();
    for (int i = clusters * work.row_words() + static_cast<int>(threadIdx.x); i < work.padded() * work.row_words();
         i += static_cast<int>(blockDim.x)) {
        work.coarse()[i] = 0;
    }
    for (int k = clusters + static_cast<int>(threadIdx.x); k < work.padded(); k += static_cast<int>(blockDim.x)) {
        work.norms()[k] = 0x3FFFFFFF; // farther than anything
    }
    for (int i = static_cast<int>(threadIdx.x); i < clusters * work.layout().head_dim;
         i += static_cast<int>(blockDim.x)) {
        work.sums()[i] = 0;
    }
    for (int k = static_cast<int>(threadIdx.x); k < clusters; k += static_cast<int>(blockDim.x)) {
        work.members()[k] = 0;
    }
}

// Candidate i is the i % kStartDraws-th of centroid i / kStartDraws. kOwn: candidates that each thread has in
// registers, for heads of up to kTileDim channels; 0: they are read from the scratch again for every centroid.
template <int kOwn, bool kBf16, Rows kRows>
__global__ void __launch_bounds__(kStartThreads) start_kernel(Work<kBf16, kRows> work) {
    constexpr int kMost = kQvgMaxCentroids * qvg::kStartDraws;
    __shared__ int nearest[kMost]; // of the centroids chosen so far
    __shared__ int norms[kMost];
    __shared__ int tokens[kMost];
    __shared__ int4 newest4[kQvgMaxHeadDim / 16];
    __shared__ int chosen[kQvgMaxCentroids];
    const QvgPageLayout& layout = work.layout();
    const int words = layout.head_dim / 4;
    const int thread = static_cast<int>(threadIdx.x);
    const int lane = thread % 32;
    const std::uint64_t seed = qvg::stage_seed(work.batch.pages[blockIdx.z].seed, work.stage);
    const int head = static_cast<int>(blockIdx.y);
    const int count = work.clusters() * qvg::kStartDraws;
    int* newest = reinterpret_cast<int*>(newest4);
    int* candidates = work.candidates(); // [words][count + 1]
    const float* mean = work.mean();
    for (int i = thread; i < count; i += kStartThreads) {
        nearest[i] = 0x7FFFFFFF;
        tokens[i] = qvg::drawn_token(seed, head, i / qvg::kStartDraws, i % qvg::kStartDraws, layout.tokens);
    }
    __syncthreads();
    const StepGrid grid = put_grid(work, head_peak(work));
    constexpr int kTogether = 8; // rows that a warp waits for at once
    for (int first = thread / 32 * kTogether; first < count; first += kStartThreads / 32 * kTogether) {
        int norm[kTogether] = {};
        for (int w = lane; w < words; w += 32) {
            int word[kTogether];
#pragma unroll
            for (int j = 0; j < kTogether; ++j) {
                const int token = tokens[min(first + j, count - 1)];
                word[j] = static_cast<int>(coarse_four(work, token, 4 * w, mean, grid.inverse));
            }
#pragma unroll
            for (int j = 0; j < kTogether; ++j) {
                norm[j] = __dp4a(word[j], word[j], norm[j]);
                if (first + j < count) {
                    candidates[w * (count + 1) + first + j] = word[j];
                }
            }
        }
#pragma unroll
        for (int j = 0; j < kTogether; ++j) {
            norm[j] = warp_sum(norm[j]);
            if (lane == 0 && first + j < count) {
                norms[first + j] = norm[j];
            }
        }
    }
    __syncthreads();
    int own[kOwn > 0 ? kOwn : 1][kTileDim / 4];
#pragma unroll
    for (int o = 0; o < kOwn; ++o) {
        const int i = min(thread + o * kStartThreads, count - 1);
#pragma unroll
        for (int w = 0; w < kTileDim / 4; ++w) {
            own[o][w] = w < words ? candidates[w * (count + 1) + i] : 0;
        }
    }
    for (int k = 0; k < work.clusters(); ++k) {
        int best = k * qvg::kStartDraws;
        int farthest = nearest[best];
#pragma unroll
        for (int draw = 1; draw < qvg::kStartDraws; ++draw) {
            const int distance = nearest[k * qvg::kStartDraws + draw];
            best = distance > farthest ? k * qvg::kStartDraws + draw : best;
            farthest = max(farthest, distance);
        }
        if (kOwn == 0) {
            for (int w = thread; w < words; w += kStartThreads) {
                newest[w] = candidates[w * (count + 1) + best];
            }
        }
#pragma unroll
        for (int o = 0; o < kOwn; ++o) {
            if (thread + o * kStartThreads == best) {
#pragma unroll
                for (int w = 0; w < kTileDim / 4; w += 4) {
                    newest4[w / 4] = {own[o][w], own[o][w + 1], own[o][w + 2], own[o][w + 3]};
                }
            }
        }
        if (thread == 0) {
            chosen[k] = best;
        }
        __syncthreads();
        const int next = (k + 1) * qvg::kStartDraws;
        if (kOwn == 0) {
            for (int i = next + thread; i < count; i += kStartThreads) {
                int dot = 0;
#pragma unroll 8
                for (int w = 0; w < words; ++w) {
                    dot = __dp4a(candidates[w * (count + 1) + i], newest[w], dot);
                }
                nearest[i] = min(nearest[i], norms[i] + norms[best] - 2 * dot);
            }
        }
#pragma unroll
        for (int o = 0; o < kOwn; ++o) {
            const int i = thread + o * kStartThreads;
            if (i >= next && i < count) {
                int dot[2] = {};
#pragma unroll
                for (int w = 0; w < kTileDim / 4; w += 4) {
                    const int4 four = newest4[w / 4];
                    dot[0] = __dp4a(own[o][w], four.x, dot[0]);
                    dot[1] = __dp4a(own[o][w + 1], four.y, dot[1]);
                    dot[0] = __dp4a(own[o][w + 2], four.z, dot[0]);
                    dot[1] = __dp4a(own[o][w + 3], four.w, dot[1]);
                }
                nearest[i] = min(nearest[i], norms[i] + norms[best] - 2 * (dot[0] + dot[1]));
            }
        }
        __syncthreads();
    }
    for (int i = thread; i < work.clusters() * work.row_words(); i += kStartThreads) {
        const int w = i % work.row_words();
        const int best = chosen[i / work.row_words()];
        work.coarse()[i] = w < words ? candidates[w * (count + 1) + best] : 0;
    }
#pragma unroll 4
    for (int i = thread; i < work.clusters() * words; i += kStartThreads) {
        const int channel = i % words * 4;
        float x[4];
        load_source(work, tokens[chosen[i / words]], channel, x);
        float4 row;
        row.x = row_value<kBf16, kRows>(x[0], mean[channel]);
        row.y = row_value<kBf16, kRows>(x[1], mean[channel + 1]);
        row.z = row_value<kBf16, kRows>(x[2], mean[channel + 2]);
        row.w = row_value<kBf16, kRows>(x[3], mean[channel + 3]);
        reinterpret_cast<float4*>(work.centroids())[i] = row;
    }
    for (int k = thread; k < work.clusters(); k += kStartThreads) {
        work.norms()[k] = norms[chosen[k]];
    }
    clear_rounds(work);
}

// Centroids of the session as those that the assignment takes; within reach of the steps are they and the points.
template <bool kBf16, Rows kRows>
__global__ void load_book_kernel(Work<kBf16, kRows> work) {
    const int dim = work.layout().head_dim;
    const int values = work.clusters() * dim;
    const std::uint16_t* from = work.batch.pages[blockIdx.z].codebook + static_cast<std::int64_t>(blockIdx.y) * values;
    float most = head_peak(work);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < values; i += kStartThreads) {
        most = fmaxf(most, fabsf(bf16_low(from[i])));
    }
    const StepGrid grid = put_grid(work, block_max(most));
    const int words = dim / 4;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    for (int k = static_cast<int>(threadIdx.x) / 32; k < work.clusters(); k += kStartThreads / 32) {
        int norm = 0;
        for (int w = lane; w < work.row_words(); w += 32) {
            int word = 0;
            if (w < words) {
                const std::uint16_t* four = from + static_cast<std::int64_t>(k) * dim + 4 * w;
                word = static_cast<int>(coarse_word(bf16_low(four[0]), bf16_low(four[1]), bf16_low(four[2]),
                                                    bf16_low(four[3]), grid.inverse));
            }
            work.coarse()[k * work.row_words() + w] = word;
            norm = __dp4a(word, word, norm);
        }
        norm = warp_sum(norm);
        if (lane == 0) {
            work.norms()[k] = norm;
        }
    }
    clear_rounds(work);
}

struct RoundPlan {
    int block_tokens = 0; // a multiple of kWarpTokens
    bool counts = true;   // adds up the members of each centroid
    bool keeps_ids = true;
    bool shared_sums = false; // they have room in shared memory
};

// Bytes from one centroid to the next in shared memory: 8 bytes of four neighbours lie in different banks.
__host__ __device__ constexpr int round_stride(int head_dim) {
    const int bytes = padded_words(head_dim) * 4;
    return bytes % 64 == 0 ? bytes + 32 : bytes;
}
constexpr int round_shared_bytes(int clusters, int head_dim, bool sums) {
    const int padded = padded_clusters(clusters);
    return padded * (round_stride(head_dim) + 4) + padded_words(head_dim) * 16 + kRoundThreads * 4 +
           (sums ? clusters * (head_dim + 1) * 4 : 0);
}

// The members of kWarpTokens tokens from `first` on to the sums. ids: theirs, of this warp.
template <bool kBf16, Rows kRows>
__device__ void add_members(const Work<kBf16, kRows>& work, const float* mean, const int* ids, float inverse, int first,
                            int end, int* sums, int* members) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int fours = work.layout().head_dim / 4;
    const int together = fours < 32 ? 32 / fours : 1; // rows that a warp reads at once
    const int row = fours < 32 ? lane / fours : 0;
    if (row >= together) {
        return;
    }
    for (int f = fours < 32 ? lane % fours : lane; f < fours; f += 32) {
        const float4 middle = *reinterpret_cast<const float4*>(mean + 4 * f);
        for (int t = row; t < kWarpTokens; t += 4 * together) {
            float x[4][4];
#pragma unroll
            for (int j = 0; j < 4; ++j) { // loads first, so that they overlap
                load_source(work, min(first + t + j * together, end - 1), 4 * f, x[j]);
            }
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int at = t + j * together;
                if (at >= kWarpTokens || first + at >= end) {
                    continue;
                }
                const float about[4] = {middle.x, middle.y, middle.z, middle.w};
                int* of = sums + ids[at] * 4 * fours + f;
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const float point = point_value<kBf16, kRows>(x[j][i], about[i]);
                    atomicAdd(of + i * fours, static_cast<int>(static_cast<std::int16_t>(whole_steps(point, inverse))));
                }
                if (f == 0) {
                    atomicAdd(members + ids[at], 1);
                }
            }
        }
    }
}

// Which centroid is nearest, and the sums of those it is nearest to. Each warp takes kWarpTokens tokens as rows of the
// first operand, all centroids as columns of the second. Channels go to columns in an order in which a thread's eight
// are neighbours in memory: the same for both, so it does not matter.
template <bool kBf16, Rows kRows>
__global__ void __launch_bounds__(kRoundThreads, 2) round_kernel(Work<kBf16, kRows> work, RoundPlan plan) {
    extern __shared__ uint4 shared[];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    const int clusters = work.clusters();
    const int padded = work.padded();
    const int stride = round_stride(dim);
    const int row_bytes = work.row_words() * 4;
    auto* coarse = reinterpret_cast<std::uint8_t*>(shared);
    auto* mean = reinterpret_cast<float*>(coarse + padded * stride);
    int* norms = reinterpret_cast<int*>(mean + row_bytes);
    int* ids = norms + padded;
    int* sums = ids + kRoundThreads;
    int* members = sums + clusters * dim;
    const int thread = static_cast<int>(threadIdx.x);
    const auto* rows = reinterpret_cast<const uint4*>(work.coarse());
    for (int i = thread; i < padded * row_bytes / 16; i += kRoundThreads) {
        *reinterpret_cast<uint4*>(coarse + i / (row_bytes / 16) * stride + i % (row_bytes / 16) * 16) = rows[i];
    }
    for (int k = thread; k < padded; k += kRoundThreads) {
        norms[k] = work.norms()[k];
    }
    for (int c = thread; c < dim && kRows != Rows::left_over; c += kRoundThreads) {
        mean[c] = work.mean()[c];
    }
    for (int i = thread; plan.shared_sums && i < clusters * (dim + 1); i += kRoundThreads) {
        sums[i] = 0;
    }
    __syncthreads();

    const float inverse = work.grid().inverse;
    const int lane = thread % 32;
    const int group = lane / 4;
    const int inside = lane % 4;
    const int begin = static_cast<int>(blockIdx.x) * plan.block_tokens;
    const int end = min(begin + plan.block_tokens, layout.tokens);
    int* warp_ids = ids + thread / 32 * kWarpTokens;
    for (int first = begin + thread / 32 * kWarpTokens; first < end; first += kRoundThreads) {
        int best[4] = {static_cast<int>(0x80000000), static_cast<int>(0x80000000), static_cast<int>(0x80000000),
                       static_cast<int>(0x80000000)};
        int id[4] = {};
        for (int tile = 0; tile < padded; tile += kTileCentroids) {
            int score[2][kTileCentroids / 8][4] = {};
            for (int c = 8 * inside; c < row_bytes; c += 32) {
                unsigned a[2][4] = {};
                if (c < dim) {
                    float middle[8] = {};
                    if constexpr (kRows != Rows::left_over) {
                        load_floats(mean + c, middle);
                    }
#pragma unroll
                    for (int r = 0; r < 4; ++r) {
                        const int token = min(first + 8 * r + group, end - 1);
                        float x[8];
                        load_source(work, token, c, x);
#pragma unroll
                        for (int i = 0; i < 8; ++i) {
                            x[i] = point_value<kBf16, kRows>(x[i], middle[i]);
                        }
                        a[r / 2][r % 2] = coarse_word(x[0], x[1], x[2], x[3], inverse);
                        a[r / 2][r % 2 + 2] = coarse_word(x[4], x[5], x[6], x[7], inverse);
                    }
                }
#pragma unroll
                for (int n = 0; n < kTileCentroids / 8; ++n) {
                    if (tile + 8 * n < padded) {
                        const uint2 b = *reinterpret_cast<const uint2*>(coarse + (tile + 8 * n + group) * stride + c);
                        multiply(score[0][n], a[0], b.x, b.y);
                        multiply(score[1][n], a[1], b.x, b.y);
                    }
                }
            }
#pragma unroll
            for (int n = 0; n < kTileCentroids / 8; ++n) {
#pragma unroll
                for (int j = 0; j < 2; ++j) {
                    const int k = tile + 8 * n + 2 * inside + j;
                    if (k < padded) {
                        const int norm = norms[k];
#pragma unroll
                        for (int r = 0; r < 4; ++r) {
                            const int value = 2 * score[r / 2][n][r % 2 * 2 + j] - norm;
                            id[r] = value > best[r] ? k : id[r];
                            best[r] = max(best[r], value);
                        }
                    }
                }
            }
        }
#pragma unroll
        for (int r = 0; r < 4; ++r) {
#pragma unroll
            for (int step = 1; step < 4; step *= 2) {
                const int other = __shfl_xor_sync(0xFFFFFFFFU, best[r], step);
                const int other_id = __shfl_xor_sync(0xFFFFFFFFU, id[r], step);
                const bool closer = other > best[r] || (other == best[r] && other_id < id[r]);
                id[r] = closer ? other_id : id[r];
                best[r] = closer ? other : best[r];
            }
            if (inside == 0) {
                warp_ids[8 * r + group] = id[r];
            }
        }
        __syncwarp();
        if (plan.keeps_ids && first + lane < end) {
            work.ids()[first + lane] = static_cast<std::uint8_t>(warp_ids[lane]);
        }
        if (plan.counts && plan.shared_sums) {
            add_members(work, mean, warp_ids, inverse, first, end, sums, members);
        } else if (plan.counts) {
            add_members(work, mean, warp_ids, inverse, first, end, work.sums(), work.members());
        }
        __syncwarp();
    }
    if (!plan.counts || !plan.shared_sums) {
        return;
    }
    __syncthreads();
    for (int i = thread; i < clusters * dim; i += kRoundThreads) {
        if (sums[i] != 0) {
            atomicAdd(work.sums() + i, sums[i]);
        }
    }
    for (int k = thread; k < clusters; k += kRoundThreads) {
        atomicAdd(work.members() + k, members[k]);
    }
}

// Bytes that are -128 where those of `ids` are `id`, else 0; both less than 128.
__device__ unsigned equal_bytes(unsigned ids, unsigned id) {
    return (0x80808080U - (ids ^ (id * 0x01010101U))) & 0x80808080U;
}

// Shared memory of sum_round_kernel.
constexpr int sum_round_bytes(int clusters, int head_dim) {
    return (2 * kTurnedWords + kTileTokens / 4 + 2 * padded_clusters(clusters)) * 4 +
           (kTileTokens + padded_clusters(clusters)) * round_stride(head_dim);
}

// A round for up to 16 kClusterTiles centroids and kTileDim channels. A tile of tokens at a time: nearest centroids as
// in round_kernel, by the warp that brought the tokens; then the sums as products too, of which token is whose (0 or 1)
// and its digits: each warp has 16 channels of all centroids in registers until its block is done.
template <int kClusterTiles, bool kBf16, Rows kRows>
__global__ void __launch_bounds__(kTileThreads, kClusterTiles > 4 ? 1 : 2)
    sum_round_kernel(Work<kBf16, kRows> work, RoundPlan plan) {
    extern __shared__ uint4 shared[];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    const int fours = dim / 4;
    const int clusters = work.clusters();
    const int padded = work.padded();
    const int stride = round_stride(dim);
    const int row_bytes = work.row_words() * 4;
    auto* high = reinterpret_cast<unsigned*>(shared);
    unsigned* low = high + kTurnedWords;
    unsigned* ids = low + kTurnedWords;                        // four tokens a word
    int* keys = reinterpret_cast<int*>(ids + kTileTokens / 4); // of centroids: the larger, the nearer
    int* members = keys + padded;
    auto* rows = reinterpret_cast<std::uint8_t*>(members + padded);
    std::uint8_t* coarse = rows + kTileTokens * stride;
    const int thread = static_cast<int>(threadIdx.x);
    const int warp = thread / 32;
    const int lane = thread % 32;
    const int group = lane / 4;
    const int inside = lane % 4;
    const int begin = static_cast<int>(blockIdx.x) * plan.block_tokens;
    const int end = min(begin + plan.block_tokens, layout.tokens);
    const int warp_row = warp * kThreadTokens;
    const bool fetches = lane < fours;
    const int channel = 4 * min(lane, fours - 1);
    TileRows<kBf16, kRows> tile;
    tile.fetch(work, begin + warp_row, end, channel);

    const auto* centroids = reinterpret_cast<const uint4*>(work.coarse());
    for (int i = thread; i < padded * row_bytes / 16; i += kTileThreads) {
        *reinterpret_cast<uint4*>(coarse + i / (row_bytes / 16) * stride + i % (row_bytes / 16) * 16) = centroids[i];
    }
    for (int k = thread; k < padded; k += kTileThreads) {
        // 256 (2 x.c - |c|^2) + 255 - k is largest for the nearest, the lowest index among equals: less than 2^31, for
        // there are up to kTileDim channels of seven bits.
        keys[k] = k < clusters ? 255 - k - 256 * work.norms()[k] : -0x60000000;
        members[k] = 0;
    }
    for (int i = lane; i < (row_bytes - dim) / 4 * kThreadTokens; i += 32) { // padding of rows
        const int words = (row_bytes - dim) / 4;
        *reinterpret_cast<unsigned*>(rows + (warp_row + i / words) * stride + dim + i % words * 4) = 0;
    }
    float middle[4] = {};
    if constexpr (kRows != Rows::left_over) {
        const float4 four = *reinterpret_cast<const float4*>(work.mean() + channel);
        middle[0] = four.x, middle[1] = four.y, middle[2] = four.z, middle[3] = four.w;
    }
    const float inverse = work.grid().inverse;
    int sum[kClusterTiles][2][4] = {};
    __syncthreads();

    for (int first = begin; first < end; first += kTileTokens) {
        std::uint8_t* warp_rows = rows + warp_row * stride;
        if (fetches) {
            tile.template put<true>(work, first + warp_row, end, channel, middle, inverse, stride, warp_rows + channel,
                                    high, low);
        }
        if (first + kTileTokens < end) { // on its way while this one is worked on
            tile.fetch(work, first + kTileTokens + warp_row, end, channel);
        }
        __syncwarp();
        int best[2] = {static_cast<int>(0x80000000), static_cast<int>(0x80000000)};
        for (int centroid = 0; centroid < padded; centroid += kTileCentroids) {
            int score[kTileCentroids / 8][4] = {};
            for (int c = 8 * inside; c < row_bytes; c += 32) {
                const uint2 top = *reinterpret_cast<const uint2*>(warp_rows + group * stride + c);
                const uint2 bottom = *reinterpret_cast<const uint2*>(warp_rows + (group + 8) * stride + c);
                const unsigned a[4] = {top.x, bottom.x, top.y, bottom.y};
#pragma unroll
                for (int n = 0; n < kTileCentroids / 8; ++n) {
                    if (centroid + 8 * n < padded) {
                        const uint2 b =
                            *reinterpret_cast<const uint2*>(coarse + (centroid + 8 * n + group) * stride + c);
                        multiply(score[n], a, b.x, b.y);
                    }
                }
            }
#pragma unroll
            for (int n = 0; n < kTileCentroids / 8; ++n) {
#pragma unroll
                for (int j = 0; j < 2; ++j) {
                    const int k = centroid + 8 * n + 2 * inside + j;
                    if (k < padded) {
#pragma unroll
                        for (int r = 0; r < 2; ++r) {
                            best[r] = max(best[r], 512 * score[n][2 * r + j] + keys[k]);
                        }
                    }
                }
            }
        }
#pragma unroll
        for (int r = 0; r < 2; ++r) {
#pragma unroll
            for (int step = 1; step < 4; step *= 2) {
                best[r] = max(best[r], __shfl_xor_sync(0xFFFFFFFFU, best[r], step));
            }
            const int id = 255 - (best[r] & 255);
            const int row = warp_row + 8 * r + group;
            if (inside == 0) {
                reinterpret_cast<std::uint8_t*>(ids)[row] = static_cast<std::uint8_t>(id);
                if (first + row < end) {
                    atomicAdd(members + id, 1);
                    if (plan.keeps_ids) {
                        work.ids()[first + row] = static_cast<std::uint8_t>(id);
                    }
                }
            }
        }
        __syncthreads();
        if (16 * warp < dim) {
            int upper[kClusterTiles][2][4] = {};
#pragma unroll
            for (int word = 0; word < kTileTokens / 4; word += 8) {
                const unsigned ids0 = ids[word + inside];
                const unsigned ids1 = ids[word + 4 + inside];
                const int at = (16 * warp + group) * kTurnedStride + word + inside;
                unsigned digits[2][2][2]; // [upper, lower][half of the channels][half of the tokens]
#pragma unroll
                for (int n = 0; n < 2; ++n) {
                    digits[0][n][0] = high[at + 8 * n * kTurnedStride];
                    digits[0][n][1] = high[at + 8 * n * kTurnedStride + 4];
                    digits[1][n][0] = low[at + 8 * n * kTurnedStride];
                    digits[1][n][1] = low[at + 8 * n * kTurnedStride + 4];
                }
#pragma unroll
                for (int m = 0; m < kClusterTiles; ++m) {
                    const auto k = static_cast<unsigned>(16 * m + group);
                    const unsigned whose[4] = {equal_bytes(ids0, k), equal_bytes(ids0, k + 8), equal_bytes(ids1, k),
                                               equal_bytes(ids1, k + 8)};
#pragma unroll
                    for (int n = 0; n < 2; ++n) {
                        multiply(upper[m][n], whose, digits[0][n][0], digits[0][n][1]);
                        multiply(sum[m][n], whose, digits[1][n][0], digits[1][n][1]);
                    }
                }
            }
#pragma unroll
            for (int m = 0; m < kClusterTiles; ++m) {
#pragma unroll
                for (int i = 0; i < 8; ++i) {
                    sum[m][i / 4][i % 4] += 256 * upper[m][i / 4][i % 4];
                }
            }
        }
        __syncthreads();
    }
    for (int k = thread; k < clusters; k += kTileThreads) {
        if (members[k] > 0) {
            atomicAdd(work.members() + k, members[k]);
        }
    }
#pragma unroll
    for (int m = 0; m < kClusterTiles; ++m) {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int k = 16 * m + group + i % 4 / 2 * 8;
            const int at = 16 * warp + i / 4 * 8 + 2 * inside + i % 2;
            const int value = -(sum[m][i / 4][i % 4] / 128);
            if (k < clusters && at < dim && value != 0) {
                atomicAdd(work.sums() + k * dim + at, value);
            }
        }
    }
}

// One block a centroid; threads: channels, whole warps. An empty cluster keeps its centroid. Leaves sums of nothing.
template <bool kBf16, Rows kRows>
__global__ void update_kernel(Work<kBf16, kRows> work) {
    __shared__ int norm_of[kQvgMaxHeadDim / 32];
    const int dim = work.layout().head_dim;
    const int centroid = static_cast<int>(blockIdx.x);
    const int channel = static_cast<int>(threadIdx.x);
    const int members = work.members()[centroid];
    if (members == 0) {
        return; // and then the sums are nothing
    }
    int coarse = 0;
    if (channel < dim) {
        int& sum = work.sums()[centroid * dim + place_of(channel, dim)];
        const float average = __fdiv_rn(static_cast<float>(sum), static_cast<float>(members));
        sum = 0;
        const float offset = kRows == Rows::source ? work.mean()[channel] : 0.0F;
        work.centroids()[static_cast<std::int64_t>(centroid) * dim + channel] =
            __fadd_rn(offset, __fmul_rn(average, work.grid().step));
        coarse = static_cast<std::int16_t>(whole_steps(average, qvg::kCoarseShare));
        reinterpret_cast<std::int8_t*>(work.coarse() + centroid * work.row_words())[channel] =
            static_cast<std::int8_t>(coarse);
    }
    const int part = warp_sum(coarse * coarse);
    if (channel % 32 == 0) {
        norm_of[channel / 32] = part;
    }
    __syncthreads();
    if (channel == 0) {
        int norm = 0;
        for (int w = 0; w < static_cast<int>(blockDim.x) / 32; ++w) {
            norm += norm_of[w];
        }
        work.norms()[centroid] = norm;
        work.members()[centroid] = 0;
    }
}

} // namespace
} // namespace wander::quant::cuda
