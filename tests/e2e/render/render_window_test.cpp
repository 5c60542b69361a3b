// A real window on the display that DISPLAY names (Xvfb with lavapipe in CI): frames from a ring, panels over them,
// resizing, events.
//
// WANDER_DEMO_SECONDS=20 keeps the window open that long to look at it; WANDER_DEMO_PICTURE=FILE shows that picture
// instead of the moving pattern; WANDER_DEMO_MODE=0..2 chooses the scaling; WANDER_DEMO_SHOT=FILE.png writes the
// composed image at the end.
#include "render/renderer.hpp"
#include "render/window.hpp"
#include "tests/support/frame_tickets.hpp"

#include <GLFW/glfw3.h>
#include <gtest/gtest.h>
#include <imgui.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <thread>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb_image.h>
#include <stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace wander::render {
namespace {

constexpr PixelSize kFrame{192, 112};

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

// A hill, a slanted wall and a lamp post that wander to the left.
void paint(std::uint8_t* rgba, std::int64_t frame) {
    for (int y = 0; y < kFrame.height; ++y) {
        for (int x = 0; x < kFrame.width; ++x, rgba += 4) {
            const double u = (x + static_cast<double>(frame % 960) * 0.7) / 40;
            const bool hill = y > 70 + 14 * std::sin(u) + 5 * std::sin(2.3 * u);
            const bool post = std::abs(std::fmod(u, 4.0) - 2 + (y - 56) * 0.002) < 0.05 && y > 30;
            rgba[0] = static_cast<std::uint8_t>(post ? 245 : hill ? 60 + y / 2 : 120 + y / 2);
            rgba[1] = static_cast<std::uint8_t>(post ? 225 : hill ? 110 + y / 3 : 170 + y / 3);
            rgba[2] = static_cast<std::uint8_t>(post ? 170 : hill ? 60 : 225);
            rgba[3] = 255;
        }
    }
}

void produce(const std::shared_ptr<FrameRing>& ring, const std::stop_token& stop) {
    for (std::int64_t frame = 0;; ++frame) {
        const FrameSlot slot = ring->acquire(stop);
        if (slot.slot < 0) {
            return;
        }
        paint(slot.host, frame);
        ring->publish(test::frame_ticket(frame, slot.slot, 250), nullptr);
    }
}

TEST(RenderWindow, ShowsFramesAndPanelsAndFollowsResizing) {
    if (environment("DISPLAY").empty() && environment("WAYLAND_DISPLAY").empty()) {
        GTEST_SKIP() << "no display";
    }
    Result<Window> window = Window::create("Wander window test", {.width = 1280, .height = 720});
    ASSERT_TRUE(window) << window.error().message;
    RendererConfig config;
    config.window = &*window;
    config.validation = environment("WANDER_VALIDATION") != "0";
    Result<Renderer> renderer = Renderer::create(config);
    ASSERT_TRUE(renderer) << renderer.error().message;
    ASSERT_TRUE(renderer->attach_ui());
    ImGui::GetIO().ConfigFlags |= ImGuiConfigFlags_DockingEnable;

    std::jthread producer;
    const std::string picture_path = environment("WANDER_DEMO_PICTURE");
    if (picture_path.empty()) {
        Result<std::shared_ptr<FrameRing>> ring = renderer->make_ring(kFrame, 8, false);
        ASSERT_TRUE(ring);
        producer = std::jthread([ring = *ring](const std::stop_token& stop) { produce(ring, stop); });
    } else {
        int width = 0, height = 0, channels = 0;
        stbi_uc* pixels = stbi_load(picture_path.c_str(), &width, &height, &channels, 4);
        ASSERT_NE(pixels, nullptr);
        ASSERT_TRUE(renderer->show_picture({{width, height}, pixels}));
        stbi_image_free(pixels);
    }
    const std::string mode = environment("WANDER_DEMO_MODE");
    const std::string seconds = environment("WANDER_DEMO_SECONDS");
    const double length = seconds.empty() ? 2.0 : std::stod(seconds);
    const double begin = steady_seconds();
    int presented = 0, other = 0;
    std::int64_t last = -1;
    bool resized = false;
    double drawing_seconds = 0;
    while (steady_seconds() - begin < length) {
        const double due = renderer->next_due_seconds().value_or(steady_seconds() + 0.02);
        for (const WindowEvent& event : window->poll(std::max(0.001, due - steady_seconds()))) {
            if (const KeyEvent* key = std::get_if<KeyEvent>(&event)) {
                std::printf("key %d %s\n", static_cast<int>(key->key), key->down ? "down" : "up");
            }
        }
        const Result<bool> changed = renderer->advance(steady_seconds());
        ASSERT_TRUE(changed);
        if (!*changed && picture_path.empty()) {
            continue;
        }
        if (renderer->shown()) {
            EXPECT_GT(renderer->shown()->frame_index, last);
            last = renderer->shown()->frame_index;
        }
        if (!resized && steady_seconds() - begin > length / 2) {
            glfwSetWindowSize(window->handle(), 1100, 640);
            resized = true;
        }
        const double draw_begin = steady_seconds();
        DrawRequest request;
        request.upscale = mode.empty() ? UpscaleMode::sharp : static_cast<UpscaleMode>(std::stoi(mode));
        if (renderer->begin_ui()) {
            const ImVec2 size = ImGui::GetIO().DisplaySize;
            request.picture_area = {0, 30, size.x - 300, size.y - 60};
            ImGui::SetNextWindowPos({size.x - 300, 0});
            ImGui::SetNextWindowSize({300, size.y});
            ImGui::Begin("Panel", nullptr, ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoResize);
            ImGui::Text("%s", renderer->device_name().c_str());
            ImGui::Text("frame %lld", static_cast<long long>(last));
            for (int i = 0; i < 12; ++i) {
                ImGui::ProgressBar(static_cast<float>((last + i * 8) % 100) / 100);
            }
            ImGui::End();
        }
        const Result<DrawOutcome> outcome = renderer->draw(request);
        ASSERT_TRUE(outcome) << outcome.error().message;
        (*outcome == DrawOutcome::presented ? presented : other)++;
        drawing_seconds += steady_seconds() - draw_begin;
    }
    std::printf("%d presented, %d not, %.1f a second, last frame %lld, skipped %lld, %.1f ms in draw on %s\n",
                presented, other, presented / length, static_cast<long long>(last),
                static_cast<long long>(renderer->skipped_frames()), drawing_seconds / (presented + other) * 1000,
                renderer->device_name().c_str());
    EXPECT_GT(presented, 5);
    EXPECT_TRUE(resized);
    EXPECT_EQ(renderer->composed_size(), window->framebuffer_size());
    const Result<Pixels> shot = renderer->read_composed();
    ASSERT_TRUE(shot);
    EXPECT_EQ(shot->size, renderer->composed_size());
    if (const std::string path = environment("WANDER_DEMO_SHOT"); !path.empty()) {
        stbi_write_png(path.c_str(), shot->size.width, shot->size.height, 4, shot->rgba.data(), 0);
    }
    if (const std::shared_ptr<FrameRing> ring = renderer->ring()) {
        ring->close();
    }
    if (producer.joinable()) {
        producer.join();
    }
    EXPECT_EQ(renderer->validation_message_count(), 0) << renderer->first_validation_message();
}

} // namespace
} // namespace wander::render
