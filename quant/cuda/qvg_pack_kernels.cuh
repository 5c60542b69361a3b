#pragma once
// Residuals, scales and codes on the device. Plain twin: qvg/page_encoder.cpp, bit for bit.

#include "quant/cuda/qvg_work.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kPackThreads = 256;
constexpr int kBookThreads = 256;
constexpr int kBookBlocks = 4; // a head

// Stretches of a page that belong to no plane.
struct Gaps {
    std::int64_t at[10] = {};
    int bytes[10] = {};
    int count = 0;
};

// Header, padding, centroids and ids of one stage of the page.
template <bool kBf16, Rows kRows>
__global__ void book_kernel(Work<kBf16, kRows> work, QvgPageHeader header, Gaps gaps) {
    const QvgPageLayout& layout = work.layout();
    const EncodePage& entry = work.batch.pages[blockIdx.z];
    const int head = static_cast<int>(blockIdx.y);
    const int thread = static_cast<int>(blockIdx.x * kBookThreads + threadIdx.x);
    constexpr int kThreads = kBookBlocks * kBookThreads;
    if (head == 0 && work.stage == 0 && !work.in_book) {
        if (thread == 0) {
            header.codebook_version = entry.codebook_version;
            header.seed = entry.seed;
            header.is_key = entry.is_key ? 1 : 0;
            *reinterpret_cast<QvgPageHeader*>(entry.page) = header;
        }
        for (int i = 0; i < gaps.count; ++i) {
            for (int b = thread; b < gaps.bytes[i]; b += kThreads) {
                entry.page[gaps.at[i] + b] = 0;
            }
        }
    }
    if (!work.in_book) {
        auto* centroids = reinterpret_cast<std::uint16_t*>(entry.page + layout.centroid_row(head, 0, work.stage));
        for (int i = thread; i < layout.centroids * layout.head_dim; i += kThreads) {
            centroids[i] = to_bf16(work.centroids()[i]);
        }
    }
    const auto bits = static_cast<unsigned>(work.in_book ? layout.book_id_bits : layout.id_bits);
    std::uint8_t* out = entry.page + (work.in_book ? layout.book_id_row(head) : layout.id_row(head, work.stage));
    const std::int64_t bytes = work.in_book ? layout.book_id_head_bytes : layout.id_head_bytes;
    for (std::int64_t b = thread; b < bytes; b += kThreads) {
        unsigned byte = 0;
        // The ids that reach into this byte, from the one that its lowest bit belongs to.
        for (unsigned token = static_cast<unsigned>(b) * 8 / bits;
             token < static_cast<unsigned>(layout.tokens) && token * bits < static_cast<unsigned>(b) * 8 + 8; ++token) {
            const int shift = static_cast<int>(token * bits) - static_cast<int>(b) * 8;
            const unsigned id = work.ids()[token];
            byte |= shift < 0 ? id >> -shift : id << shift;
        }
        out[b] = static_cast<std::uint8_t>(byte);
    }
}

// What a stage leaves to the next one, and the largest of it. Threads: tokens times eights of channels. May read what
// it overwrites.
template <bool kBf16, Rows kRows>
__global__ void residual_kernel(Work<kBf16, kRows> work) {
    const QvgPageLayout& layout = work.layout();
    const int eights = layout.head_dim / 8;
    const int index = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    float most = 0;
    if (index < layout.tokens * eights) {
        const int token = index / eights;
        const int channel = index % eights * 8;
        float x[8];
        load_source(work, token, channel, x);
        std::uint32_t centroid[4];
        load_words(reinterpret_cast<const std::uint8_t*>(work.stored_centroid(token) + channel), centroid);
        std::uint32_t words[4];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const float base = i % 2 == 0 ? bf16_low(centroid[i / 2]) : bf16_high(centroid[i / 2]);
            const std::uint32_t bits = to_bf16(__fsub_rn(rounded_bf16(x[i]), base));
            most = fmaxf(most, fabsf(bf16_low(bits)));
            words[i / 2] = i % 2 == 0 ? bits : words[i / 2] | (bits << 16);
        }
        const std::int64_t row =
            (static_cast<std::int64_t>(blockIdx.z) * layout.tokens + token) * layout.heads + blockIdx.y;
        *reinterpret_cast<uint4*>(work.scratch.residual + row * layout.head_dim + channel) = {words[0], words[1],
                                                                                              words[2], words[3]};
    }
    most = block_max(most);
    if (threadIdx.x == 0) {
        atomicMax(&work.peak() + work.batch.count * layout.heads, __float_as_int(most)); // of the next stage
    }
}

// Sums over the kLanes threads of a block of channels, in pairs: all of them get it.
template <int kLanes>
__device__ float lanes_sum(float value) {
#pragma unroll
    for (int step = 1; step < kLanes; step *= 2) {
        value = __fadd_rn(value, __shfl_xor_sync(0xFFFFFFFFU, value, step));
    }
    return value;
}

__device__ unsigned code_bits(unsigned code, int channel) { return code << (channel / 4 * 8 + 6 - 2 * (channel % 4)); }

// Scale byte of a block; each thread has kValues of its values, and gets the codes of eight of them in each half word.
template <int kLanes, int kValues>
__device__ int four_level_codes(const float (&residual)[kValues], std::uint16_t (&codes)[kValues / 8]) {
    float power = 0;
    float magnitude = 0;
#pragma unroll
    for (int c = 0; c < kValues; ++c) {
        power = __fadd_rn(power, __fmul_rn(residual[c], residual[c]));
        magnitude = __fadd_rn(magnitude, fabsf(residual[c]));
    }
    magnitude = lanes_sum<kLanes>(magnitude);
    const float rms = __fsqrt_rn(__fdiv_rn(lanes_sum<kLanes>(power), static_cast<float>(kLanes * kValues)));
    const int middle = nearest_byte(__fmul_rn(qvg::kStartScale, rms));
    int byte = 0;
    float least = INFINITY;
#pragma unroll
    for (int i = 0; i < qvg::kScaleCandidates; ++i) {
        const int candidate = min(max(middle + i - qvg::kScaleCandidates / 2, 0), 126);
        const float step = e4m3_scale(static_cast<std::uint8_t>(candidate));
        float sum = 0;
#pragma unroll
        for (int c = 0; c < kValues; ++c) {
            sum = __fadd_rn(sum, fmaxf(fabsf(residual[c]), step));
        }
        const float reached = __fadd_rn(magnitude, __fmul_rn(lanes_sum<kLanes>(sum), 2.0F));
        const float square = __fmul_rn(__fmul_rn(2.25F * static_cast<float>(kLanes * kValues), step), step);
        const float error = __fsub_rn(square, __fmul_rn(step, reached));
        if (i == 0 || error < least) {
            least = error;
            byte = candidate;
        }
    }
    const float step = e4m3_scale(static_cast<std::uint8_t>(byte));
#pragma unroll
    for (int c = 0; c < kValues; ++c) {
        const unsigned code =
            (residual[c] >= -step ? 1U : 0U) + (residual[c] >= 0 ? 1U : 0U) + (residual[c] >= step ? 1U : 0U);
        codes[c / 8] = static_cast<std::uint16_t>(codes[c / 8] | code_bits(code, c % 8));
    }
    return byte;
}

// As quantise_block(), symmetric, 2 bits.
template <int kLanes, int kValues>
__device__ int ternary_codes(const float (&residual)[kValues], std::uint16_t (&codes)[kValues / 8]) {
    float magnitude = 1e-10F;
#pragma unroll
    for (int c = 0; c < kValues; ++c) {
        magnitude = fmaxf(magnitude, fabsf(residual[c]));
    }
#pragma unroll
    for (int step = 1; step < kLanes; step *= 2) {
        magnitude = fmaxf(magnitude, __shfl_xor_sync(0xFFFFFFFFU, magnitude, step));
    }
    const int byte = nearest_byte(magnitude);
    const float reciprocal = byte == 0 ? 0.0F : __fdiv_rn(1.0F, e4m3_scale(static_cast<std::uint8_t>(byte)));
#pragma unroll
    for (int c = 0; c < kValues; ++c) {
        const float value = fminf(fmaxf(roundf(__fmul_rn(residual[c], reciprocal)), -1.0F), 1.0F);
        codes[c / 8] = static_cast<std::uint16_t>(codes[c / 8] |
                                                  code_bits(static_cast<unsigned>(static_cast<int>(value) + 1), c % 8));
    }
    return byte;
}

// Bytes of a token's weights, and what they stand for.
template <bool kBf16, Rows kRows>
__device__ char4 weight_bytes(const Work<kBf16, kRows>& work, int token, float (&weights)[qvg::kBasisRank],
                              float (&spans)[qvg::kBasisRank]) {
    const float4 exact = work.basis_weights()[token];
    const float of[4] = {exact.x, exact.y, exact.z, exact.w};
    signed char bytes[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
        const float most = __int_as_float(work.weight_peaks()[k]);
        const float inverse = most > 0 ? __fdiv_rn(127.0F, most) : 0.0F;
        const float code = fminf(fmaxf(roundf(__fmul_rn(of[k], inverse)), -127.0F), 127.0F);
        bytes[k] = static_cast<signed char>(static_cast<int>(code));
        spans[k] = __fdiv_rn(most, 127.0F);
        weights[k] = __fmul_rn(spans[k], static_cast<float>(bytes[k]));
    }
    return {bytes[0], bytes[1], bytes[2], bytes[3]};
}

// Threads: tokens times blocks of channels, 4 for each block (2 for those of 16 channels): thread i has every fourth
// eight of its channels from the i-th on.
template <int kBlock, bool kBf16, Rows kRows>
__global__ void pack_kernel(Work<kBf16, kRows> work) {
    constexpr int kLanes = kBlock < 32 ? kBlock / 8 : 4;
    constexpr int kValues = kBlock / kLanes;
    static_assert(qvg::kSumStretch == 8 && qvg::kSumParts == 4);
    const QvgPageLayout& layout = work.layout();
    const int blocks = layout.head_dim / kBlock;
    const int thread = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const int index = min(thread / kLanes, layout.tokens * blocks - 1); // all threads stay for the sums of their warp
    const bool kept = index == thread / kLanes;
    const int lane = thread % kLanes;
    const int token = index / blocks;
    const int block = index % blocks;
    const int head = static_cast<int>(blockIdx.y);
    std::uint8_t* page = work.batch.pages[blockIdx.z].page;
    const bool four_level = work.batch.grid == QvgGrid::four_level;
    const bool has_basis = layout.rank > 0;
    const auto* centroid = reinterpret_cast<const std::uint8_t*>(has_basis ? nullptr : work.stored_centroid(token));
    float weights[qvg::kBasisRank] = {};
    if (has_basis) {
        float spans[qvg::kBasisRank];
        const char4 bytes = weight_bytes(work, token, weights, spans);
        if (kept && block == 0 && lane == 0) {
            *reinterpret_cast<char4*>(page + layout.weight_row(head, token)) = bytes;
            for (int k = 0; k < qvg::kBasisRank && token == 0; ++k) {
                reinterpret_cast<float*>(page + layout.span_row(head))[k] = spans[k];
            }
        }
    }
    float residual[kValues];
#pragma unroll
    for (int v = 0; v < kValues; v += 8) {
        const int channel = block * kBlock + v * kLanes + 8 * lane;
        float x[8];
        load_source(work, token, channel, x);
        std::uint32_t words[4] = {};
        if (!has_basis) {
            load_words(centroid + channel * 2, words);
        }
        float explained[8] = {};
        if (has_basis) {
            for (int k = 0; k < qvg::kBasisRank; ++k) {
                std::uint32_t row[4];
                load_words(page + layout.basis_row(head, k) + channel * 2, row);
                add_row(row, weights[k], explained);
            }
        }
        float middle[8] = {};
        if constexpr (kRows == Rows::about_mean) {
            load_floats(work.mean() + channel, middle);
        }
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const float value = row_value<kBf16, kRows>(x[i], middle[i]);
            const float base = i % 2 == 0 ? bf16_low(words[i / 2]) : bf16_high(words[i / 2]);
            residual[v + i] = has_basis    ? __fsub_rn(value, explained[i])
                              : four_level ? __fsub_rn(value, base)
                                           : rounded_bf16(__fsub_rn(rounded_bf16(value), base));
        }
    }
    std::uint16_t codes[kValues / 8] = {};
    const int byte = four_level ? four_level_codes<kLanes>(residual, codes) : ternary_codes<kLanes>(residual, codes);
    if (!kept) {
        return;
    }
    if (lane == 0) {
        page[layout.scale_row(head, token) + block] = static_cast<std::uint8_t>(byte);
    }
    std::uint8_t* out = page + layout.code_row(head, token) + block * kBlock / 4;
#pragma unroll
    for (int v = 0; v < kValues; v += 8) {
        *reinterpret_cast<std::uint16_t*>(out + (v * kLanes + 8 * lane) / 4) = codes[v / 8];
    }
}

} // namespace
} // namespace wander::quant::cuda
