// The compositor off-screen, on whatever Vulkan device there is (lavapipe in CI), with validation layers.
#include "render/renderer.hpp"

#include "render/plain/upscale_reference.hpp"
#include "render/window.hpp"
#include "tests/support/frame_tickets.hpp"

#include <gtest/gtest.h>
#include <imgui.h>

#include <cmath>
#include <cstring>
#include <thread>

namespace wander::render {
namespace {

PixelView view(const Pixels& pixels) { return {pixels.size, pixels.rgba.data()}; }

// Slanted edges, thin lines, soft gradients: what a walk's picture has.
Pixels scene(PixelSize size, int shift = 0) {
    Pixels pixels{size, std::vector<std::uint8_t>(size.bytes(), 255)};
    for (int y = 0; y < size.height; ++y) {
        for (int x = 0; x < size.width; ++x) {
            const double fx = (x + shift) / static_cast<double>(size.width);
            const double fy = y / static_cast<double>(size.height);
            std::uint8_t* p = pixels.rgba.data() + static_cast<std::size_t>(y * size.width + x) * 4;
            const bool roof = fy > 0.3 + 0.5 * std::abs(fx - 0.4);
            const bool beam = std::abs(fx * 0.7 + fy - 0.9) < 0.012;
            p[0] = static_cast<std::uint8_t>(beam ? 240 : roof ? 150 - 60 * fy : 90 + 80 * fx);
            p[1] = static_cast<std::uint8_t>(beam ? 230 : roof ? 70 + 40 * fx : 140 + 60 * fy);
            p[2] = static_cast<std::uint8_t>(beam ? 90 : roof ? 60 : 225);
        }
    }
    return pixels;
}

class RendererTest : public testing::Test {
protected:
    void SetUp() override { open({640, 360}, 0); }

    void open(PixelSize size, int limit) {
        renderer_.reset();
        RendererConfig config;
        config.size = size;
        config.validation = true;
        config.upscale_limit = limit;
        Result<Renderer> made = Renderer::create(config);
        if (!made && made.error().code == ErrorCode::unavailable) {
            GTEST_SKIP() << made.error().message;
        }
        ASSERT_TRUE(made) << made.error().message;
        renderer_.emplace(std::move(*made));
        EXPECT_EQ(renderer_->notes(), ""); // the validation layer is there, or its absence would pass for a clean run
    }

    void TearDown() override {
        if (renderer_) {
            EXPECT_EQ(renderer_->validation_message_count(), 0) << renderer_->first_validation_message();
        }
    }

    Pixels composed(const DrawRequest& request) {
        const Result<DrawOutcome> drawn = renderer_->draw(request);
        EXPECT_TRUE(drawn) << drawn.error().message;
        Result<Pixels> pixels = renderer_->read_composed();
        EXPECT_TRUE(pixels);
        return *pixels;
    }

    static Pixels crop(const Pixels& from, PixelRect rect) {
        Pixels out{rect.size, std::vector<std::uint8_t>(rect.size.bytes())};
        for (int y = 0; y < rect.size.height; ++y) {
            std::memcpy(out.rgba.data() + static_cast<std::size_t>(y * rect.size.width) * 4,
                        from.rgba.data() + static_cast<std::size_t>((rect.y + y) * from.size.width + rect.x) * 4,
                        static_cast<std::size_t>(rect.size.width) * 4);
        }
        return out;
    }

    std::optional<Renderer> renderer_;
};

// Tolerance: the sampler's coordinates have 8 fractional bits and the direction map 8 bits a channel. 42 dB is an error
// of 2 in 255.
TEST_F(RendererTest, UpscaleModesEqualTheirTwins) {
    const Pixels picture = scene({192, 112});
    ASSERT_TRUE(renderer_->show_picture(view(picture)));
    for (const UpscaleMode mode : {UpscaleMode::nearest, UpscaleMode::bicubic, UpscaleMode::sharp}) {
        DrawRequest request;
        request.upscale = mode;
        request.picture_area = {40, 20, 500, 320};
        const Pixels whole = composed(request);
        const PixelRect rect = renderer_->picture_rect();
        ASSERT_EQ(rect, letterbox(request.picture_area, picture.size, whole.size));
        const Pixels got = crop(whole, rect);
        const Pixels wanted = upscale_reference(view(picture), rect.size, mode);
        const double psnr = psnr_db(view(got), view(wanted));
        std::printf("%s: %.1f dB against the twin\n",
                    std::string(kUpscaleModeNames[static_cast<std::size_t>(mode)]).c_str(), psnr);
        EXPECT_GE(psnr, 42.0);
        // Outside the picture there is the background.
        EXPECT_EQ(whole.rgba[0], static_cast<std::uint8_t>(std::lround(request.background[0] * 255)));
    }
}

TEST_F(RendererTest, LimitedWorkEqualsItsTwin) {
    open({640, 360}, 2);
    const Pixels picture = scene({192, 112});
    ASSERT_TRUE(renderer_->show_picture(view(picture)));
    const Pixels whole = composed({});
    const Pixels got = crop(whole, renderer_->picture_rect());
    const Pixels wanted = upscale_reference(view(picture), got.size, UpscaleMode::sharp, 2);
    EXPECT_GE(psnr_db(view(got), view(wanted)), 42.0);
}

TEST_F(RendererTest, FollowsResizeAndPictureSize) {
    for (const PixelSize size : {PixelSize{640, 360}, PixelSize{333, 517}, PixelSize{1024, 200}, PixelSize{640, 360}}) {
        renderer_->resize(size);
        for (const PixelSize picture_size : {PixelSize{192, 112}, PixelSize{64, 64}}) {
            const Pixels picture = scene(picture_size);
            ASSERT_TRUE(renderer_->show_picture(view(picture)));
            DrawRequest request;
            request.upscale = UpscaleMode::nearest;
            const Pixels whole = composed(request);
            ASSERT_EQ(whole.size, size);
            const Pixels got = crop(whole, renderer_->picture_rect());
            // A block's border may fall on either side of a pixel centre.
            EXPECT_GE(psnr_db(view(got), view(upscale_reference(view(picture), got.size, UpscaleMode::nearest))), 40.0);
        }
    }
}

TEST_F(RendererTest, DrawsBeforeThereIsAPicture) {
    const Pixels whole = composed({});
    EXPECT_EQ(whole.rgba[3], 255);
    const Result<Pixels> picture = renderer_->read_picture();
    ASSERT_TRUE(picture);
    EXPECT_TRUE(picture->size.empty());
}

// A producer thread writes numbered patterns; every frame that is shown must be exactly the one its ticket names, in
// order, and the tap must see all of them.
TEST_F(RendererTest, RingDeliversEveryFrameUnharmed) {
    const PixelSize size{48, 28};
    const int frames = 200;
    Result<std::shared_ptr<FrameRing>> ring = renderer_->make_ring(size, 8, false);
    ASSERT_TRUE(ring) << ring.error().message;
    EXPECT_FALSE((*ring)->shared_with_cuda());
    const auto pattern = [](std::int64_t frame, std::size_t i) {
        return static_cast<std::uint8_t>((static_cast<std::size_t>(frame) * 31 + i * 7 + i / 192) & 255);
    };
    std::jthread producer([&, ring = *ring](const std::stop_token& stop) {
        for (std::int64_t frame = 0; frame < frames; ++frame) {
            const FrameSlot slot = ring->acquire(stop);
            if (slot.slot < 0) {
                return;
            }
            for (std::size_t i = 0; i < size.bytes(); ++i) {
                slot.host[i] = i % 4 == 3 ? std::uint8_t{255} : pattern(frame, i);
            }
            ring->publish(test::frame_ticket(frame, slot.slot, 8), nullptr);
        }
    });
    std::int64_t tapped = 0;
    renderer_->set_frame_tap([&](const FrameTicket& ticket, const PixelView& pixels, double) {
        EXPECT_EQ(ticket.frame_index, tapped++);
        EXPECT_EQ(pixels.rgba[4], pattern(ticket.frame_index, 4));
    });
    std::int64_t last = -1;
    int checked = 0;
    const double give_up = steady_seconds() + 30;
    while (last < frames - 1 && steady_seconds() < give_up) {
        const Result<bool> changed = renderer_->advance(steady_seconds());
        ASSERT_TRUE(changed);
        if (!*changed) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            continue;
        }
        ASSERT_TRUE(renderer_->shown());
        EXPECT_GT(renderer_->shown()->frame_index, last);
        last = renderer_->shown()->frame_index;
        const Result<Pixels> picture = renderer_->read_picture();
        ASSERT_TRUE(picture);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < size.bytes(); ++i) {
            wrong += i % 4 != 3 && picture->rgba[i] != pattern(last, i);
        }
        EXPECT_EQ(wrong, 0u) << "frame " << last;
        ++checked;
    }
    EXPECT_EQ(last, frames - 1);
    EXPECT_EQ(tapped, frames);
    EXPECT_EQ(checked + renderer_->skipped_frames(), frames);
}

TEST_F(RendererTest, FullRingHoldsTheProducerUntilClosed) {
    Result<std::shared_ptr<FrameRing>> ring = renderer_->make_ring({16, 16}, 2, false);
    ASSERT_TRUE(ring);
    std::atomic<int> acquired = 0;
    std::jthread producer([&, ring = *ring](const std::stop_token& stop) {
        for (;;) {
            const FrameSlot slot = ring->acquire(stop);
            if (slot.slot < 0) {
                return;
            }
            ++acquired;
            FrameTicket ticket;
            ticket.slot = slot.slot;
            ring->publish(ticket, nullptr);
        }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(acquired, 2);
    // A new ring closes the old one, which lets its producer go.
    ASSERT_TRUE(renderer_->make_ring({32, 16}, 2, false));
    producer.join();
    EXPECT_EQ(acquired, 2);
}

TEST_F(RendererTest, PanelsAreDrawnOverThePicture) {
    const Pixels picture = scene({192, 112});
    ASSERT_TRUE(renderer_->show_picture(view(picture)));
    ASSERT_TRUE(renderer_->attach_ui());
    const Result<std::uint64_t> texture = renderer_->add_ui_texture(view(picture));
    ASSERT_TRUE(texture);
    Pixels whole;
    for (int frame = 0; frame < 3; ++frame) {
        ASSERT_TRUE(renderer_->begin_ui());
        ImGui::GetForegroundDrawList()->AddRectFilled({100, 100}, {200, 150}, IM_COL32(200, 100, 50, 255));
        ImGui::SetNextWindowPos({0, 0});
        ImGui::Begin("panel");
        ImGui::TextUnformatted("text");
        ImGui::Image(static_cast<ImTextureID>(*texture), {96, 56});
        ImGui::End();
        whole = composed({});
    }
    const std::uint8_t* p = whole.rgba.data() + static_cast<std::size_t>(120 * whole.size.width + 150) * 4;
    // The colours arrive as they were given: no second sRGB encoding.
    EXPECT_EQ(p[0], 200);
    EXPECT_EQ(p[1], 100);
    EXPECT_EQ(p[2], 50);
    renderer_->remove_ui_texture(*texture);
    ASSERT_TRUE(renderer_->begin_ui());
    composed({});
    renderer_->detach_ui();
}

} // namespace
} // namespace wander::render
