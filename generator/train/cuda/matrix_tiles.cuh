#pragma once
// Tiles of 64 bf16 channels a row in shared memory and the 16 x 8 x 16 matrix instruction. Include from .cu only.
//
// A row is eight chunks of 16 bytes; chunk c of row r lies at place c ^ (r % 8), so that eight rows of one column of
// chunks touch all banks once. Fragments are the instruction's own: lane l holds rows l / 4 (and + 8), columns 2 (l %
// 4), + 1. GPUs before compute capability 8.0 have neither the copies nor the instruction: kernels of these tiles
// compile for them without (WANDER_HAS_TILES) and must not be launched there.

#include <cuda_bf16.h>

#include <cstdint>

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define WANDER_HAS_TILES 1
#else
#define WANDER_HAS_TILES 0
#endif

namespace wander::train::cuda {

inline constexpr int kRowBytes = 128;

__device__ inline std::uint32_t shared_address(const void* pointer) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ inline std::uint32_t chunk_address(std::uint32_t tile, int row, int chunk) {
    return tile + static_cast<std::uint32_t>(row * kRowBytes + ((chunk ^ (row & 7)) << 4));
}

// 16 bytes to shared memory in the background; zeros where not `inside`.
__device__ inline void copy_chunk(std::uint32_t target, const void* source, bool inside) {
#if WANDER_HAS_TILES
    const int bytes = inside ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source), "r"(bytes) : "memory");
#endif
}
__device__ inline void copy_word(std::uint32_t target, const void* source) {
#if WANDER_HAS_TILES
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(target), "l"(source) : "memory");
#endif
}
__device__ inline void end_copies() {
#if WANDER_HAS_TILES
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Until at most kOpen of the groups ended are still on their way.
template <int kOpen>
__device__ void wait_for_copies() {
#if WANDER_HAS_TILES
    asm volatile("cp.async.wait_group %0;" ::"n"(kOpen) : "memory");
#endif
}

__device__ inline void load_matrices(std::uint32_t (&out)[4], std::uint32_t address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}
__device__ inline void load_transposed(std::uint32_t (&out)[4], std::uint32_t address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}

// Left operand: rows row .. row + 15, channels 16 step .. + 15.
__device__ inline void load_left(std::uint32_t (&out)[4], std::uint32_t tile, int row, int step) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    load_matrices(out, chunk_address(tile, row + lane % 16, step * 2 + lane / 16));
}
// Right operand, transposed: columns of the product are rows row .. + 15 of the tile, the sum runs over channels 16
// step
// .. + 15. out[0], out[1]: the first eight columns; out[2], out[3]: the others.
__device__ inline void load_right_rows(std::uint32_t (&out)[4], std::uint32_t tile, int row, int step) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    load_matrices(out, chunk_address(tile, row + lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2));
}
// Right operand: the sum runs over rows row .. + 15 of the tile, columns of the product are channels 16 pair .. + 15.
__device__ inline void load_right(std::uint32_t (&out)[4], std::uint32_t tile, int row, int pair) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    load_transposed(out, chunk_address(tile, row + lane % 16, pair * 2 + lane / 16));
}

__device__ inline void multiply_add(float (&sum)[4], const std::uint32_t (&left)[4], std::uint32_t right0,
                                    std::uint32_t right1) {
#if WANDER_HAS_TILES
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right0), "r"(right1));
#endif
}

__device__ inline std::uint32_t pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
}
__device__ inline float2 unpack(std::uint32_t pair) {
    return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000U)};
}
// Two neighbouring 16 x 8 products as the left operand of the next one.
__device__ inline void as_left(std::uint32_t (&out)[4], const float (&first)[4], const float (&second)[4]) {
    out[0] = pack(first[0], first[1]);
    out[1] = pack(first[2], first[3]);
    out[2] = pack(second[0], second[1]);
    out[3] = pack(second[2], second[3]);
}

// Sum or largest value over the four lanes that share a row.
__device__ inline float quad_sum(float value) {
    value += __shfl_xor_sync(0xffffffffU, value, 1);
    return value + __shfl_xor_sync(0xffffffffU, value, 2);
}
__device__ inline float quad_max(float value) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, 1));
    return fmaxf(value, __shfl_xor_sync(0xffffffffU, value, 2));
}

} // namespace wander::train::cuda
