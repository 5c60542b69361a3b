#pragma once
// What Hopper's attention kernels wait and copy with: barriers in shared memory, the tensor copy engine, named barriers
// and registers that move between warpgroups. Device code for sm_90a alone. Facts: PTX ISA 8.x, "Asynchronous copy"
// and "mbarrier".

#include <cuda.h>

#include <cstdint>

namespace wander::quant::cuda::hopper {

__device__ inline std::uint32_t shared_address(const void* pointer) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ inline void store_shared(std::uint32_t address, std::uint32_t value) {
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}
// What this thread stored, before others sync with it.
__device__ inline void products_see_stores() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Keeps a value in its register: the compiler would make it anew from special registers in every round of a loop.
__device__ inline unsigned keep(unsigned value) {
    asm volatile("" : "+r"(value));
    return value;
}

// A barrier is the address of eight bytes in shared memory.
__device__ inline void barrier_init(std::uint32_t barrier, unsigned arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals));
}

// Makes fresh barriers visible to the copy engine, also of other blocks of a cluster; all sync behind it.
__device__ inline void barrier_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

__device__ inline void barrier_arrive(std::uint32_t barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// The barrier at the same place in a block of the cluster. Orders nothing for the other block, which would be a fence
// for the whole GPU: whoever arrives so has only read by products that are done.
__device__ inline void barrier_arrive_at(std::uint32_t barrier, unsigned block) {
    asm volatile(
        "{\n"
        ".reg .b32 there;\n"
        "mapa.shared::cluster.u32 there, %0, %1;\n"
        "mbarrier.arrive.shared::cluster.b64 _, [there];\n"
        "}\n" ::"r"(barrier),
        "r"(block)
        : "memory");
}

__device__ inline void barrier_expect(std::uint32_t barrier, unsigned bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

__device__ inline void barrier_wait(std::uint32_t barrier, unsigned phase) {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@done bra finished;\n"
        "bra again;\n"
        "finished:\n"
        "}\n" ::"r"(barrier),
        "r"(phase)
        : "memory");
}

// A box of a tensor [row][head][channel] to shared memory; rows beyond the tensor arrive as zeros and count as bytes.
__device__ inline void copy_box(std::uint32_t target, const CUtensorMap& map, std::uint32_t barrier, int channel,
                                int head, int row) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::
            "r"(target),
        "l"(reinterpret_cast<std::uint64_t>(&map)), "r"(barrier), "r"(channel), "r"(head), "r"(row)
        : "memory");
}

// To the same place in the two blocks of a cluster; counts at each one's barrier.
__device__ inline void copy_box_to_both(std::uint32_t target, const CUtensorMap& map, std::uint32_t barrier,
                                        int channel, int head, int row) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
        "[%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(target),
        "l"(reinterpret_cast<std::uint64_t>(&map)), "r"(barrier), "r"(channel), "r"(head), "r"(row),
        "h"(static_cast<std::uint16_t>(3))
        : "memory");
}

// All threads of a cluster.
__device__ inline void cluster_sync() {
    asm volatile(
        "barrier.cluster.arrive.release;\n"
        "barrier.cluster.wait.acquire;\n" ::
            : "memory");
}

__device__ inline void prefetch_map(const CUtensorMap& map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(reinterpret_cast<std::uint64_t>(&map)) : "memory");
}

__device__ inline void named_sync(int id, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ inline void named_arrive(int id, int threads) {
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

template <int kCount>
__device__ inline void give_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
__device__ inline void take_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}

} // namespace wander::quant::cuda::hopper
