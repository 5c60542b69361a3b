// The renderer with a ring in shared memory: CUDA writes the frames, the picture and the tap show them. Needs an NVIDIA
// GPU that both CUDA and Vulkan drive. The hand-over itself has a longer test of its own: tests/gpu/interop.
#include "render/cuda_interop.hpp"
#include "render/renderer.hpp"
#include "render/window.hpp"
#include "tests/support/frame_tickets.hpp"

#include <gtest/gtest.h>

#if WANDER_CUDA

#include <cuda_runtime_api.h>

#include <cstring>
#include <thread>

namespace wander::render {
namespace {

constexpr PixelSize kSize{192, 112};
constexpr std::int64_t kFrames = 200;

std::uint8_t pattern(std::int64_t frame, std::size_t i) {
    return static_cast<std::uint8_t>((static_cast<std::size_t>(frame) * 37 + i * 11 + i / 768) & 255);
}

void produce(const std::shared_ptr<FrameRing>& ring, const std::stop_token& stop) {
    cudaStream_t stream = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    std::vector<std::uint8_t> bytes(kSize.bytes());
    for (std::int64_t frame = 0; frame < kFrames; ++frame) {
        const FrameSlot slot = ring->acquire(stop);
        if (slot.slot < 0) break;
        ASSERT_NE(slot.device, nullptr);
        ASSERT_EQ(slot.host, nullptr);
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = pattern(frame, i);
        ASSERT_EQ(cudaMemcpyAsync(slot.device, bytes.data(), bytes.size(), cudaMemcpyHostToDevice, stream),
                  cudaSuccess);
        ring->publish(test::frame_ticket(frame, slot.slot, 20), stream);
    }
    cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
}

std::size_t wrong_bytes(const std::uint8_t* rgba, std::int64_t frame) {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < kSize.bytes(); ++i) wrong += rgba[i] != pattern(frame, i);
    return wrong;
}

TEST(SharedRing, RendererShowsWhatCudaWrote) {
    const Result<std::array<std::uint8_t, 16>> uuid = cuda_device_uuid(0);
    ASSERT_TRUE(uuid) << uuid.error().message;
    RendererConfig config;
    config.size = {640, 360};
    config.device_uuid = *uuid;
    Result<Renderer> renderer = Renderer::create(config);
    ASSERT_TRUE(renderer) << renderer.error().message;
    EXPECT_EQ(renderer->device_uuid(), *uuid);
    Result<std::shared_ptr<FrameRing>> ring = renderer->make_ring(kSize, 8, true);
    ASSERT_TRUE(ring) << ring.error().message;
    ASSERT_TRUE((*ring)->shared_with_cuda()) << renderer->notes();

    std::int64_t tapped = 0;
    renderer->set_frame_tap([&](const FrameTicket& ticket, const PixelView& pixels, double) {
        EXPECT_EQ(ticket.frame_index, tapped++);
        EXPECT_EQ(wrong_bytes(pixels.rgba, ticket.frame_index), 0u) << "tap, frame " << ticket.frame_index;
    });
    std::jthread producer([ring = *ring](const std::stop_token& stop) { produce(ring, stop); });
    std::int64_t last = -1;
    const double give_up = steady_seconds() + 30;
    while (last < kFrames - 1 && steady_seconds() < give_up) {
        const Result<bool> changed = renderer->advance(steady_seconds());
        ASSERT_TRUE(changed) << changed.error().message;
        if (!*changed) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            continue;
        }
        last = renderer->shown()->frame_index;
        ASSERT_TRUE(renderer->draw({}));
        const Result<Pixels> picture = renderer->read_picture();
        ASSERT_TRUE(picture);
        EXPECT_EQ(wrong_bytes(picture->rgba.data(), last), 0u) << "picture, frame " << last;
    }
    EXPECT_EQ(last, kFrames - 1);
    EXPECT_EQ(tapped, kFrames);
    producer.join();

    // Another size while the old ring still exists, then shutting down with a full ring and a waiting producer.
    Result<std::shared_ptr<FrameRing>> next = renderer->make_ring(kSize, 4, true);
    ASSERT_TRUE(next);
    renderer->set_frame_tap({});
    std::jthread second([ring = *next](const std::stop_token& stop) { produce(ring, stop); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    (*next)->close();
    second.join();
    EXPECT_EQ(renderer->validation_message_count(), 0) << renderer->first_validation_message();
}

} // namespace
} // namespace wander::render

#endif
