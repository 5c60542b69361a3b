#pragma once
// Hopper's matrix products of a warpgroup (wgmma), as attention needs them. Device code for sm_90a alone. Facts: PTX
// ISA 8.x, "Asynchronous warpgroup level matrix multiply-accumulate".
//
// Accumulators: thread t of the warpgroup holds of each eight columns the columns 2 (t % 4) and the one behind it, of
// rows t / 32 * 16 + t % 32 / 4 (first two values) and eight rows below (last two).

#include <cstdint>

namespace wander::quant::cuda::hopper {

// Placeholders %t0 to %t9 of an assembly text, and eight accumulators.
#define WANDER_TEN(t) \
    "%" #t "0, %" #t "1, %" #t "2, %" #t "3, %" #t "4, %" #t "5, %" #t "6, %" #t "7, %" #t "8, %" #t "9, "
#define WANDER_EIGHT(d, i)                                                                                      \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
        "+f"(d[i + 7])

__device__ inline void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// All but the newest kPending groups are done.
template <int kPending>
__device__ inline void products_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// Keeps the compiler from moving what it does with these registers across this line.
template <int kCount>
__device__ inline void pin(float (&values)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
        asm volatile("" : "+f"(values[i])::"memory");
    }
}

// Describes a matrix in shared memory whose rows of 128 bytes are swizzled by 128 bytes (eight rows are 1,024 bytes):
// the low half of its descriptor, which alone differs; the products know the upper half. leading: bytes between blocks
// of 64 columns where columns are contiguous, else unused. What lies n bytes further is described by further().
__device__ inline std::uint32_t describe(std::uint32_t address, unsigned leading) {
    return ((address & 0x3FFFFU) >> 4U) | (leading >> 4U << 16U);
}
// Of a matrix without blocks.
__device__ inline std::uint32_t address_of(std::uint32_t matrix) { return matrix << 4U; }
__device__ inline std::uint32_t further(std::uint32_t matrix, unsigned bytes) { return matrix + (bytes >> 4U); }
#define WANDER_MATRIX(name, low) ".reg .b64 " #name ";\nmov.b64 " #name ", {" low ", 0x40000040};\n"

// d[64 x kColumns] (+)= a b, bf16, a and b from shared memory with contiguous depth (16 of it). add: 0 overwrites.
template <int kColumns>
__device__ void scores_bf16(float (&d)[kColumns / 2], std::uint32_t a, std::uint32_t b, int add);

template <>
__device__ inline void scores_bf16<176>(float (&d)[88], std::uint32_t a, std::uint32_t b, int add) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %90, 0;\n" WANDER_MATRIX(a, "%88") WANDER_MATRIX(b, "%89")
        "wgmma.mma_async.sync.aligned.m64n176k16.f32.bf16.bf16 {" WANDER_TEN() WANDER_TEN(1) WANDER_TEN(2) WANDER_TEN(3) WANDER_TEN(4) WANDER_TEN(5) WANDER_TEN(6) WANDER_TEN(7) "%80, %81, %82, %83, %84, %85, %86, %87" "}, a, b, p, 1, 1, 0, 0;\n}\n"
        : WANDER_EIGHT(d, 0), WANDER_EIGHT(d, 8), WANDER_EIGHT(d, 16), WANDER_EIGHT(d, 24), WANDER_EIGHT(d, 32), WANDER_EIGHT(d, 40), WANDER_EIGHT(d, 48), WANDER_EIGHT(d, 56), WANDER_EIGHT(d, 64), WANDER_EIGHT(d, 72), WANDER_EIGHT(d, 80)
        : "r"(a), "r"(b), "r"(add));
}

// d[64 x 128] (+)= p b: p 64 x 16 in registers (two bf16 each, laid out as accumulators are), b with contiguous
// columns.
__device__ inline void values_bf16(float (&d)[64], std::uint32_t p0, std::uint32_t p1, std::uint32_t p2,
                                   std::uint32_t p3, std::uint32_t b, int add) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n" WANDER_MATRIX(b, "%68")
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WANDER_TEN() WANDER_TEN(1) WANDER_TEN(2) WANDER_TEN(3) WANDER_TEN(4) WANDER_TEN(5) "%60, %61, %62, %63" "}, {%64, %65, %66, %67}, b, p, 1, 1, 1;\n}\n"
        : WANDER_EIGHT(d, 0), WANDER_EIGHT(d, 8), WANDER_EIGHT(d, 16), WANDER_EIGHT(d, 24), WANDER_EIGHT(d, 32), WANDER_EIGHT(d, 40), WANDER_EIGHT(d, 48), WANDER_EIGHT(d, 56)
        : "r"(p0), "r"(p1), "r"(p2), "r"(p3), "r"(b), "r"(add));
}

// The same in E4M3, 32 of the depth: a and b from shared memory with contiguous depth.
__device__ inline void scores_e4m3(float (&d)[64], std::uint32_t a, std::uint32_t b, int add) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n" WANDER_MATRIX(a, "%64") WANDER_MATRIX(b, "%65")
        "wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 {" WANDER_TEN() WANDER_TEN(1) WANDER_TEN(2) WANDER_TEN(3) WANDER_TEN(4) WANDER_TEN(5) "%60, %61, %62, %63" "}, a, b, p, 1, 1;\n}\n"
        : WANDER_EIGHT(d, 0), WANDER_EIGHT(d, 8), WANDER_EIGHT(d, 16), WANDER_EIGHT(d, 24), WANDER_EIGHT(d, 32), WANDER_EIGHT(d, 40), WANDER_EIGHT(d, 48), WANDER_EIGHT(d, 56)
        : "r"(a), "r"(b), "r"(add));
}

// d[64 x 136] (+)= p b: p 64 x 32 in registers, four values each: those of rows r and r + 8, depth 4 (t % 4) and the
// three behind it, then the same 16 further. b: contiguous depth.
__device__ inline void values_e4m3(float (&d)[68], std::uint32_t p0, std::uint32_t p1, std::uint32_t p2,
                                   std::uint32_t p3, std::uint32_t b, int add) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %73, 0;\n" WANDER_MATRIX(b, "%72")
        "wgmma.mma_async.sync.aligned.m64n136k32.f32.e4m3.e4m3 {" WANDER_TEN() WANDER_TEN(1) WANDER_TEN(2) WANDER_TEN(3) WANDER_TEN(4) WANDER_TEN(5) "%60, %61, %62, %63, %64, %65, %66, %67" "}, {%68, %69, %70, %71}, b, p, 1, 1;\n}\n"
        : WANDER_EIGHT(d, 0), WANDER_EIGHT(d, 8), WANDER_EIGHT(d, 16), WANDER_EIGHT(d, 24), WANDER_EIGHT(d, 32), WANDER_EIGHT(d, 40), WANDER_EIGHT(d, 48), WANDER_EIGHT(d, 56), "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67])
        : "r"(p0), "r"(p1), "r"(p2), "r"(p3), "r"(b), "r"(add));
}

} // namespace wander::quant::cuda::hopper
