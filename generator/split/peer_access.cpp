#include "generator/split/peer_access.hpp"

#if WANDER_CUDA
#include "generator/errors.hpp"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#endif

#include <algorithm>

namespace wander {

namespace {

#if WANDER_CUDA
Result<void> let_read(at::Device reader, at::Device owner) {
    int can = 0;
    const cudaError_t status = cudaDeviceCanAccessPeer(&can, reader.index(), owner.index());
    if (status != cudaSuccess || can == 0) {
        return Error{ErrorCode::unavailable,
                     fmt::format("GPU {} cannot read GPU {}'s memory ({}), which several GPUs need; use --gpus 1",
                                 reader.index(), owner.index(),
                                 status == cudaSuccess ? "they are not linked" : cudaGetErrorString(status))};
    }
    try {
        // torch's allocator must know as well: it maps its memory for all who may read it.
        c10::cuda::CUDACachingAllocator::enablePeerAccess(reader.index(), owner.index());
    } catch (...) {
        return current_exception_as_error("letting GPUs read each other's memory");
    }
    return {};
}
#endif

} // namespace

Result<void> let_read_each_other(const std::vector<at::Device>& devices) {
    if (std::ranges::all_of(devices, [](at::Device device) { return device.is_cpu(); })) return {};
    for (std::size_t i = 0; i < devices.size(); ++i) {
        if (!devices[i].is_cuda() || !devices[i].has_index() ||
            std::find(devices.begin(), devices.begin() + static_cast<std::ptrdiff_t>(i), devices[i]) !=
                devices.begin() + static_cast<std::ptrdiff_t>(i)) {
            return Error{ErrorCode::wrong_use, "a network is split over different GPUs, or over threads of the CPU"};
        }
    }
#if WANDER_CUDA
    for (const at::Device device : devices) {
        try {
            at::empty({1}, at::TensorOptions(device)); // sets up its context, or says why not
        } catch (...) {
            return current_exception_as_error("setting up a GPU");
        }
    }
    for (const at::Device reader : devices) {
        for (const at::Device owner : devices) {
            if (reader == owner) continue;
            if (auto done = let_read(reader, owner); !done) return done;
        }
    }
    return {};
#else
    return Error{ErrorCode::unavailable, "this program was built without CUDA (no nvcc was found)"};
#endif
}

} // namespace wander
