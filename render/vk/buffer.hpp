#pragma once
// A buffer with its own memory. Host buffers stay mapped; device buffers may be exported for CUDA.

#include "render/vk/handle.hpp"

#include <cstddef>
#include <cstdint>

namespace wander::render {

class Device;

enum class BufferKind {
    upload,    // written by the host, read by the GPU
    read_back, // written by the GPU, read by the host (cached where possible)
    exported,  // device memory, dedicated and exportable as an opaque file descriptor
};

class Buffer {
public:
    Buffer() = default;
    // Throws VulkanError.
    Buffer(const Device& device, std::size_t bytes, BufferKind kind);

    VkBuffer get() const { return buffer_.get(); }
    VkDeviceMemory memory() const { return memory_.get(); }
    std::size_t bytes() const { return bytes_; }
    // Size of the whole allocation, which an importer must be told.
    std::size_t allocation_bytes() const { return allocation_bytes_; }
    std::uint8_t* mapped() const { return mapped_; }

private:
    // The buffer is destroyed before its memory.
    MemoryHandle memory_;
    BufferHandle buffer_;
    std::size_t bytes_ = 0;
    std::size_t allocation_bytes_ = 0;
    std::uint8_t* mapped_ = nullptr;
};

} // namespace wander::render
