#include "render/vk/submitter.hpp"

#include "render/vk/check.hpp"
#include "render/vk/device.hpp"

#include <limits>
#include <utility>

namespace wander::render {

SemaphoreHandle make_semaphore(const Device& device) {
    VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    VkSemaphore semaphore = VK_NULL_HANDLE;
    WANDER_VK(vkCreateSemaphore(device.get(), &info, nullptr, &semaphore));
    return {device.get(), semaphore};
}

SemaphoreHandle make_timeline(const Device& device, bool exported) {
    VkExportSemaphoreCreateInfo exporting{VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO};
    exporting.handleTypes = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT;
    VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
    type.pNext = exported ? &exporting : nullptr;
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    info.pNext = &type;
    VkSemaphore semaphore = VK_NULL_HANDLE;
    WANDER_VK(vkCreateSemaphore(device.get(), &info, nullptr, &semaphore));
    return {device.get(), semaphore};
}

Submitter::Submitter(const Device& device) : device_(device) {
    VkCommandPoolCreateInfo pool_info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pool_info.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT | VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
    pool_info.queueFamilyIndex = device.queue_family();
    VkCommandPool pool = VK_NULL_HANDLE;
    WANDER_VK(vkCreateCommandPool(device.get(), &pool_info, nullptr, &pool));
    pool_ = CommandPoolHandle(device.get(), pool);
    VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    info.commandPool = pool;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = kFramesInFlight;
    WANDER_VK(vkAllocateCommandBuffers(device.get(), &info, buffers_.data()));
    timeline_ = make_timeline(device, false);
}

Submitter::~Submitter() {
    try {
        wait(value_);
    } catch (const VulkanError&) {
        // A lost device has nothing left to wait for.
    }
}

VkCommandBuffer Submitter::begin() {
    slot_ = (slot_ + 1) % kFramesInFlight;
    const auto index = static_cast<std::size_t>(slot_);
    wait(busy_until_[index]);
    const std::uint64_t done = finished();
    while (!retired_.empty() && retired_.front().value <= done) {
        retired_.pop_front();
    }
    VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    WANDER_VK(vkBeginCommandBuffer(buffers_[index], &info));
    return buffers_[index];
}

std::uint64_t Submitter::submit(const SubmitSync& sync) {
    const auto index = static_cast<std::size_t>(slot_);
    WANDER_VK(vkEndCommandBuffer(buffers_[index]));
    const auto semaphore = [](VkSemaphore handle, std::uint64_t value) {
        VkSemaphoreSubmitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO};
        info.semaphore = handle;
        info.value = value;
        info.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
        return info;
    };
    std::array<VkSemaphoreSubmitInfo, 2> waits{};
    std::uint32_t wait_count = 0;
    if (sync.wait != VK_NULL_HANDLE) {
        waits[wait_count++] = semaphore(sync.wait, 0);
    }
    if (sync.wait_timeline != VK_NULL_HANDLE) {
        waits[wait_count++] = semaphore(sync.wait_timeline, sync.wait_value);
    }
    std::array<VkSemaphoreSubmitInfo, 2> signals{semaphore(timeline_.get(), value_ + 1)};
    std::uint32_t signal_count = 1;
    if (sync.signal != VK_NULL_HANDLE) {
        signals[signal_count++] = semaphore(sync.signal, 0);
    }
    VkCommandBufferSubmitInfo commands{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO};
    commands.commandBuffer = buffers_[index];
    VkSubmitInfo2 info{VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
    info.waitSemaphoreInfoCount = wait_count;
    info.pWaitSemaphoreInfos = waits.data();
    info.commandBufferInfoCount = 1;
    info.pCommandBufferInfos = &commands;
    info.signalSemaphoreInfoCount = signal_count;
    info.pSignalSemaphoreInfos = signals.data();
    WANDER_VK(vkQueueSubmit2(device_.queue(), 1, &info, VK_NULL_HANDLE));
    busy_until_[index] = ++value_;
    return value_;
}

void Submitter::wait(std::uint64_t value) {
    VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
    info.semaphoreCount = 1;
    info.pSemaphores = timeline_.address();
    info.pValues = &value;
    WANDER_VK(vkWaitSemaphores(device_.get(), &info, std::numeric_limits<std::uint64_t>::max()));
}

std::uint64_t Submitter::finished() const {
    std::uint64_t value = 0;
    WANDER_VK(vkGetSemaphoreCounterValue(device_.get(), timeline_.get(), &value));
    return value;
}

void Submitter::retire(std::shared_ptr<void> object) { retired_.push_back({value_ + 1, std::move(object)}); }

} // namespace wander::render
