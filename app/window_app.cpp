#include "app/window_app.hpp"

#include "app/exit_code.hpp"
#include "app/window_walks.hpp"
#include "render/cuda_interop.hpp"

namespace wander {

int run_window(const WindowRun& run) {
    SettingsFiles files;
    LoadedSettings loaded = files.load();
    Settings& settings = loaded.settings;
    WindowRun effective = run;
    if (!run.format_given) effective.walk.cache_format = settings.cache_format;
    if (!run.correction_given) effective.walk.cache_rules.bias_correction = settings.bias_correction;

    auto window = render::Window::create("Wander", {.width = settings.window_width,
                                                    .height = settings.window_height,
                                                    .x = settings.window_x,
                                                    .y = settings.window_y,
                                                    .maximised = settings.window_maximised});
    if (!window) return fail_with(window.error());
    render::RendererConfig config;
    config.window = &*window;
    if (effective.walk.device != "cpu") {
        if (auto uuid = render::cuda_device_uuid(0)) config.device_uuid = *uuid;
    }
    auto renderer = render::Renderer::create(config);
    if (!renderer) return fail_with(renderer.error());
    auto gui = gui::Gui::create({.fonts = run.fonts,
                                 .layout = files.load_layout(),
                                 .preferences = settings.ui,
                                 .content_scale = window->content_scale()});
    if (!gui) return fail_with(gui.error());
    if (auto attached = renderer->attach_ui(); !attached) return fail_with(attached.error());
    if (!loaded.message.empty()) gui->toast(gui::ToastKind::warning, loaded.message);

    Result<void> outcome;
    {
        WindowWalks app(effective, files, settings, *window, *renderer, *gui);
        outcome = app.loop();
    }
    renderer->detach_ui();
    return outcome ? kExitDone : fail_with(outcome.error());
}

} // namespace wander
