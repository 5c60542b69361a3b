// The hand-over of frames from CUDA to Vulkan, proven by pattern: a producer thread lets CUDA write numbered frames
// into the shared ring, Vulkan uploads each into the picture as the program does, reads it back, and every pixel is
// compared.
//
//     wander_interop_test [frames] [--without-waiting]
//
// --without-waiting leaves out the timeline: then frames must come out wrong, which shows that the comparison can fail.
// Exit code 0: as expected. 77: this machine has no CUDA device that Vulkan also drives.
#include "render/cuda_interop.hpp"
#include "render/picture/upscaler.hpp"
#include "render/ring/gpu_ring.hpp"
#include "render/vk/buffer.hpp"
#include "render/vk/check.hpp"
#include "render/vk/device.hpp"
#include "render/vk/instance.hpp"
#include "render/vk/submitter.hpp"
#include "tests/gpu/interop/pattern.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <thread>

namespace wander::render {
namespace {

constexpr int kSkipped = 77;
constexpr int kSlots = 8;
constexpr std::uint32_t kFewFrames = 40;

// The few frames of the last case take CUDA about a tenth of a second each, longer than the GPU's time slices: who
// reads them without waiting reads wrong ones.
struct Case {
    PixelSize size;
    int slow_rounds;
    bool few;
};
constexpr Case kCases[] = {{{192, 112}, 0, false},
                           {{192, 112}, 200, false},
                           {{832, 480}, 0, false},
                           {{832, 480}, 200, false},
                           {{192, 112}, 1'000'000, true}};

void produce(const std::shared_ptr<GpuRing>& ring, std::uint32_t frames, int slow_rounds, const std::stop_token& stop) {
    void* stream = make_stream();
    for (std::uint32_t frame = 0; frame < frames; ++frame) {
        const FrameSlot slot = ring->acquire(stop);
        if (slot.slot < 0) {
            break;
        }
        write_pattern(slot.device, ring->frame_size().bytes() / 4, frame, slow_rounds, stream);
        FrameTicket ticket;
        ticket.slot = slot.slot;
        ticket.frame_index = frame;
        ring->publish(ticket, stream);
    }
    destroy_stream(stream);
}

struct Outcome {
    std::uint32_t frames = 0;
    std::uint32_t wrong_frames = 0;
    double seconds = 0;
};

Outcome run(const Device& device, PixelSize size, std::uint32_t frames, int slow_rounds, bool waiting) {
    Submitter submitter(device);
    Upscaler upscaler(device, submitter, VK_FORMAT_R8G8B8A8_UNORM, 0);
    const Buffer read_back(device, size.bytes(), BufferKind::read_back);
    Result<std::shared_ptr<GpuRing>> made = make_shared_ring(device, size, kSlots);
    if (!made) {
        std::printf("%s\n", made.error().message.c_str());
        std::exit(1);
    }
    const std::shared_ptr<GpuRing> ring = *made;
    const auto begin = std::chrono::steady_clock::now();
    std::jthread producer([&](const std::stop_token& stop) { produce(ring, frames, slow_rounds, stop); });
    Outcome outcome;
    std::deque<FrameTicket> waiting_tickets;
    while (outcome.frames < frames) {
        for (const FrameTicket& ticket : ring->take_published()) {
            waiting_tickets.push_back(ticket);
        }
        if (waiting_tickets.empty() || (waiting && !ring->is_ready(waiting_tickets.front()))) {
            std::this_thread::yield();
            continue;
        }
        const FrameTicket ticket = waiting_tickets.front();
        waiting_tickets.pop_front();
        const VkCommandBuffer commands = submitter.begin();
        ring->record_take_over(commands, ticket.slot);
        upscaler.record_upload(commands, ring->buffer(ticket.slot), size);
        ring->record_give_back(commands, ticket.slot);
        Image& picture = upscaler.source();
        picture.change_use(commands, ImageUse::transfer_from);
        VkBufferImageCopy copy{};
        copy.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
        copy.imageExtent = {static_cast<std::uint32_t>(size.width), static_cast<std::uint32_t>(size.height), 1};
        vkCmdCopyImageToBuffer(commands, picture.get(), VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, read_back.get(), 1,
                               &copy);
        VkMemoryBarrier2 to_host{VK_STRUCTURE_TYPE_MEMORY_BARRIER_2};
        to_host.srcStageMask = VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
        to_host.srcAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT;
        to_host.dstStageMask = VK_PIPELINE_STAGE_2_HOST_BIT;
        to_host.dstAccessMask = VK_ACCESS_2_HOST_READ_BIT;
        VkDependencyInfo dependency{VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
        dependency.memoryBarrierCount = 1;
        dependency.pMemoryBarriers = &to_host;
        vkCmdPipelineBarrier2(commands, &dependency);
        submitter.wait(submitter.submit(waiting ? ring->sync_for(ticket) : SubmitSync{}));
        ring->release(ticket);
        std::uint32_t wrong = 0;
        for (std::uint32_t i = 0; i < size.bytes() / 4; ++i) {
            std::uint32_t pixel;
            std::memcpy(&pixel, read_back.mapped() + std::size_t{i} * 4, 4);
            wrong += pixel != pattern_pixel(static_cast<std::uint32_t>(ticket.frame_index), i);
        }
        outcome.wrong_frames += wrong > 0 || ticket.frame_index != outcome.frames;
        ++outcome.frames;
    }
    producer.join();
    outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return outcome;
}

int test(std::uint32_t frames, bool waiting) {
    const Result<std::array<std::uint8_t, 16>> uuid = cuda_device_uuid(0);
    if (!uuid) {
        std::printf("skipped: %s\n", uuid.error().message.c_str());
        return kSkipped;
    }
    const char* validation = std::getenv("WANDER_VALIDATION");
    const Instance instance({}, validation && validation[0] == '1');
    DeviceWishes wishes;
    wishes.uuid = *uuid;
    const Device device(instance, wishes);
    std::printf("Vulkan device: %s, the same as CUDA's: %s, can export: %s\n", device.name().c_str(),
                device.uuid() == *uuid ? "yes" : "no", device.can_export() ? "yes" : "no");
    if (device.uuid() != *uuid) {
        return kSkipped;
    }
    bool passed = true;
    for (const Case& c : kCases) {
        const std::uint32_t count = c.few ? std::min(frames, kFewFrames) : frames;
        const Outcome outcome = run(device, c.size, count, c.slow_rounds, waiting);
        std::printf("%4dx%-4d kernel rounds %7d: %u frames, %u wrong, %.2f s\n", c.size.width, c.size.height,
                    c.slow_rounds + 1, outcome.frames, outcome.wrong_frames, outcome.seconds);
        std::fflush(stdout);
        if (waiting) {
            passed = passed && outcome.wrong_frames == 0;
        } else if (c.few) {
            passed = passed && outcome.wrong_frames > 0;
        }
    }
    std::printf("validation messages: %d\n%s\n", instance.log().count(), passed ? "passed" : "FAILED");
    return passed && instance.log().count() == 0 ? 0 : 1;
}

} // namespace
} // namespace wander::render

int main(int count, char** arguments) {
    std::uint32_t frames = 10'000;
    bool waiting = true;
    for (int i = 1; i < count; ++i) {
        if (std::strcmp(arguments[i], "--without-waiting") == 0) {
            waiting = false;
        } else {
            frames = static_cast<std::uint32_t>(std::strtoul(arguments[i], nullptr, 10));
        }
    }
    try {
        return wander::render::test(frames, waiting);
    } catch (const wander::render::VulkanError& error) {
        std::printf("%s\n", error.what());
        return 1;
    }
}
