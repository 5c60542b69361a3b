#include "render/cuda_interop.hpp"

#include <string>
#include <utility>

#if WANDER_CUDA
#include <cuda_runtime_api.h>
#include <unistd.h>

#include <cstring>
#endif

namespace wander::render {

#if WANDER_CUDA
namespace {

Error cuda_error(cudaError_t result, const char* what) {
    cudaGetLastError(); // the error must not surface again in somebody else's call
    return {ErrorCode::unavailable, std::string("CUDA: ") + what + ": " + cudaGetErrorString(result)};
}

} // namespace

Result<std::array<std::uint8_t, 16>> cuda_device_uuid(int device_index) {
    cudaDeviceProp properties;
    if (const cudaError_t result = cudaGetDeviceProperties(&properties, device_index); result != cudaSuccess) {
        return cuda_error(result, "no device");
    }
    std::array<std::uint8_t, 16> uuid;
    static_assert(sizeof(properties.uuid.bytes) == uuid.size());
    std::memcpy(uuid.data(), properties.uuid.bytes, uuid.size());
    return uuid;
}

Result<CudaBuffer> CudaBuffer::import_fd(int fd, std::size_t allocation_bytes, std::size_t used_bytes) {
    cudaExternalMemoryHandleDesc description{};
    description.type = cudaExternalMemoryHandleTypeOpaqueFd;
    description.handle.fd = fd;
    description.size = allocation_bytes;
    description.flags = cudaExternalMemoryDedicated;
    CudaBuffer buffer;
    cudaExternalMemory_t memory = nullptr;
    if (const cudaError_t result = cudaImportExternalMemory(&memory, &description); result != cudaSuccess) {
        close(fd);
        return cuda_error(result, "cannot import memory from Vulkan");
    }
    buffer.memory_ = memory;
    cudaExternalMemoryBufferDesc range{};
    range.size = used_bytes;
    if (const cudaError_t result = cudaExternalMemoryGetMappedBuffer(&buffer.pointer_, memory, &range);
        result != cudaSuccess) {
        return cuda_error(result, "cannot map memory from Vulkan");
    }
    return buffer;
}

CudaBuffer::~CudaBuffer() {
    if (pointer_) {
        cudaFree(pointer_);
    }
    if (memory_) {
        cudaDestroyExternalMemory(static_cast<cudaExternalMemory_t>(memory_));
    }
}

Result<CudaTimeline> CudaTimeline::import_fd(int fd) {
    cudaExternalSemaphoreHandleDesc description{};
    description.type = cudaExternalSemaphoreHandleTypeTimelineSemaphoreFd;
    description.handle.fd = fd;
    cudaExternalSemaphore_t semaphore = nullptr;
    if (const cudaError_t result = cudaImportExternalSemaphore(&semaphore, &description); result != cudaSuccess) {
        close(fd);
        return cuda_error(result, "cannot import a semaphore from Vulkan");
    }
    CudaTimeline timeline;
    timeline.semaphore_ = semaphore;
    return timeline;
}

CudaTimeline::~CudaTimeline() {
    if (semaphore_) {
        cudaDestroyExternalSemaphore(static_cast<cudaExternalSemaphore_t>(semaphore_));
    }
}

Result<void> CudaTimeline::signal(std::uint64_t value, void* stream) {
    cudaExternalSemaphoreSignalParams parameters{};
    parameters.params.fence.value = value;
    const auto semaphore = static_cast<cudaExternalSemaphore_t>(semaphore_);
    const cudaError_t result =
        cudaSignalExternalSemaphoresAsync(&semaphore, &parameters, 1, static_cast<cudaStream_t>(stream));
    if (result != cudaSuccess) {
        return cuda_error(result, "cannot signal the frame ring");
    }
    return {};
}

#else

namespace {
Error built_without_cuda() {
    return {ErrorCode::unavailable, "this program was built without CUDA; frames go through host memory"};
}
} // namespace

Result<std::array<std::uint8_t, 16>> cuda_device_uuid(int) { return built_without_cuda(); }
Result<CudaBuffer> CudaBuffer::import_fd(int, std::size_t, std::size_t) { return built_without_cuda(); }
CudaBuffer::~CudaBuffer() = default;
Result<CudaTimeline> CudaTimeline::import_fd(int) { return built_without_cuda(); }
CudaTimeline::~CudaTimeline() = default;
Result<void> CudaTimeline::signal(std::uint64_t, void*) { return built_without_cuda(); }

#endif

CudaBuffer::CudaBuffer(CudaBuffer&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), pointer_(std::exchange(other.pointer_, nullptr)) {}

CudaBuffer& CudaBuffer::operator=(CudaBuffer&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(pointer_, other.pointer_);
    return *this;
}

CudaTimeline::CudaTimeline(CudaTimeline&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}

CudaTimeline& CudaTimeline::operator=(CudaTimeline&& other) noexcept {
    std::swap(semaphore_, other.semaphore_);
    return *this;
}

} // namespace wander::render
