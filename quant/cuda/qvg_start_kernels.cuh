#pragma once
// Where clustering starts: centroids drawn from the points, or those of the session. In whole numbers. Plain twin:
// qvg/page_clusters.cpp, bit for bit.

#include "quant/cuda/qvg_mean_kernels.cuh"
#include "quant/cuda/qvg_tiles.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kStartThreads = 512;

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

} // namespace
} // namespace wander::quant::cuda
