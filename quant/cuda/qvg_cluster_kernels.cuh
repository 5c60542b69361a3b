#pragma once
// Clustering on the device: mean, start, assignment, update. Plain twin: qvg/page_clusters.cpp, bit for bit.

#include "quant/cuda/qvg_work.cuh"

namespace wander::quant::cuda {
namespace {

// Threads: 32 channels x kMeanParts.
template <bool kBf16>
__global__ void mean_kernel(Work<kBf16> work) {
    __shared__ float sums[qvg::kMeanParts][32];
    const int channel = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
    const bool held = channel < work.layout().head_dim;
    const int tokens = work.layout().tokens;
    float sum = 0;
#pragma unroll 8
    for (int t = static_cast<int>(threadIdx.y); t < tokens; t += qvg::kMeanParts) {
        sum = __fadd_rn(sum, held ? source(work, t, channel) : 0.0F);
    }
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && held) {
        for (int p = 1; p < qvg::kMeanParts; ++p) {
            sum = __fadd_rn(sum, sums[p][threadIdx.x]);
        }
        work.mean()[channel] = __fdiv_rn(sum, static_cast<float>(tokens));
    }
}

// Half a warp a pair of rows: 16 partial sums, then halves added to each other; as distance() in page_clusters.cpp.
template <bool kBf16>
__device__ float half_warp_distance(const Work<kBf16>& work, int token, const float* centroid) {
    float sum = 0;
#pragma unroll 8
    for (int c = static_cast<int>(threadIdx.x) % 16; c < work.layout().head_dim; c += 16) {
        const float d = __fsub_rn(source(work, token, c), centroid[c]);
        sum = __fadd_rn(sum, __fmul_rn(d, d));
    }
#pragma unroll
    for (int step = 8; step > 0; step /= 2) {
        sum = __fadd_rn(sum, __shfl_down_sync(0xFFFFFFFFU, sum, step, 16));
    }
    return sum; // valid in lane 0
}

// Candidate i of centroid i / kStartDraws; shared: how far each candidate is from what was chosen so far.
template <bool kBf16>
__global__ void start_kernel(Work<kBf16> work) {
    __shared__ float nearest[kQvgMaxCentroids * qvg::kStartDraws];
    __shared__ int tokens[kQvgMaxCentroids * qvg::kStartDraws];
    __shared__ float newest[kQvgMaxHeadDim];
    __shared__ int chosen;
    const QvgPageLayout& layout = work.layout();
    const std::uint64_t seed = qvg::stage_seed(work.batch.pages[blockIdx.z].seed, work.stage);
    const int head = static_cast<int>(blockIdx.y);
    const int candidates = work.clusters() * qvg::kStartDraws;
    for (int i = static_cast<int>(threadIdx.x); i < candidates; i += kStartThreads) {
        nearest[i] = INFINITY;
        tokens[i] = qvg::drawn_token(seed, head, i / qvg::kStartDraws, i % qvg::kStartDraws, layout.tokens);
    }
    for (int k = 0; k < work.clusters(); ++k) {
        __syncthreads();
        if (threadIdx.x == 0) {
            int best = 0;
            for (int draw = 1; k > 0 && draw < qvg::kStartDraws; ++draw) {
                best = nearest[k * qvg::kStartDraws + draw] > nearest[k * qvg::kStartDraws + best] ? draw : best;
            }
            chosen = tokens[k * qvg::kStartDraws + best];
        }
        __syncthreads();
        for (int c = static_cast<int>(threadIdx.x); c < layout.head_dim; c += kStartThreads) {
            newest[c] = source(work, chosen, c);
            work.centroids()[static_cast<std::int64_t>(k) * layout.head_dim + c] = newest[c];
        }
        __syncthreads();
        // Whole warps stay together for the shuffles, so the last candidate may be taken more than once.
        for (int first = (k + 1) * qvg::kStartDraws; first < candidates; first += kStartThreads / 16) {
            const int i = min(first + static_cast<int>(threadIdx.x) / 16, candidates - 1);
            const float d = half_warp_distance(work, tokens[i], newest);
            if (threadIdx.x % 16 == 0 && first + static_cast<int>(threadIdx.x) / 16 < candidates) {
                nearest[i] = fminf(nearest[i], d);
            }
        }
    }
}

// One block a centroid (padding of the last panel included); threads: channels. What the assignment reads: the centroid
// minus the mean, and half its squared length, summed in channel order.
template <bool kBf16>
__device__ void put_relative(const Work<kBf16>& work, int centroid, int channel, float value) {
    __shared__ float squares[kQvgMaxHeadDim];
    const QvgPageLayout& layout = work.layout();
    const bool held = channel < layout.head_dim;
    if (held) {
        const float relative = centroid < work.clusters() ? __fsub_rn(value, work.mean()[channel]) : 0.0F;
        squares[channel] = __fmul_rn(relative, relative);
        const int panel = centroid / kAssignCentroids;
        work.relative()[(static_cast<std::int64_t>(panel) * layout.head_dim + channel) * kAssignCentroids +
                        centroid % kAssignCentroids] = relative;
    }
    __syncthreads();
    if (channel == 0) {
        float norm = 0;
#pragma unroll 8
        for (int c = 0; c < layout.head_dim; ++c) {
            norm = __fadd_rn(norm, squares[c]);
        }
        work.half_norms()[centroid] = __fmul_rn(0.5F, norm);
    }
}

template <bool kBf16>
__global__ void relative_kernel(Work<kBf16> work) {
    const int centroid = static_cast<int>(blockIdx.x);
    const int channel = static_cast<int>(threadIdx.x);
    const bool held = centroid < work.clusters() && channel < work.layout().head_dim;
    const float value =
        held ? work.centroids()[static_cast<std::int64_t>(centroid) * work.layout().head_dim + channel] : 0.0F;
    put_relative(work, centroid, channel, value);
}

// Threads: tokens. Shared: one panel of centroids and the mean.
template <bool kBf16>
__global__ void assign_kernel(Work<kBf16> work) {
    extern __shared__ float4 shared4[];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    const float* relative = reinterpret_cast<const float*>(shared4);
    float* mean = reinterpret_cast<float*>(shared4) + dim * kAssignCentroids;
    for (int c = static_cast<int>(threadIdx.x); c < dim; c += kAssignThreads) {
        mean[c] = work.mean()[c];
    }
    const int token = static_cast<int>(blockIdx.x) * kAssignThreads + static_cast<int>(threadIdx.x);
    const int row = min(token, layout.tokens - 1);
    float best = -INFINITY;
    int id = 0;
    for (int first = 0; first < work.clusters(); first += kAssignCentroids) {
        const auto* panel = reinterpret_cast<const float4*>(work.relative() + static_cast<std::int64_t>(first) * dim);
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < dim * kAssignCentroids / 4; i += kAssignThreads) {
            shared4[i] = panel[i];
        }
        __syncthreads();
        float dot[kAssignCentroids] = {};
#pragma unroll 2
        for (int c = 0; c < dim; c += 4) {
            const float4 x = source4(work, row, c);
            const float values[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float value = __fsub_rn(values[i], mean[c + i]);
                const float4* line = reinterpret_cast<const float4*>(relative + (c + i) * kAssignCentroids);
#pragma unroll
                for (int q = 0; q < kAssignCentroids / 4; ++q) {
                    const float4 r = line[q];
                    dot[4 * q] = __fadd_rn(dot[4 * q], __fmul_rn(value, r.x));
                    dot[4 * q + 1] = __fadd_rn(dot[4 * q + 1], __fmul_rn(value, r.y));
                    dot[4 * q + 2] = __fadd_rn(dot[4 * q + 2], __fmul_rn(value, r.z));
                    dot[4 * q + 3] = __fadd_rn(dot[4 * q + 3], __fmul_rn(value, r.w));
                }
            }
        }
#pragma unroll
        for (int k = 0; k < kAssignCentroids; ++k) {
            const float score = __fsub_rn(dot[k], work.half_norms()[first + k]);
            if (first + k < work.clusters() && score > best) {
                best = score;
                id = first + k;
            }
        }
    }
    if (token < layout.tokens) {
        work.ids()[token] = static_cast<std::uint8_t>(id);
    }
}

// Centroids of the session as those that the assignment starts from. Threads: values of one head.
template <bool kBf16>
__global__ void load_book_kernel(Work<kBf16> work) {
    const int values = work.clusters() * work.layout().head_dim;
    const std::uint16_t* from = work.batch.pages[blockIdx.z].codebook + static_cast<std::int64_t>(blockIdx.y) * values;
    for (int i = static_cast<int>(threadIdx.x); i < values; i += static_cast<int>(blockDim.x)) {
        work.centroids()[i] = bf16_low(from[i]);
    }
}

// Sum of one channel over the tokens whose id is `centroid`; threads: channels. Every warp lists the members of a
// stretch of tokens, then adds them in token order.
template <bool kBf16, class Ids>
__device__ float member_sum(const Work<kBf16>& work, const Ids& ids, int centroid, int& members) {
    __shared__ int listed[kQvgMaxHeadDim / 32][kUpdateStretch];
    const QvgPageLayout& layout = work.layout();
    const int channel = static_cast<int>(threadIdx.x);
    const int lane = channel % 32;
    int* list = listed[channel / 32];
    const bool held = channel < layout.head_dim; // the block is rounded up to whole warps
    float sum = 0;
    members = 0;
    for (int first = 0; first < layout.tokens; first += kUpdateStretch) {
        int count = 0;
#pragma unroll
        for (int window = 0; window < kUpdateStretch; window += 32) {
            const int token = first + window + lane;
            const bool member = token < layout.tokens && ids(token) == centroid;
            const unsigned mask = __ballot_sync(0xFFFFFFFFU, member);
            if (member) {
                list[count + __popc(mask & ((1U << lane) - 1U))] = token;
            }
            count += __popc(mask);
        }
        __syncwarp();
        for (int i = 0; i < count; i += 8) {
            float values[8];
#pragma unroll
            for (int j = 0; j < 8; ++j) { // loads first, so that they overlap
                values[j] = held && i + j < count ? source(work, list[i + j], channel) : 0.0F;
            }
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                sum = i + j < count ? __fadd_rn(sum, values[j]) : sum;
            }
        }
        __syncwarp();
        members += count;
    }
    return sum;
}

// One block a centroid; threads: channels.
template <bool kBf16>
__global__ void update_kernel(Work<kBf16> work) {
    const QvgPageLayout& layout = work.layout();
    const int centroid = static_cast<int>(blockIdx.x);
    const int channel = static_cast<int>(threadIdx.x);
    const bool held = channel < layout.head_dim;
    const std::uint8_t* ids = work.ids();
    int members = 0;
    const float sum = member_sum(work, [ids](int token) { return static_cast<int>(ids[token]); }, centroid, members);
    float* stored = work.centroids() + static_cast<std::int64_t>(centroid) * layout.head_dim + channel;
    float value = 0;
    if (held) { // an empty cluster keeps its centroid
        value = members > 0 ? __fdiv_rn(sum, static_cast<float>(members)) : *stored;
        *stored = value;
    }
    put_relative(work, centroid, channel, value);
}

} // namespace
} // namespace wander::quant::cuda
