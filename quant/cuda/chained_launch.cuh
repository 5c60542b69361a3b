#pragma once
// Kernels of one stream that follow each other closely: the next one's thread blocks take their places while the last
// blocks of the one before are still at work, and wait there ("programmatic dependent launch", kernels compiled for
// compute capability 9.0 or later; others are launched as ever). Facts: CUDA programming guide of that name; PTX ISA,
// "griddepcontrol".
//
// Every thread of a kernel that is launched so calls wait_for_earlier() before it reads or writes what others may use.
// Then whatever runs behind it finds all earlier work of the stream done, as always.

#include "quant/cuda/expand.hpp"

#include <cuda_runtime_api.h>

#include <map>
#include <utility>

namespace wander::quant::cuda {

// Until the kernel before this one is done and what it wrote can be seen.
__device__ inline void wait_for_earlier() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The next kernel's blocks may take what room there is once all blocks of this one began.
__device__ inline void let_next_begin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Whether the kernel as it is loaded here has the two instructions. Asked of its code, not of the GPU: a newer GPU may
// run what was compiled for 8.0, which would not wait. Remembered, since every launch asks.
inline bool chains_launches(const void* kernel) {
    int device = 0;
    if (cudaGetDevice(&device) != cudaSuccess) {
        return false;
    }
    thread_local std::map<std::pair<const void*, int>, bool> known;
    const auto [found, is_new] = known.try_emplace({kernel, device}, false);
    if (is_new) {
        cudaFuncAttributes attributes{};
        found->second = cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess && attributes.ptxVersion >= 90;
    }
    return found->second;
}

// cluster: thread blocks that run at the same time and reach each other's shared memory; divides `blocks`. 1: none.
template <class... Parameters, class... Arguments>
cudaError_t launch_clusters(int cluster, void (*kernel)(Parameters...), dim3 blocks, dim3 threads,
                            unsigned shared_bytes, Stream stream, Arguments&&... arguments) {
    cudaLaunchAttribute attributes[2] = {};
    unsigned count = 0;
    if (chains_launches(reinterpret_cast<const void*>(kernel))) {
        attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attributes[count++].val.programmaticStreamSerializationAllowed = 1;
    }
    if (cluster > 1) {
        attributes[count].id = cudaLaunchAttributeClusterDimension;
        attributes[count++].val.clusterDim = {static_cast<unsigned>(cluster), 1, 1};
    }
    cudaLaunchConfig_t config{};
    config.gridDim = blocks;
    config.blockDim = threads;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    config.attrs = attributes;
    config.numAttrs = count;
    return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

template <class... Parameters, class... Arguments>
cudaError_t launch_chained(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, unsigned shared_bytes,
                           Stream stream, Arguments&&... arguments) {
    return launch_clusters(1, kernel, blocks, threads, shared_bytes, stream, std::forward<Arguments>(arguments)...);
}

} // namespace wander::quant::cuda
