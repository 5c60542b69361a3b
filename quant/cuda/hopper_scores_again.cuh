#pragma once
// Scores of one warp once more, by products that need no whole warpgroup (mma), for where they are gone and only some
// warps want them back. Eight keys at a time, since there are no registers for more. Device code. Facts: PTX ISA 8.x,
// "Matrix fragments for mma.m16n8k32", and "Swizzling modes": of rows of 128 bytes, sixteens change places by the row's
// number in its eight.

#include <cstdint>

namespace wander::quant::cuda::hopper {

// Four values of a row of a tile in shared memory, from the byte `at` on.
__device__ inline std::uint32_t four_of_tile(std::uint32_t tile, int row, int at) {
    const unsigned sixteen = static_cast<unsigned>(at / 16) ^ static_cast<unsigned>(row % 8);
    const std::uint32_t address =
        tile + static_cast<unsigned>(row) * 128 + sixteen * 16 + static_cast<unsigned>(at % 16);
    std::uint32_t four;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(four) : "r"(address));
    return four;
}

// d = q k in E4M3 of the warp's 16 rows and eight keys from `first` on, laid out as hopper_mma.cuh has accumulators.
// queries, keys: shared addresses of rows of 128 values; thread: of the warpgroup.
__device__ inline void scores_again(float (&d)[4], std::uint32_t queries, std::uint32_t keys, int first, int thread) {
    const int row = thread / 32 * 16 + thread % 32 / 4, key = first + thread % 32 / 4;
    d[0] = d[1] = d[2] = d[3] = 0;
#pragma unroll 1
    for (int at = thread % 4 * 4; at < 128; at += 32) {
        const std::uint32_t q[4] = {four_of_tile(queries, row, at), four_of_tile(queries, row + 8, at),
                                    four_of_tile(queries, row, at + 16), four_of_tile(queries, row + 8, at + 16)};
        const std::uint32_t k[2] = {four_of_tile(keys, key, at), four_of_tile(keys, key, at + 16)};
        asm volatile(
            "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
            "{%0, %1, %2, %3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(q[0]), "r"(q[1]), "r"(q[2]), "r"(q[3]), "r"(k[0]), "r"(k[1]));
    }
}

} // namespace wander::quant::cuda::hopper
