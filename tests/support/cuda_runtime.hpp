#pragma once
// Opens the CUDA part of torch for a test that does not go through the program's own device code.

#include <ATen/Context.h>

#include <cuda_runtime_api.h>
#include <dlfcn.h>

namespace wander::test {

inline bool open_cuda() {
    static const bool opened = [] {
        // On another machine than it was built on, where the loader finds torch.
        if (!dlopen(WANDER_TORCH_LIB_DIR "/libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) &&
            !dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
            return false;
        }
        return at::globalContext().hasCUDA();
    }();
    return opened;
}

// Is the first GPU of compute capability 9.0? Then what is made for it must work, and a test of it must not be skipped.
inline bool is_hopper() {
    int major = 0;
    int minor = 0;
    return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) == cudaSuccess &&
           cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0) == cudaSuccess && major == 9 &&
           minor == 0;
}

} // namespace wander::test
