#include "generator/device_cuda.hpp"

#if WANDER_CUDA
#include "generator/errors.hpp"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAAllocatorConfig.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#endif

namespace wander {

#if WANDER_CUDA

namespace {

// The folder that libtorch_cpu was loaded from: libtorch_cuda of the same package lies beside it.
std::filesystem::path torch_folder() {
    Dl_info info{};
    if (!dladdr(reinterpret_cast<const void*>(&at::globalContext), &info) || !info.dli_fname) return {};
    return std::filesystem::path(info.dli_fname).parent_path();
}

Error unavailable(std::string message) { return {ErrorCode::unavailable, std::move(message)}; }

// torch's allocator leaves the end of a block unused where it is under 1 MiB: 0.3 MiB behind every raw page of the 1.3B
// configuration, 278 MiB for a full BF16 cache, in no ledger. In expandable segments it splits blocks to 512 bytes.
// Who sets the allocator up by its environment variables has the last word.
void use_expandable_segments() {
    if (std::getenv("PYTORCH_ALLOC_CONF") || std::getenv("PYTORCH_CUDA_ALLOC_CONF")) return;
    c10::CachingAllocator::setAllocatorSettings("expandable_segments:True");
}

Result<CudaDevice> try_open() {
    if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL)) return unavailable("no NVIDIA driver is installed here");
    const auto library = torch_folder() / "libtorch_cuda.so";
    if (!dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
        const char* why = dlerror();
        return unavailable(fmt::format("{} cannot be loaded ({})", library.string(), why ? why : "no reason given"));
    }
    int count = 0;
    if (const auto status = cudaGetDeviceCount(&count); status != cudaSuccess) {
        return unavailable(fmt::format("the NVIDIA driver answers: {}", cudaGetErrorString(status)));
    }
    if (count == 0) return unavailable("there is no CUDA device");
    if (!at::Context::hasCUDA()) return unavailable(fmt::format("{} brings no CUDA", library.string()));
    cudaDeviceProp properties{};
    if (const auto status = cudaGetDeviceProperties(&properties, 0); status != cudaSuccess) {
        return unavailable(fmt::format("the NVIDIA driver answers: {}", cudaGetErrorString(status)));
    }
    CudaDevice device;
    device.name = properties.name;
    std::memcpy(device.uuid.data(), &properties.uuid, device.uuid.size());
    try {
        use_expandable_segments();
        at::globalContext().lazyInitDevice(at::kCUDA);
        at::empty({1}, at::TensorOptions(at::kCUDA)); // the first allocation sets up the context, or says why not
    } catch (...) {
        return current_exception_as_error("setting up CUDA");
    }
    return device;
}

} // namespace

Result<CudaDevice> open_cuda() {
    static const Result<CudaDevice> opened = try_open();
    return opened;
}

int cuda_device_count() {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

std::int64_t cuda_peak_bytes(int index) {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(index));
    return stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
}

DeviceMemory cuda_memory(int index) {
    std::size_t free = 0;
    std::size_t total = 0;
    // The caller's device stays current.
    int before = 0;
    if (cudaGetDevice(&before) != cudaSuccess || cudaSetDevice(index) != cudaSuccess) return {};
    const bool known = cudaMemGetInfo(&free, &total) == cudaSuccess;
    if (cudaSetDevice(before) != cudaSuccess || !known) return {};
    return {static_cast<std::int64_t>(total - free), static_cast<std::int64_t>(total)};
}

#else

DeviceMemory cuda_memory(int) { return {}; }

Result<CudaDevice> open_cuda() {
    return Error{ErrorCode::unavailable, "this program was built without CUDA (no nvcc was found)"};
}

int cuda_device_count() { return 0; }

std::int64_t cuda_peak_bytes(int) { return 0; }

#endif

} // namespace wander
