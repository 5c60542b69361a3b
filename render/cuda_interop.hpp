#pragma once
// What the renderer needs from CUDA, without CUDA's headers: device identity, and Vulkan memory and semaphores mapped
// into CUDA.
//
// Built without CUDA, or on a machine without a driver, every function answers `unavailable`. Uses the primary context
// of the device, the one torch uses. File descriptors are consumed by a successful import and closed here after a
// failed one.

#include "generator/plain/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace wander::render {

Result<std::array<std::uint8_t, 16>> cuda_device_uuid(int device_index);

// One exported VkDeviceMemory as CUDA sees it. Move-only; unmaps in the destructor.
class CudaBuffer {
public:
    // `allocation_bytes` is the size of the whole VkDeviceMemory, which must be a dedicated allocation.
    static Result<CudaBuffer> import_fd(int fd, std::size_t allocation_bytes, std::size_t used_bytes);
    CudaBuffer(CudaBuffer&& other) noexcept;
    CudaBuffer& operator=(CudaBuffer&& other) noexcept;
    ~CudaBuffer(); // NOLINT(performance-trivially-destructible): it frees where CUDA is built
    void* device_pointer() const { return pointer_; }

private:
    CudaBuffer() = default;
    void* memory_ = nullptr; // cudaExternalMemory_t
    void* pointer_ = nullptr;
};

// An exported timeline semaphore as CUDA sees it. Move-only.
class CudaTimeline {
public:
    static Result<CudaTimeline> import_fd(int fd);
    CudaTimeline(CudaTimeline&& other) noexcept;
    CudaTimeline& operator=(CudaTimeline&& other) noexcept;
    ~CudaTimeline(); // NOLINT(performance-trivially-destructible): it frees where CUDA is built
    // Raises the semaphore to `value` once everything before it on `stream` (a cudaStream_t) has finished.
    Result<void> signal(std::uint64_t value, void* stream);

private:
    CudaTimeline() = default;
    void* semaphore_ = nullptr; // cudaExternalSemaphore_t
};

} // namespace wander::render
