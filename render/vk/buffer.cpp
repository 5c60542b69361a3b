#include "render/vk/buffer.hpp"

#include "render/vk/check.hpp"
#include "render/vk/device.hpp"

namespace wander::render {

Buffer::Buffer(const Device& device, std::size_t bytes, BufferKind kind) : bytes_(bytes) {
    const bool exported = kind == BufferKind::exported;
    VkExternalMemoryBufferCreateInfo external{VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO};
    external.handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT;
    VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    info.pNext = exported ? &external : nullptr;
    info.size = bytes;
    info.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
    VkBuffer buffer = VK_NULL_HANDLE;
    WANDER_VK(vkCreateBuffer(device.get(), &info, nullptr, &buffer));
    buffer_ = BufferHandle(device.get(), buffer);

    VkMemoryRequirements needs;
    vkGetBufferMemoryRequirements(device.get(), buffer, &needs);
    allocation_bytes_ = needs.size;
    VkMemoryPropertyFlags flags = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if (exported) {
        flags = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    } else if (kind == BufferKind::read_back &&
               device.has_memory_type(needs.memoryTypeBits, flags | VK_MEMORY_PROPERTY_HOST_CACHED_BIT)) {
        flags |= VK_MEMORY_PROPERTY_HOST_CACHED_BIT; // reading uncached memory is some ten times slower
    }
    VkMemoryDedicatedAllocateInfo dedicated{VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO};
    dedicated.buffer = buffer;
    VkExportMemoryAllocateInfo exporting{VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO};
    exporting.pNext = &dedicated;
    exporting.handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT;
    VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    allocate.pNext = exported ? &exporting : nullptr;
    allocate.allocationSize = needs.size;
    allocate.memoryTypeIndex = device.memory_type(needs.memoryTypeBits, flags);
    VkDeviceMemory memory = VK_NULL_HANDLE;
    WANDER_VK(vkAllocateMemory(device.get(), &allocate, nullptr, &memory));
    memory_ = MemoryHandle(device.get(), memory);
    WANDER_VK(vkBindBufferMemory(device.get(), buffer, memory, 0));
    if (!exported) {
        void* mapped = nullptr;
        WANDER_VK(vkMapMemory(device.get(), memory, 0, VK_WHOLE_SIZE, 0, &mapped));
        mapped_ = static_cast<std::uint8_t*>(mapped);
    }
}

} // namespace wander::render
