#pragma once
// Tiles of tokens in shared memory as the tensor cores take them: coarse rows, and digits with tokens along the row.
// For heads of up to kTileDim channels.

#include "quant/cuda/qvg_work.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kTileDim = 128;
constexpr int kTileThreads = 256;
constexpr int kTileTokens = 128;
constexpr int kThreadTokens = 16; // a warp has these, each thread four channels of them
static_assert(kTileThreads / 32 * kThreadTokens == kTileTokens);

// Words from one channel to the next: 16 bytes of eight neighbours lie in different banks.
constexpr int kTurnedStride = kTileTokens / 4 + 4;
constexpr int kTurnedWords = kTileDim * kTurnedStride;

// Where a channel's sums lie: channel 4 f + i at [i][f], so that threads that have four channels each meet different
// banks.
__device__ int place_of(int channel, int dim) { return channel % 4 * (dim / 4) + channel / 4; }

// A thread's part of a tile, on its way from memory.
template <bool kBf16, Rows kRows>
class TileRows {
public:
    // Of tokens first.. + kThreadTokens; what lies behind `end` counts as nothing.
    __device__ void fetch(const Work<kBf16, kRows>& work, int first, int end, int channel) {
        if constexpr (kBf16) {
#pragma unroll
            for (int n = 0; n < kThreadTokens; ++n) {
                raw_[n] = {0, 0};
            }
            const std::uint8_t* row = source_at(work, min(first, end - 1), channel);
            const std::int64_t row_bytes = static_cast<std::int64_t>(work.layout().heads) * work.layout().head_dim * 2;
            if (first + kThreadTokens <= end) { // as almost everywhere; no tests between the loads
#pragma unroll
                for (int n = 0; n < kThreadTokens; ++n) {
                    raw_[n] = *reinterpret_cast<const uint2*>(row + n * row_bytes);
                }
                return;
            }
#pragma unroll
            for (int n = 0; n < kThreadTokens; ++n) {
                if (first + n < end) {
                    raw_[n] = *reinterpret_cast<const uint2*>(row + n * row_bytes);
                }
            }
        }
    }

    // Digits of the points: the coarse rows, four channels a word, and turned: four tokens a word, upper digits and
    // lower ones (signed bytes; 256 upper + lower are the steps). rows, low: null where they are not wanted.
    template <bool kLow>
    __device__ void put(const Work<kBf16, kRows>& work, int first, int end, int channel, const float* mean,
                        float inverse, int row_stride, std::uint8_t* rows, unsigned* high, unsigned* low) const {
        if (first + kThreadTokens <= end) {
            put_rows<kLow, true>(work, first, end, channel, mean, inverse, row_stride, rows, high, low);
        } else {
            put_rows<kLow, false>(work, first, end, channel, mean, inverse, row_stride, rows, high, low);
        }
    }

private:
    template <bool kLow, bool kWhole>
    __device__ void put_rows(const Work<kBf16, kRows>& work, int first, int end, int channel, const float* mean,
                             float inverse, int row_stride, std::uint8_t* rows, unsigned* high, unsigned* low) const {
        constexpr float kRounder = qvg::kRounder + 128.0F; // steps and half an upper digit
        const int fours = work.layout().head_dim / 4;
        unsigned upper[4][kThreadTokens / 4];
        unsigned lower[4][kThreadTokens / 4];
#pragma unroll
        for (int four = 0; four < kThreadTokens / 4; ++four) {
            unsigned steps[4][4]; // [token][channel]
#pragma unroll
            for (int n = 0; n < 4; ++n) {
                const int token = first + 4 * four + n;
                float x[4];
                if constexpr (kBf16) {
                    const uint2 raw = raw_[4 * four + n];
                    x[0] = bf16_low(raw.x), x[1] = bf16_high(raw.x), x[2] = bf16_low(raw.y), x[3] = bf16_high(raw.y);
                } else {
                    load_source(work, min(token, end - 1), channel, x);
                }
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                    const float point = point_value<kBf16, kRows>(x[c], mean[c]);
                    steps[n][c] = kWhole || token < end ? whole_steps(point, inverse, kRounder) : 128U;
                }
                if (rows) {
                    const unsigned word = __byte_perm(__byte_perm(steps[n][0], steps[n][1], 0x0051),
                                                      __byte_perm(steps[n][2], steps[n][3], 0x0051), 0x5410);
                    *reinterpret_cast<unsigned*>(rows + (4 * four + n) * row_stride) = word;
                }
            }
#pragma unroll
            for (int c = 0; c < 4; ++c) {
                const unsigned first_two = __byte_perm(steps[0][c], steps[1][c], 0x4051); // lower 0, upper 0 and 1
                const unsigned last_two = __byte_perm(steps[2][c], steps[3][c], 0x4051);
                upper[c][four] = __byte_perm(first_two, last_two, 0x5410);
                if constexpr (kLow) {
                    const unsigned low_two = __byte_perm(steps[0][c], steps[1][c], 0x0040);
                    const unsigned low_last = __byte_perm(steps[2][c], steps[3][c], 0x0040);
                    lower[c][four] = __byte_perm(low_two, low_last, 0x5410) ^ 0x80808080U;
                }
            }
        }
        const int word = first_word();
#pragma unroll
        for (int c = 0; c < 4; ++c) {
            const int at = (c * fours + channel / 4) * kTurnedStride + word;
            *reinterpret_cast<uint4*>(high + at) = {upper[c][0], upper[c][1], upper[c][2], upper[c][3]};
            if constexpr (kLow) {
                *reinterpret_cast<uint4*>(low + at) = {lower[c][0], lower[c][1], lower[c][2], lower[c][3]};
            }
        }
    }

    __device__ static int first_word() { return static_cast<int>(threadIdx.x) / 32 * (kThreadTokens / 4); }

    uint2 raw_[kBf16 ? kThreadTokens : 1];
};

} // namespace
} // namespace wander::quant::cuda
