#pragma once
// Opens the CUDA part of torch for a test that does not go through the program's own device code.

#include <ATen/Context.h>

#include <dlfcn.h>

namespace wander::test {

inline bool open_cuda() {
    static const bool opened = [] {
        if (!dlopen(WANDER_TORCH_LIB_DIR "/libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
            return false;
        }
        return at::globalContext().hasCUDA();
    }();
    return opened;
}

} // namespace wander::test
