// Kernels of the page encoder. Sums and products run in the order of the CPU code and are never fused, so results are
// the same bits.
#include "quant/cuda/page_decode.cuh"
#include "quant/cuda/qvg_encode.hpp"
#include "quant/qvg/page_rules.hpp"

namespace wander::quant::cuda {
namespace {

constexpr int kAssignThreads = 128;
constexpr int kAssignCentroids = 16; // sums a thread keeps at once
constexpr int kStartThreads = 1024;
constexpr int kPackThreads = 128;

struct Work {
    EncodeBatch batch;
    EncodeScratch scratch;

    __device__ const QvgPageLayout& layout() const { return batch.layout; }
    __device__ std::int64_t head_index() const {
        return static_cast<std::int64_t>(blockIdx.z) * batch.layout.heads + blockIdx.y;
    }
    __device__ float* mean() const { return scratch.mean + head_index() * batch.layout.head_dim; }
    __device__ float* centroids() const {
        return scratch.centroids + head_index() * batch.layout.centroids * batch.layout.head_dim;
    }
    __device__ std::uint8_t* ids() const { return scratch.ids + head_index() * batch.layout.tokens; }
};

__device__ float source(const Work& work, int token, int channel) {
    const auto& layout = work.layout();
    const std::int64_t at = (static_cast<std::int64_t>(token) * layout.heads + blockIdx.y) * layout.head_dim + channel;
    const void* rows = work.batch.pages[blockIdx.z].rows;
    if (work.batch.bf16) {
        return bf16_low(static_cast<const std::uint16_t*>(rows)[at]);
    }
    return static_cast<const float*>(rows)[at];
}

// Four channels from a multiple of 4.
__device__ float4 source4(const Work& work, int token, int channel) {
    const auto& layout = work.layout();
    const std::int64_t at = (static_cast<std::int64_t>(token) * layout.heads + blockIdx.y) * layout.head_dim + channel;
    const auto* rows = static_cast<const std::uint8_t*>(work.batch.pages[blockIdx.z].rows);
    if (work.batch.bf16) {
        const uint2 pair = *reinterpret_cast<const uint2*>(rows + at * 2);
        return {bf16_low(pair.x), bf16_high(pair.x), bf16_low(pair.y), bf16_high(pair.y)};
    }
    return *reinterpret_cast<const float4*>(rows + at * 4);
}

__device__ std::uint16_t to_bf16(float value) {
    const std::uint32_t bits = __float_as_uint(value);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}
__device__ float rounded_bf16(float value) { return bf16_low(to_bf16(value)); }

// Bytes of the e4m3 number nearest to a value that is not negative.
__device__ int nearest_byte(float value) {
    const std::uint32_t bits = __float_as_uint(value);
    if (value < 0x1p-6F) {
        return static_cast<int>(__float_as_uint(__fadd_rn(value, 0x1p14F)) & 0xFU);
    }
    const int byte = static_cast<int>((bits + 0x7FFFFU + ((bits >> 20) & 1U)) >> 20) - (120 << 3);
    return byte > 126 ? 126 : byte;
}

// Threads: channels.
__global__ void mean_kernel(Work work) {
    const int channel = threadIdx.x;
    float sum = 0;
    const int tokens = work.layout().tokens;
#pragma unroll 8
    for (int t = 0; t < tokens; ++t) {
        sum = __fadd_rn(sum, source(work, t, channel));
    }
    work.mean()[channel] = __fdiv_rn(sum, static_cast<float>(tokens));
}

// Half a warp a pair of rows: 16 partial sums, then halves added to each other; as distance() in page_clusters.cpp.
__device__ float half_warp_distance(const Work& work, int token_a, const float* b) {
    const int lane = threadIdx.x % 16;
    float sum = 0;
    for (int c = lane; c < work.layout().head_dim; c += 16) {
        const float d = __fsub_rn(source(work, token_a, c), b[c]);
        sum = __fadd_rn(sum, __fmul_rn(d, d));
    }
    for (int step = 8; step > 0; step /= 2) {
        sum = __fadd_rn(sum, __shfl_down_sync(0xFFFFFFFFU, sum, step, 16));
    }
    return sum; // valid in lane 0
}

__global__ void start_kernel(Work work) {
    __shared__ int nearest[qvg::kStartDraws]; // bits of a float that is not negative order like integers
    __shared__ int chosen;
    const QvgPageLayout& layout = work.layout();
    const std::uint64_t seed = work.batch.pages[blockIdx.z].seed;
    const int head = static_cast<int>(blockIdx.y);
    float* centroids = work.centroids();
    for (int k = 0; k < layout.centroids; ++k) {
        if (threadIdx.x < qvg::kStartDraws) {
            nearest[threadIdx.x] = 0x7F800000;
        }
        __syncthreads();
        const int pairs = k * qvg::kStartDraws;
        for (int first = 0; first < pairs; first += kStartThreads / 16) { // whole warps stay together for the shuffles
            const int pair = first + static_cast<int>(threadIdx.x) / 16;
            const int draw = pair < pairs ? pair / k : 0;
            const int other = pair < pairs ? pair % k : 0;
            const int token = qvg::drawn_token(seed, head, k, draw, layout.tokens);
            const float d =
                half_warp_distance(work, token, centroids + static_cast<std::int64_t>(other) * layout.head_dim);
            if (pair < pairs && threadIdx.x % 16 == 0) {
                atomicMin(&nearest[draw], __float_as_int(d)); // a minimum does not depend on the order
            }
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            int best = 0;
            for (int draw = 1; k > 0 && draw < qvg::kStartDraws; ++draw) {
                best = nearest[draw] > nearest[best] ? draw : best;
            }
            chosen = qvg::drawn_token(seed, head, k, best, layout.tokens);
        }
        __syncthreads();
        for (int c = threadIdx.x; c < layout.head_dim; c += blockDim.x) {
            centroids[static_cast<std::int64_t>(k) * layout.head_dim + c] = source(work, chosen, c);
        }
        __syncthreads();
    }
}

// Threads: tokens. Shared: mean, and kAssignCentroids centroids relative to it, [head_dim][kAssignCentroids].
__global__ void assign_kernel(Work work) {
    extern __shared__ float4 shared4[];
    __shared__ float half_norms[kAssignCentroids];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    float* relative = reinterpret_cast<float*>(shared4);
    float* mean = relative + dim * kAssignCentroids;
    for (int c = threadIdx.x; c < dim; c += blockDim.x) {
        mean[c] = work.mean()[c];
    }
    __syncthreads();
    const int token = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const int row = min(token, layout.tokens - 1);
    float best = -INFINITY;
    int id = 0;
    for (int first = 0; first < layout.centroids; first += kAssignCentroids) {
        const int count = min(kAssignCentroids, layout.centroids - first);
        const float* centroids = work.centroids() + static_cast<std::int64_t>(first) * dim;
        for (int i = threadIdx.x; i < dim * kAssignCentroids; i += blockDim.x) {
            const int k = i / dim;
            const int c = i % dim;
            relative[c * kAssignCentroids + k] = k < count ? __fsub_rn(centroids[k * dim + c], mean[c]) : 0.0F;
        }
        __syncthreads();
        if (threadIdx.x < kAssignCentroids) {
            float norm = 0;
            for (int c = 0; c < dim; ++c) {
                const float value = relative[c * kAssignCentroids + threadIdx.x];
                norm = __fadd_rn(norm, __fmul_rn(value, value));
            }
            half_norms[threadIdx.x] = __fmul_rn(0.5F, norm);
        }
        __syncthreads();
        float dot[kAssignCentroids] = {};
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
            const float score = __fsub_rn(dot[k], half_norms[k]);
            if (k < count && score > best) {
                best = score;
                id = first + k;
            }
        }
        __syncthreads();
    }
    if (token < layout.tokens) {
        work.ids()[token] = static_cast<std::uint8_t>(id);
    }
}

// One block a centroid; threads: channels. Members are added in token order.
__global__ void update_kernel(Work work) {
    const QvgPageLayout& layout = work.layout();
    const int centroid = static_cast<int>(blockIdx.x);
    const int channel = static_cast<int>(threadIdx.x);
    const int lane = channel % 32;
    const std::uint8_t* ids = work.ids();
    const bool held = channel < layout.head_dim; // the block is rounded up to whole warps
    float sum = 0;
    int members = 0;
    for (int first = 0; first < layout.tokens; first += 32) {
        const int token = first + lane;
        unsigned mask = __ballot_sync(0xFFFFFFFFU, token < layout.tokens && ids[token] == centroid);
        members += __popc(mask);
        while (mask != 0) {
            float values[4];
            int count = 0;
#pragma unroll
            for (int i = 0; i < 4; ++i) { // loads first, so that they overlap
                if (mask != 0) {
                    values[i] = held ? source(work, first + __ffs(static_cast<int>(mask)) - 1, channel) : 0.0F;
                    mask &= mask - 1;
                    ++count;
                }
            }
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                if (i < count) {
                    sum = __fadd_rn(sum, values[i]);
                }
            }
        }
    }
    if (held && members > 0) { // an empty cluster keeps its centroid
        work.centroids()[static_cast<std::int64_t>(centroid) * layout.head_dim + channel] =
            __fdiv_rn(sum, static_cast<float>(members));
    }
}

// Header, centroids and ids of the page. Padding was cleared before.
__global__ void book_kernel(Work work, QvgPageHeader header) {
    const QvgPageLayout& layout = work.layout();
    const EncodePage& entry = work.batch.pages[blockIdx.z];
    const int head = static_cast<int>(blockIdx.y);
    if (head == 0 && threadIdx.x == 0) {
        header.seed = entry.seed;
        header.is_key = entry.is_key ? 1 : 0;
        *reinterpret_cast<QvgPageHeader*>(entry.page) = header;
    }
    auto* centroids = reinterpret_cast<std::uint16_t*>(entry.page + layout.centroid_row(head, 0));
    for (int i = threadIdx.x; i < layout.centroids * layout.head_dim; i += blockDim.x) {
        centroids[i] = to_bf16(work.centroids()[i]);
    }
    for (std::int64_t b = threadIdx.x; b < layout.id_head_bytes; b += blockDim.x) {
        unsigned byte = 0;
        for (int bit = 0; bit < 8; ++bit) {
            const std::int64_t at = b * 8 + bit;
            const std::int64_t token = at / layout.id_bits;
            if (token < layout.tokens) {
                byte |= ((work.ids()[token] >> (at % layout.id_bits)) & 1U) << bit;
            }
        }
        entry.page[layout.ids_at + head * layout.id_head_bytes + b] = static_cast<std::uint8_t>(byte);
    }
}

template <int kBlock>
__device__ int four_level_codes(const float (&residual)[kBlock], std::uint32_t (&words)[kBlock / 16]) {
    float power = 0;
#pragma unroll
    for (int c = 0; c < kBlock; ++c) {
        power = __fadd_rn(power, __fmul_rn(residual[c], residual[c]));
    }
    const float rms = __fsqrt_rn(__fdiv_rn(power, static_cast<float>(kBlock)));
    const int middle = nearest_byte(__fmul_rn(qvg::kStartScale, rms));
    int byte = 0;
    float least = INFINITY;
#pragma unroll
    for (int i = 0; i < qvg::kScaleCandidates; ++i) {
        const int candidate = min(max(middle + i - qvg::kScaleCandidates / 2, 0), 126);
        const float step = e4m3_scale(static_cast<std::uint8_t>(candidate));
        float error = 0;
#pragma unroll
        for (int c = 0; c < kBlock; ++c) {
            const float magnitude = fabsf(residual[c]);
            const float miss = __fsub_rn(magnitude, __fmul_rn(magnitude < step ? 0.5F : 1.5F, step));
            error = __fadd_rn(error, __fmul_rn(miss, miss));
        }
        if (i == 0 || error < least) {
            least = error;
            byte = candidate;
        }
    }
    const float step = e4m3_scale(static_cast<std::uint8_t>(byte));
#pragma unroll
    for (int c = 0; c < kBlock; ++c) {
        const unsigned code =
            (residual[c] >= -step ? 1U : 0U) + (residual[c] >= 0 ? 1U : 0U) + (residual[c] >= step ? 1U : 0U);
        words[c / 16] |= code << (c % 16 / 4 * 8 + 6 - 2 * (c % 4));
    }
    return byte;
}

// As quantise_block(), symmetric, 2 bits.
template <int kBlock>
__device__ int ternary_codes(const float (&residual)[kBlock], std::uint32_t (&words)[kBlock / 16]) {
    float magnitude = 1e-10F;
#pragma unroll
    for (int c = 0; c < kBlock; ++c) {
        magnitude = fmaxf(magnitude, fabsf(residual[c]));
    }
    const int byte = nearest_byte(magnitude);
    const float reciprocal = byte == 0 ? 0.0F : __fdiv_rn(1.0F, e4m3_scale(static_cast<std::uint8_t>(byte)));
#pragma unroll
    for (int c = 0; c < kBlock; ++c) {
        const float value = fminf(fmaxf(roundf(__fmul_rn(residual[c], reciprocal)), -1.0F), 1.0F);
        words[c / 16] |= static_cast<unsigned>(static_cast<int>(value) + 1) << (c % 16 / 4 * 8 + 6 - 2 * (c % 4));
    }
    return byte;
}

// Threads: tokens times blocks of channels.
template <int kBlock>
__global__ void pack_kernel(Work work) {
    const QvgPageLayout& layout = work.layout();
    const int blocks = layout.head_dim / kBlock;
    const int index = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (index >= layout.tokens * blocks) {
        return;
    }
    const int token = index / blocks;
    const int block = index % blocks;
    const int head = static_cast<int>(blockIdx.y);
    std::uint8_t* page = work.batch.pages[blockIdx.z].page;
    const auto* centroid =
        reinterpret_cast<const std::uint16_t*>(page + layout.centroid_row(head, work.ids()[token])) + block * kBlock;
    const bool four_level = work.batch.grid == QvgGrid::four_level;
    float residual[kBlock];
#pragma unroll
    for (int c = 0; c < kBlock; c += 4) {
        const float4 x = source4(work, token, block * kBlock + c);
        const float values[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const float base = bf16_low(centroid[c + i]);
            residual[c + i] =
                four_level ? __fsub_rn(values[i], base) : rounded_bf16(__fsub_rn(rounded_bf16(values[i]), base));
        }
    }
    std::uint32_t words[kBlock / 16] = {};
    const int byte = four_level ? four_level_codes<kBlock>(residual, words) : ternary_codes<kBlock>(residual, words);
    page[layout.scale_row(head, token) + block] = static_cast<std::uint8_t>(byte);
    auto* codes = reinterpret_cast<std::uint32_t*>(page + layout.code_row(head, token) + block * kBlock / 4);
#pragma unroll
    for (int w = 0; w < kBlock / 16; ++w) {
        codes[w] = words[w];
    }
}

__global__ void decode_kernel(PageSource source, int head, float* out) {
    const int per_row = source.layout.head_dim / 8;
    const int index = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (index >= source.layout.tokens * per_row) {
        return;
    }
    float values[8];
    decode_channels<8>(source, index / per_row, head, index % per_row * 8, values);
    for (int c = 0; c < 8; ++c) {
        out[static_cast<std::int64_t>(index) * 8 + c] = values[c];
    }
}

int blocks_for(std::int64_t items, int threads) { return static_cast<int>((items + threads - 1) / threads); }

} // namespace

std::int64_t encode_scratch_bytes(const QvgPageLayout& layout, int pages) {
    const std::int64_t heads = static_cast<std::int64_t>(pages) * layout.heads;
    return heads * (static_cast<std::int64_t>(layout.head_dim) * (1 + layout.centroids) * 4 + layout.tokens);
}

EncodeScratch scratch_parts(const EncodeBatch& batch) {
    const std::int64_t heads = static_cast<std::int64_t>(batch.count) * batch.layout.heads;
    EncodeScratch parts;
    parts.mean = static_cast<float*>(batch.scratch);
    parts.centroids = parts.mean + heads * batch.layout.head_dim;
    parts.ids =
        reinterpret_cast<std::uint8_t*>(parts.centroids + heads * batch.layout.centroids * batch.layout.head_dim);
    return parts;
}

cudaError_t encode_pages(const EncodeBatch& batch, cudaStream_t stream) {
    const QvgPageLayout& layout = batch.layout;
    if (batch.count < 1 || batch.count > kMaxPages || layout.head_dim > kQvgMaxHeadDim) {
        return cudaErrorInvalidValue;
    }
    const Work work{batch, scratch_parts(batch)};
    const auto heads = static_cast<unsigned>(layout.heads);
    const auto pages = static_cast<unsigned>(batch.count);
    for (int i = 0; i < batch.count; ++i) {
        const cudaError_t cleared =
            cudaMemsetAsync(batch.pages[i].page, 0, static_cast<std::size_t>(layout.total_bytes), stream);
        if (cleared != cudaSuccess) {
            return cleared;
        }
    }
    mean_kernel<<<dim3(1, heads, pages), layout.head_dim, 0, stream>>>(work);
    start_kernel<<<dim3(1, heads, pages), kStartThreads, 0, stream>>>(work);
    const std::size_t shared = static_cast<std::size_t>(layout.head_dim) * (kAssignCentroids + 1) * sizeof(float);
    for (int round = 0; round < qvg::lloyd_iterations(layout.centroids); ++round) {
        assign_kernel<<<dim3(blocks_for(layout.tokens, kAssignThreads), heads, pages), kAssignThreads, shared,
                        stream>>>(work);
        update_kernel<<<dim3(layout.centroids, heads, pages), (layout.head_dim + 31) / 32 * 32, 0, stream>>>(work);
    }
    QvgPageHeader header;
    header.grid = static_cast<std::uint8_t>(batch.grid);
    header.tokens = static_cast<std::uint32_t>(layout.tokens);
    header.heads = heads;
    header.head_dim = static_cast<std::uint32_t>(layout.head_dim);
    header.block = static_cast<std::uint32_t>(layout.block);
    header.centroids = static_cast<std::uint32_t>(layout.centroids);
    header.id_bits = static_cast<std::uint32_t>(layout.id_bits);
    header.total_bytes = static_cast<std::uint64_t>(layout.total_bytes);
    book_kernel<<<dim3(1, heads, pages), 512, 0, stream>>>(work, header);
    const std::int64_t items = static_cast<std::int64_t>(layout.tokens) * (layout.head_dim / layout.block);
    const dim3 grid(blocks_for(items, kPackThreads), heads, pages);
    switch (layout.block) {
        case 64: pack_kernel<64><<<grid, kPackThreads, 0, stream>>>(work); break;
        case 32: pack_kernel<32><<<grid, kPackThreads, 0, stream>>>(work); break;
        case 16: pack_kernel<16><<<grid, kPackThreads, 0, stream>>>(work); break;
        default: return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

cudaError_t decode_head(const std::uint8_t* page, const QvgPageLayout& layout, QvgGrid grid, int head, float* out,
                        cudaStream_t stream) {
    PageSource source;
    source.page = page;
    source.decoder = grid == QvgGrid::four_level ? PageDecoder::four_level : PageDecoder::ternary;
    source.layout = layout;
    const std::int64_t items = static_cast<std::int64_t>(layout.tokens) * (layout.head_dim / 8);
    decode_kernel<<<blocks_for(items, 256), 256, 0, stream>>>(source, head, out);
    return cudaGetLastError();
}

} // namespace wander::quant::cuda
