#pragma once
// The kernel that expands most packed pages: 2-bit pages of one or four stages, heads of 128 channels, one branch; and
// plain bfloat16 rows among them. Same values, bit for bit, as PackedRows in qvg_expand.cu, with all that is known
// beforehand worked out beforehand. Include from qvg_expand.cu only.
//
// Sixteen lanes hold a row, eight channels each. A thread reads the same place of kRows consecutive latents, of
// `heads_each` heads one after the other, so that the angles of a place are read once.

#include "quant/cuda/chained_launch.cuh"
#include "quant/cuda/expand_rows.cuh"
#include "quant/formats/qvg_page_layout.hpp"

#include <cstdint>

namespace wander::quant::cuda {

inline constexpr int kFastHeadDim = 128;
inline constexpr int kFastLanes = kFastHeadDim / 8;
inline constexpr int kFastPlaces = kExpandThreads / kFastLanes; // of a thread block

// Bytes from the page's first; 32 bits reach over any page.
struct FastPages {
    std::uint32_t codes = 0, scales = 0, ids = 0, centroids = 0; // where the planes begin
    std::uint32_t tokens = 0;
    std::uint32_t id_bits = 0;
    std::uint32_t id_head_bytes = 0;
    std::uint32_t centroid_head_bytes = 0;
    std::uint32_t id_stage_bytes = 0;
    std::uint32_t centroid_stage_bytes = 0;
    std::uint32_t row_scales = 0;  // of one row
    std::uint32_t scale_lanes = 0; // that share a scale: a power of two, this is its logarithm
    float zero = 0;                // 1 + a quarter of the code that stands for zero
};

inline bool fast_pages(const ExpandJob& job, const QvgPageLayout& layout) {
    const bool turns_in_twos = !job.rotary || (job.tables && job.tables->time_pairs % 2 == 0);
    return layout.head_dim == kFastHeadDim && (layout.stages == 1 || layout.stages == 4) &&
           layout.book_centroids == 0 && layout.rank == 0 && !job.matrices && job.out_columns == 0 && turns_in_twos;
}

// (x & mask) | bits in one instruction: the compiler makes two of it where both are constants.
__device__ inline std::uint32_t and_or(std::uint32_t x, std::uint32_t mask, std::uint32_t bits) {
    std::uint32_t y;
    asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(y) : "r"(x), "r"(mask), "r"(bits));
    return y;
}

// Eight bfloat16.
__device__ inline void as_floats(const uint4& packed, float (&out)[8]) {
    const std::uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
    for (int c = 0; c < 8; ++c) {
        out[c] = __uint_as_float(c % 2 == 0 ? words[c / 2] << 16U : words[c / 2] & 0xFFFF0000U);
    }
}

// The id of a token; `ids`: of its head.
__device__ inline std::uint32_t fast_id(const std::uint8_t* ids, std::uint32_t token, std::uint32_t bits) {
    const std::uint32_t bit = token * bits;
    const std::uint8_t* const at = ids + (bit >> 3U);
    const std::uint32_t pair = at[0] | static_cast<std::uint32_t>(at[1]) << 8U;
    return (pair >> (bit & 7U)) & ((1U << bits) - 1U);
}

// Four times a scale, which is never negative.
__device__ inline float four_e4m3_scales(std::uint8_t byte) {
    return 4 * __half2float(__half(__nv_cvt_fp8_to_halfraw(byte, __NV_E4M3)));
}

// What a thread reads of one row before it can decode it.
struct FastRow {
    std::uint32_t mantissas; // codes, the first in the two highest bits of a mantissa
    float quarter;
    uint4 base; // centroid; of a plain row what it holds
};

__device__ inline void decode_fast(const FastRow& row, float zero, float (&out)[8]) {
    std::uint32_t mask = 0x600000U, one = 0x3F800000U;
    asm("" : "+r"(mask), "+r"(one)); // registers, for and_or()
    float base[8];
    as_floats(row.base, base);
#pragma unroll
    for (int c = 0; c < 8; ++c) {
        // 1 + code / 4. Products are exact, so that one rounding of product and sum is the sum's alone.
        const float code = __uint_as_float(and_or(row.mantissas << (2 * c), mask, one));
        out[c] = fmaf(code - zero, row.quarter, base[c]);
    }
}

// The centroids of the stages behind the first.
template <int kStages>
__device__ inline void add_stages(const std::uint8_t* page, const FastPages& pages, std::uint32_t head,
                                  std::uint32_t lane, std::uint32_t token, float (&value)[8]) {
    uint4 more[kStages - 1];
#pragma unroll
    for (std::uint32_t stage = 1; stage < kStages; ++stage) {
        const std::uint8_t* const ids = page + pages.ids + stage * pages.id_stage_bytes + head * pages.id_head_bytes;
        const std::uint32_t id = fast_id(ids, token, pages.id_bits);
        more[stage - 1] =
            *reinterpret_cast<const uint4*>(page + pages.centroids + stage * pages.centroid_stage_bytes +
                                            head * pages.centroid_head_bytes + id * (kFastHeadDim * 2) + lane * 16);
    }
#pragma unroll
    for (int stage = 1; stage < kStages; ++stage) {
        float centroid[8];
        as_floats(more[stage - 1], centroid);
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            value[c] = __fadd_rn(value[c], centroid[c]);
        }
    }
}

// store_eight() to global memory, in one piece whatever the compiler makes of it.
__device__ inline void store_16_bytes(void* to, const uint4& x) {
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w)
                 : "memory");
}
__device__ inline void store_whole(float* to, const Eight& value, float) { store_eight(to, value); }
__device__ inline void store_whole(__nv_bfloat16* to, const Eight& value, float) {
    alignas(16) __nv_bfloat16 narrow[8];
    store_eight(narrow, value);
    store_16_bytes(to, *reinterpret_cast<const uint4*>(narrow));
}
__device__ inline void store_whole(__nv_fp8_e4m3* to, const Eight& value, float scale) {
    store_eight(to, value, scale);
}

template <class T, int kRows, int kStages>
__global__ void __launch_bounds__(kExpandThreads, kRows == 3 && kStages == 1 ? 3 : 2)
    expand_fast_pages(const __grid_constant__ ExpandJob job, FastPages pages, DeviceTables tables, int heads_each) {
    wait_for_earlier();
    let_next_begin();
    const ExpandRun& run = job.runs[blockIdx.z];
    const int per_latent = tables.tokens_per_latent;
    const bool in_latents = job.tables && run.rows > per_latent;
    const int stride = in_latents ? per_latent : (run.rows + kRows - 1) / kRows;
    const int place = static_cast<int>(blockIdx.x) * kFastPlaces + static_cast<int>(threadIdx.x / kFastLanes);
    if (place >= stride) {
        return;
    }
    const auto lane = threadIdx.x % kFastLanes;
    const auto* const page = static_cast<const std::uint8_t*>(run.source);
    const auto plain_row = static_cast<std::uint32_t>(run.source_row > 0   ? run.source_row
                                                      : job.source_row > 0 ? job.source_row
                                                                           : job.heads * kFastHeadDim);
    const Target<T> target(job, blockIdx.z);
    const int first_head = static_cast<int>(blockIdx.y) * heads_each;
    const int end_head = first_head + heads_each < job.head_count ? first_head + heads_each : job.head_count;
    const auto out_row = static_cast<std::uint32_t>(job.out_row_stride > 0 ? static_cast<int>(job.out_row_stride)
                                                                           : job.head_count * kFastHeadDim);
    // Of the two pairs at half * 2: the table they are in, and how far apart latents are in it.
    const float4* table[2];
    int pair[2], apart[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        pair[half] = static_cast<int>(lane) * 4 + half * 2;
        const bool in_time = pair[half] < tables.time_pairs;
        table[half] = reinterpret_cast<const float4*>(in_time ? tables.time : tables.space);
        apart[half] = in_time ? kFastHeadDim / 4 : 0;
    }
    for (int first = place; first < run.rows; first += kRows * stride) {
        float4 turn[kRows][2] = {};  // cosine and sine of two pairs each
        std::uint32_t tokens[kRows]; // stored rows
#pragma unroll
        for (int r = 0; r < kRows; ++r) { // behind the last row: the first
            const int row = r > 0 && first + r * stride < run.rows ? first + r * stride : first;
            tokens[r] = static_cast<std::uint32_t>(run.first_row + row);
        }
        if (target.rotary) {
            const int token = run.first_token + first;
            const int latent = token / per_latent;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int at = apart[half] > 0 ? run.table_latent + latent : token - latent * per_latent;
                int index = at * (kFastHeadDim / 4) + pair[half] / 2;
#pragma unroll
                for (int r = 0; r < kRows; ++r) {
                    if (in_latents) {
                        index += r > 0 && first + r * stride < run.rows ? apart[half] : 0;
                    } else if (r > 0) {
                        const int other = run.first_token + min(first + r * stride, run.rows - 1);
                        const int its_latent = other / per_latent;
                        index = (apart[half] > 0 ? run.table_latent + its_latent : other - its_latent * per_latent) *
                                    (kFastHeadDim / 4) +
                                pair[half] / 2;
                    }
                    turn[r][half] = table[half][index];
                }
            }
        }
        T* to =
            target.out + static_cast<std::uint32_t>(run.out_row + first) * static_cast<long long>(out_row) + lane * 8;
        std::uint32_t step = static_cast<std::uint32_t>(stride) * out_row;
        asm("" : "+l"(to), "+r"(step)); // made here, not for each head
        for (int h = first_head; h < end_head; ++h) {
            const auto head = static_cast<std::uint32_t>(job.first_head + h);
            FastRow rows[kRows];
            if (run.plain) {
                const auto* const values =
                    static_cast<const __nv_bfloat16*>(run.source) + head * kFastHeadDim + lane * 8;
#pragma unroll
                for (int r = 0; r < kRows; ++r) {
                    rows[r].base = *reinterpret_cast<const uint4*>(values + tokens[r] * plain_row);
                }
            } else {
                const std::uint8_t* const ids = page + pages.ids + head * pages.id_head_bytes;
                const std::uint32_t row = head * pages.tokens;
                const std::uint8_t* const centroids =
                    page + pages.centroids + head * pages.centroid_head_bytes + lane * 16;
                std::uint32_t id[kRows];
#pragma unroll
                for (int r = 0; r < kRows; ++r) {
                    id[r] = fast_id(ids, tokens[r], pages.id_bits);
                }
#pragma unroll
                for (int r = 0; r < kRows; ++r) {
                    const std::uint32_t stored = row + tokens[r];
                    const std::uint32_t codes = *reinterpret_cast<const std::uint16_t*>(
                        page + (pages.codes + stored * (kFastHeadDim / 4) + lane * 2));
                    rows[r].mantissas = __byte_perm(codes, 0, 0x4401) << 7U;
                    rows[r].quarter =
                        four_e4m3_scales(page[pages.scales + stored * pages.row_scales + (lane >> pages.scale_lanes)]);
                }
#pragma unroll
                for (int r = 0; r < kRows; ++r) {
                    rows[r].base = *reinterpret_cast<const uint4*>(centroids + id[r] * (kFastHeadDim * 2));
                }
            }
#pragma unroll
            for (int r = 0; r < kRows; ++r) {
                if (r > 0 && first + r * stride >= run.rows) {
                    continue;
                }
                float value[8];
                if (run.plain) {
                    as_floats(rows[r].base, value);
                } else {
                    decode_fast(rows[r], pages.zero, value);
                    if constexpr (kStages > 1) {
                        add_stages<kStages>(page, pages, head, lane, tokens[r], value);
                    }
                }
                Eight eight;
                if (target.rotary) {
                    const float4 a = turn[r][0], b = turn[r][1];
                    const float2 pairs[4] = {{a.x, a.y}, {a.z, a.w}, {b.x, b.y}, {b.z, b.w}};
#pragma unroll
                    for (int p = 0; p < 4; ++p) {
                        eight.x[2 * p] = value[2 * p] * pairs[p].x - value[2 * p + 1] * pairs[p].y;
                        eight.x[2 * p + 1] = value[2 * p + 1] * pairs[p].x + value[2 * p] * pairs[p].y;
                    }
                } else {
#pragma unroll
                    for (int c = 0; c < 8; ++c) {
                        eight.x[c] = value[c];
                    }
                }
                store_whole(to + (static_cast<std::uint32_t>(r) * step + h * kFastHeadDim), eight, target.scale);
            }
        }
    }
}

// rows: the most of a run.
template <class T, int kRows, int kStages>
void launch_fast_pages(const ExpandJob& job, const FastPages& pages, const DeviceTables& tables, int rows,
                       Stream stream) {
    constexpr unsigned kEnoughBlocks = 512; // that no multiprocessor waits while others have much left
    const int places =
        job.tables && rows > tables.tokens_per_latent ? tables.tokens_per_latent : (rows + kRows - 1) / kRows;
    const unsigned in_rows = static_cast<unsigned>((places + kFastPlaces - 1) / kFastPlaces);
    int heads_each = kExpandHeads;
    const auto in_heads = [&] { return static_cast<unsigned>((job.head_count + heads_each - 1) / heads_each); };
    while (heads_each > 1 && in_rows * static_cast<unsigned>(job.run_count) * in_heads() < kEnoughBlocks) {
        heads_each /= 2;
    }
    const dim3 blocks(in_rows, in_heads(), static_cast<unsigned>(job.run_count));
    launch_chained(expand_fast_pages<T, kRows, kStages>, blocks, dim3(kExpandThreads), 0, stream, job, pages, tables,
                   heads_each);
}

} // namespace wander::quant::cuda
