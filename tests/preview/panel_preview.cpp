// Draws the panels over start pictures, off-screen, into PNG files, for looking at: panel_preview OUT_DIR [WIDTH HEIGHT
// SCALE]. The numbers are made up (tests/support/ui_samples.hpp).

#include "gui/gui.hpp"
#include "render/renderer.hpp"
#include "render/window.hpp"
#include "tests/support/ui_samples.hpp"

#include <imgui.h>
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

namespace {

using namespace wander;
using render::Key;

struct Preview {
    render::Renderer& renderer;
    gui::Gui& panels;
    std::string folder;

    void save(const char* name, const gui::UiModel& model, int frames = 12) {
        for (int i = 0; i < frames; ++i) {
            render::Rect area;
            if (renderer.begin_ui()) {
                area = panels.frame(model).world;
            }
            if (auto drawn = renderer.draw({.picture_area = area}); !drawn) {
                std::fprintf(stderr, "%s\n", drawn.error().message.c_str());
                std::exit(1);
            }
        }
        auto pixels = renderer.read_composed();
        if (pixels) {
            stbi_write_png((folder + "/" + name + ".png").c_str(), pixels->size.width, pixels->size.height, 4,
                           pixels->rgba.data(), 0);
        }
    }
    void press(Key key, bool down = true) {
        render::KeyEvent event;
        event.key = key;
        event.down = down;
        panels.handle(event);
    }
};

render::Pixels load(const std::string& file) {
    render::Pixels pixels;
    int channels = 0;
    unsigned char* rgba = stbi_load(file.c_str(), &pixels.size.width, &pixels.size.height, &channels, 4);
    if (rgba) {
        pixels.rgba.assign(rgba, rgba + pixels.size.bytes());
        stbi_image_free(rgba);
    }
    return pixels;
}

} // namespace

int main(int argc, char** argv) {
    const std::string folder = argc > 1 ? argv[1] : ".";
    const render::PixelSize size = {argc > 2 ? std::atoi(argv[2]) : 1280, argc > 3 ? std::atoi(argv[3]) : 720};
    auto panels = gui::Gui::create({.fonts = WANDER_SOURCE_DIR "/assets/fonts",
                                    .layout = {},
                                    .preferences = {},
                                    .content_scale = argc > 4 ? static_cast<float>(std::atof(argv[4])) : 1.0f});
    render::RendererConfig config;
    config.size = size;
    auto renderer = render::Renderer::create(config);
    if (!panels || !renderer) {
        std::fprintf(stderr, "%s\n", (!panels ? panels.error() : renderer.error()).message.c_str());
        return 1;
    }
    if (auto attached = renderer->attach_ui(); !attached) {
        std::fprintf(stderr, "%s\n", attached.error().message.c_str());
        return 1;
    }
    const std::string starts = WANDER_SOURCE_DIR "/assets/world/starts/";
    gui::UiModel model = samples::sample_model(148, 60);
    for (gui::StartTile& tile : model.session.starts) {
        const render::Pixels picture = load(starts + tile.name + ".png");
        if (auto id = renderer->add_ui_texture({picture.size, picture.rgba.data()})) {
            tile.texture = *id;
        }
    }
    const auto show = [&](const char* name) {
        const render::Pixels picture = load(starts + name + ".png");
        (void)renderer->show_picture({picture.size, picture.rgba.data()});
    };
    Preview preview{*renderer, *panels, folder};
    show("village_fountain");
    model.recording.active = true;
    model.recording.seconds = 12.4;
    model.recording.file = "/home/me/Videos/Wander/walk.mp4";
    preview.press(Key::w);
    preview.press(Key::right);
    preview.save("walk", model);
    preview.press(Key::w, false);
    preview.press(Key::right, false);
    panels->toast(gui::ToastKind::info, "Saved ~/Pictures/Wander/2026-11-24 02.31.07.png");
    panels->toast(gui::ToastKind::error,
                  "Cannot write to /media/disk/Wander: no space left. Free some space or choose another folder with "
                  "--record-dir.");
    show("winter_lamps");
    model.paused = true;
    model.recording.active = false;
    preview.save("paused", model);
    preview.press(Key::f1);
    preview.save("keys", model);
    preview.press(Key::f1);
    model.paused = false;
    ImGui::GetIO().AddMousePosEvent(100, 12);
    preview.save("hover", model, 3);
    for (const auto& [name, x] :
         {std::pair{"menu_world", 100.0f}, std::pair{"menu_cache", 158.0f}, std::pair{"menu_view", 280.0f}}) {
        const float scale = argc > 4 ? static_cast<float>(std::atof(argv[4])) : 1.0f;
        ImGui::GetIO().AddMousePosEvent(x * scale, 12 * scale);
        ImGui::GetIO().AddMouseButtonEvent(0, true);
        preview.save(name, model, 2);
        ImGui::GetIO().AddMouseButtonEvent(0, false);
        preview.save(name, model, 3);
        ImGui::GetIO().AddMousePosEvent(500, 500);
        ImGui::GetIO().AddMouseButtonEvent(0, true);
        for (int i = 0; i < 2; ++i) {
            preview.save("scratch", model, 1);
            ImGui::GetIO().AddMouseButtonEvent(0, false);
        }
    }
    {
        const float scale = argc > 4 ? static_cast<float>(std::atof(argv[4])) : 1.0f;
        ImGui::GetIO().AddMousePosEvent(static_cast<float>(size.width) - 45 * scale, 496 * scale);
        preview.save("scratch", model, 2);
        ImGui::GetIO().AddMouseButtonEvent(0, true);
        preview.save("scratch", model, 1);
        ImGui::GetIO().AddMouseButtonEvent(0, false);
        preview.save("card", model, 4);
        ImGui::GetIO().AddMouseButtonEvent(0, true);
        preview.save("scratch", model, 1);
        ImGui::GetIO().AddMouseButtonEvent(0, false);
        preview.save("scratch", model, 1);
    }
    std::remove((folder + "/scratch.png").c_str());
    show("winter_cabin");
    preview.save("text_model", samples::sample_text_model(60));
    show("neon_pyramid");
    gui::UiModel fresh = samples::sample_model(20, 100);
    fresh.session.starts = model.session.starts;
    fresh.start = "neon_pyramid";
    fresh.place = "neon";
    preview.save("bf16", fresh);
    fresh.failure =
        "Reading weights.safetensors of /models/foreign: tensor blocks.0.self_attn.q.weight is missing. Choose a "
        "folder with a Wan model.";
    fresh.worker = WorkerState::failed;
    preview.save("failure", fresh);
    renderer->detach_ui();
    return 0;
}
