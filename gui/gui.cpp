#include "gui/gui.hpp"

#include "gui/controls.hpp"
#include "gui/layout.hpp"
#include "gui/panels/panels.hpp"

#include <implot.h>

#include <algorithm>
#include <deque>
#include <utility>

namespace wander::gui {

namespace {

constexpr std::size_t kToastsAtOnce = 4;

// Contexts end in reverse order of their making; a class so that a failing create cleans up too.
class Contexts {
public:
    Contexts() {
        IMGUI_CHECKVERSION();
        imgui_ = ImGui::CreateContext();
        implot_ = ImPlot::CreateContext();
    }
    ~Contexts() {
        ImPlot::DestroyContext(implot_);
        ImGui::DestroyContext(imgui_);
    }
    Contexts(const Contexts&) = delete;
    Contexts& operator=(const Contexts&) = delete;

private:
    ImGuiContext* imgui_ = nullptr;
    ImPlotContext* implot_ = nullptr;
};

} // namespace

struct Gui::State {
    Contexts contexts;
    Fonts fonts;
    UiPreferences preferences;
    Controls controls;
    PromptDraft prompt_draft;
    OverlayState overlay;
    std::deque<Toast> toasts;
    float content_scale = 1;
    float applied_scale = 0;
    bool hidden = false;
    bool frame_built = false;

    void follow_scale();
    void obey(KeyCommand command, UiCommands& commands);
    void panels(const PanelContext& ui);
    void choose_tab(const UiModel& model);
    InputGate gate() const;
};

void Gui::State::follow_scale() {
    // Where the framebuffer is finer than window units (Wayland), the difference is not ours to scale.
    const float framebuffer = std::max(ImGui::GetIO().DisplayFramebufferScale.x, 0.1f);
    const float scale = std::clamp(content_scale / framebuffer * preferences.text_scale, 0.5f, 5.0f);
    if (scale != applied_scale) {
        apply_theme(scale);
        applied_scale = scale;
    }
}

InputGate Gui::State::gate() const {
    const ImGuiIO& io = ImGui::GetIO();
    InputGate gate;
    gate.typing = io.WantTextInput;
    gate.blocked = frame_built && ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopupId | ImGuiPopupFlags_AnyPopupLevel);
    return gate;
}

void Gui::State::obey(KeyCommand command, UiCommands& commands) {
    switch (command) {
        case KeyCommand::pause: commands.toggle_pause = true; break;
        case KeyCommand::step: commands.step = true; break;
        case KeyCommand::rewind: ++commands.rewind; break;
        case KeyCommand::save_walk: commands.save_walk = true; break;
        case KeyCommand::restart: commands.restart = true; break;
        case KeyCommand::toggle_cache: commands.toggle_cache = true; break;
        case KeyCommand::record: commands.toggle_record = true; break;
        case KeyCommand::screenshot: commands.screenshot = true; break;
        case KeyCommand::fullscreen: commands.toggle_fullscreen = true; break;
        case KeyCommand::hide_panels: overlay.hide_panels = true; break;
        case KeyCommand::show_keys: overlay.show_keys = !overlay.show_keys; break;
        case KeyCommand::close_overlay:
            overlay.escape = true;
            overlay.show_keys = false;
            break;
        case KeyCommand::quit: commands.quit = true; break;
    }
}

void Gui::State::panels(const PanelContext& ui) {
    if (hidden) {
        return;
    }
    if (preferences.show_memory) {
        memory_panel(ui);
    }
    if (preferences.show_latency) {
        latency_panel(ui);
    }
    if (preferences.show_world) {
        world_panel(ui, overlay);
    }
    if (preferences.show_session) {
        session_panel(ui, prompt_draft);
    }
    choose_tab(ui.model);
}

// A world that was just opened is looked at, a text model is talked to. Panels that come back keep their order.
void Gui::State::choose_tab(const UiModel& model) {
    if (overlay.tab_of != model.session.model) {
        overlay.tab_of = model.session.model;
        overlay.bring = model.session.starts.empty() ? kSessionPanel : kWorldPanel;
    }
    if (overlay.bring && bring_to_front(overlay.bring)) overlay.bring = nullptr;
    if (!overlay.bring) overlay.in_front = is_in_front(kWorldPanel) ? kWorldPanel : kSessionPanel;
}

Gui::Gui(std::unique_ptr<State> state) : state_(std::move(state)) {}
Gui::Gui(Gui&&) noexcept = default;
Gui& Gui::operator=(Gui&&) noexcept = default;
Gui::~Gui() = default;

Result<Gui> Gui::create(const GuiConfig& config) {
    auto state = std::make_unique<State>();
    ImGuiIO& io = ImGui::GetIO();
    // No keyboard navigation: arrows, Space and Tab belong to the walk.
    io.ConfigFlags |= ImGuiConfigFlags_DockingEnable;
    io.ConfigDockingWithShift = false;
    io.ConfigWindowsMoveFromTitleBarOnly = true;
    io.IniFilename = nullptr;
    io.LogFilename = nullptr;
    state->preferences = config.preferences;
    state->content_scale = config.content_scale;
    state->fonts = load_fonts(config.fonts);
    const std::string_view layout = strip_layout_version(config.layout);
    if (!layout.empty()) {
        ImGui::LoadIniSettingsFromMemory(layout.data(), layout.size());
    }
    state->follow_scale();
    return Gui(std::move(state));
}

void Gui::handle(const render::WindowEvent& event) {
    if (const auto* scale = std::get_if<render::ScaleEvent>(&event)) {
        state_->content_scale = scale->scale;
        return;
    }
    state_->controls.handle(event, state_->gate(), state_->preferences.mouse_rad_per_unit);
}

bool Gui::pad(const render::GamepadState& pad, double at_seconds) {
    return state_->controls.pad(pad, state_->gate(), at_seconds);
}

UiFrame Gui::frame(const UiModel& model) {
    State& s = *state_;
    UiFrame frame;
    const UiPreferences before = s.preferences;
    for (const KeyCommand command : s.controls.take_commands()) {
        s.obey(command, frame.commands);
    }
    if (s.overlay.hide_panels) {
        s.hidden = !s.hidden;
        s.overlay.hide_panels = false;
        if (!s.hidden && !s.overlay.bring) s.overlay.bring = s.overlay.in_front;
        if (s.hidden) {
            toast(ToastKind::info, key_label_of(KeyCommand::hide_panels) + " shows the panels again");
        }
    }
    // ImGui takes events in at its own pace: what lies under a press is known once it has the press itself.
    if (ImGui::IsMouseDown(ImGuiMouseButton_Right)) s.controls.settle_look(!ImGui::GetIO().WantCaptureMouse);
    frame.controls = s.controls.take_state();
    frame.capture_cursor = s.controls.looking();

    PanelContext ui{model, frame.commands, s.preferences, s.fonts, s.applied_scale, frame.controls, {}};
    if (!s.hidden) {
        menu_bar(ui, s.overlay);
        if (s.preferences.show_timeline) {
            timeline_bar(ui);
        }
    }
    frame.world = dock_space(s.hidden, std::exchange(s.overlay.reset_layout, false), s.applied_scale);
    ui.world = frame.world;
    s.panels(ui);
    if (!s.hidden) {
        hud(ui);
    }
    if (!s.overlay.show_keys) {
        toasts(ui, s.toasts);
    }
    key_overlay(ui, s.overlay.show_keys);
    failure_dialog(ui, s.overlay);
    model_dialog(ui, s.overlay);
    about_dialog(ui, s.overlay);
    s.overlay.escape = false;
    s.frame_built = true;
    // Between frames: a change in the middle would mix two sizes.
    s.follow_scale();

    frame.preferences_changed = !(s.preferences == before);
    return frame;
}

void Gui::toast(ToastKind kind, std::string text) {
    std::deque<Toast>& toasts = state_->toasts;
    toasts.push_back({kind, std::move(text)});
    if (toasts.size() > kToastsAtOnce) {
        toasts.pop_front();
    }
}

const UiPreferences& Gui::preferences() const { return state_->preferences; }

std::optional<std::string> Gui::take_changed_layout(bool now) {
    ImGuiIO& io = ImGui::GetIO();
    if (!io.WantSaveIniSettings && !now) {
        return std::nullopt;
    }
    std::size_t size = 0;
    const char* ini = ImGui::SaveIniSettingsToMemory(&size);
    io.WantSaveIniSettings = false;
    return with_layout_version({ini, size});
}

} // namespace wander::gui
