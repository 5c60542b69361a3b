#pragma once
// Command buffers in turn, one timeline semaphore for all of them, and the queue of objects that the GPU may still use.
//
// begin() waits until the command buffer used kFramesInFlight submissions ago has finished, so the CPU never runs
// further ahead. One thread, the one that owns the queue.

#include "render/vk/handle.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>

namespace wander::render {

class Device;

inline constexpr int kFramesInFlight = 2;

// What one submission waits for and signals beside the timeline; null handles are left out.
struct SubmitSync {
    VkSemaphore wait = VK_NULL_HANDLE;          // binary, an acquired swapchain image
    VkSemaphore signal = VK_NULL_HANDLE;        // binary, ready to present
    VkSemaphore wait_timeline = VK_NULL_HANDLE; // another timeline (CUDA's)
    std::uint64_t wait_value = 0;
};

class Submitter {
public:
    // Throws VulkanError, as every call below.
    explicit Submitter(const Device& device);
    // Waits for everything submitted.
    ~Submitter();
    Submitter(const Submitter&) = delete;
    Submitter& operator=(const Submitter&) = delete;

    VkCommandBuffer begin();
    // Index of the command buffer in use, 0..kFramesInFlight-1.
    int slot() const { return slot_; }
    // Returns the timeline value that is reached when the work has finished.
    std::uint64_t submit(const SubmitSync& sync);
    void wait(std::uint64_t value);
    std::uint64_t last_submitted() const { return value_; }
    std::uint64_t finished() const;
    // Keeps `object` alive until everything submitted or being recorded now has finished.
    void retire(std::shared_ptr<void> object);

private:
    struct Retired {
        std::uint64_t value;
        std::shared_ptr<void> object;
    };

    const Device& device_;
    CommandPoolHandle pool_;
    SemaphoreHandle timeline_;
    std::array<VkCommandBuffer, kFramesInFlight> buffers_{};
    std::array<std::uint64_t, kFramesInFlight> busy_until_{};
    int slot_ = 0;
    std::uint64_t value_ = 0;
    std::deque<Retired> retired_;
};

SemaphoreHandle make_semaphore(const Device& device);
// `exported`: can be turned into a file descriptor.
SemaphoreHandle make_timeline(const Device& device, bool exported);

} // namespace wander::render
