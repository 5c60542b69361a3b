#include "gui/key_map.hpp"
#include "gui/panels/panels.hpp"
#include "gui/plain/figures.hpp"
#include "gui/widgets.hpp"

#include <fmt/format.h>

namespace wander::gui {

namespace {

bool item(const char* label, KeyCommand command, bool enabled = true) {
    return ImGui::MenuItem(label, key_label_of(command).c_str(), false, enabled);
}

void world_menu(const PanelContext& ui, OverlayState& overlay) {
    const bool walking = !ui.model.session.model.empty();
    if (ImGui::BeginMenu("Start at", !ui.model.session.starts.empty())) {
        for (const StartTile& tile : ui.model.session.starts) {
            if (ImGui::MenuItem(tile.name.c_str(), nullptr, tile.name == ui.model.start)) {
                ui.commands.start = tile.name;
            }
        }
        ImGui::EndMenu();
    }
    if (ui.model.session.takes_prompt && ImGui::BeginMenu("Prompts", !ui.model.prompts.empty())) {
        for (const PromptChoice& prompt : ui.model.prompts) {
            if (ImGui::MenuItem(prompt.name.c_str(), nullptr, prompt.text == ui.model.prompt)) {
                ui.commands.prompt = prompt.text;
            }
            if (ImGui::BeginItemTooltip()) {
                ImGui::PushTextWrapPos(ui.px(420));
                text(prompt.text);
                ImGui::PopTextWrapPos();
                ImGui::EndTooltip();
            }
        }
        ImGui::EndMenu();
    }
    ui.commands.restart |= item("Start again", KeyCommand::restart, walking);
    ui.commands.restart_new_seed |= ImGui::MenuItem("Start again with a new seed", nullptr, false, walking);
    ImGui::Separator();
    ui.commands.toggle_pause |= item(ui.model.paused ? "Go on" : "Pause", KeyCommand::pause, walking);
    ui.commands.step |= item("One chunk", KeyCommand::step, walking);
    ImGui::MenuItem("Stand still while no key is held", nullptr, &ui.preferences.hold_while_idle);
    const bool keeps = ui.model.session.keeps_walks;
    if (item("Back by one chunk", KeyCommand::rewind, keeps)) ++ui.commands.rewind;
    if (keeps && ui.model.session.context_latents == 0) {
        ImGui::SetItemTooltip(
            "The memory is made again for this. In a long walk what follows is close to\n"
            "what a walk in one piece has, and not quite the same; the same each time.");
    }
    ui.commands.save_walk |= item("Save the walk", KeyCommand::save_walk, keeps);
    if (ImGui::BeginMenu("Go on from a saved walk", keeps && !ui.model.saved_walks.empty())) {
        for (const NamedChoice& walk : ui.model.saved_walks) {
            if (ImGui::MenuItem(walk.help.c_str())) ui.commands.saved_walk = walk.name;
        }
        ImGui::EndMenu();
    }
    ImGui::Separator();
    if (ImGui::MenuItem("Embedded world", nullptr, ui.model.session.model == "embedded")) {
        ui.commands.model_folder = "embedded";
    }
    overlay.ask_model_folder |= ImGui::MenuItem("Open a world or a model folder...");
    if (ImGui::BeginMenu("Opened before", !ui.model.recent_models.empty())) {
        for (const std::string& folder : ui.model.recent_models) {
            if (ImGui::MenuItem(folder.c_str())) {
                ui.commands.model_folder = folder;
            }
        }
        ImGui::EndMenu();
    }
    ImGui::Separator();
    ui.commands.quit |= item("Quit", KeyCommand::quit);
}

void cache_menu(const PanelContext& ui) {
    const std::string toggle = "BF16 <-> " + format_label(ui.model, ui.model.packed_format);
    ui.commands.toggle_cache |= item(toggle.c_str(), KeyCommand::toggle_cache, !ui.model.session.formats.empty());
    if (ImGui::MenuItem("Bias correction of packed keys", nullptr, ui.model.bias_correction)) {
        ui.commands.bias_correction = !ui.model.bias_correction;
    }
    if (ImGui::IsItemHovered()) {
        bias_correction_tooltip();
    }
    ImGui::SeparatorText("Format of new pages");
    format_list(ui);
    ImGui::Separator();
    const FontScope small(ui.fonts.text, kSmallSize);
    text("Takes effect with the next chunk; older pages follow one by one.", colour::kDim);
}

void record_menu(const PanelContext& ui) {
    const RecordingState& recording = ui.model.recording;
    ui.commands.toggle_record |=
        item(recording.active ? "Stop recording" : "Record an MP4", KeyCommand::record, recording.unavailable.empty());
    ui.commands.screenshot |= item("Screenshot", KeyCommand::screenshot);
    ImGui::Separator();
    ui.commands.show_recordings |= ImGui::MenuItem("Show the folder");
    const FontScope small(ui.fonts.text, kSmallSize);
    if (!recording.unavailable.empty()) {
        text(recording.unavailable, colour::kWarning);
    } else if (!recording.encoder.empty()) {
        text("Encoder: " + recording.encoder, colour::kDim);
    }
}

void view_menu(const PanelContext& ui, OverlayState& overlay) {
    UiPreferences& preferences = ui.preferences;
    ImGui::MenuItem("KV memory", nullptr, &preferences.show_memory);
    ImGui::MenuItem("Chunk latency", nullptr, &preferences.show_latency);
    ImGui::MenuItem("World", nullptr, &preferences.show_world);
    ImGui::MenuItem("Session", nullptr, &preferences.show_session);
    ImGui::MenuItem("Timeline", nullptr, &preferences.show_timeline);
    ImGui::MenuItem("Keys and heading on the picture", nullptr, &preferences.show_hud);
    overlay.hide_panels |= item("Hide all panels", KeyCommand::hide_panels);
    overlay.reset_layout |= ImGui::MenuItem("Layout as at first");
    ImGui::Separator();
    if (ImGui::BeginMenu("Scaling of the picture")) {
        for (std::size_t i = 0; i < render::kUpscaleModeNames.size(); ++i) {
            const auto mode = static_cast<render::UpscaleMode>(i);
            if (ImGui::MenuItem(std::string(render::kUpscaleModeNames[i]).c_str(), nullptr, mode == ui.model.upscale)) {
                ui.commands.upscale = mode;
            }
        }
        ImGui::EndMenu();
    }
    if (ImGui::BeginMenu("Size of the text")) {
        for (const int percent : {80, 90, 100, 115, 130, 150, 200}) {
            const float scale = static_cast<float>(percent) / 100;
            if (ImGui::MenuItem(fmt::format("{} %", percent).c_str(), nullptr, preferences.text_scale == scale)) {
                preferences.text_scale = scale;
            }
        }
        ImGui::EndMenu();
    }
    ui.commands.toggle_fullscreen |=
        ImGui::MenuItem("Full screen", key_label_of(KeyCommand::fullscreen).c_str(), ui.model.fullscreen);
}

// "INT2 four-level  4.2x    16.0 fps" at the right end.
void live_figures(const PanelContext& ui) {
    const FontScope scope(ui.fonts.figures, kFigureSize);
    const std::string format = format_label(ui.model, ui.model.format);
    const double ratio = ui.model.history.empty() ? 0 : ui.model.history.newest().ledger.ratio();
    const std::string left = fmt::format("{}{}", format, ratio_figure(ratio, 6));
    const std::string right = fmt::format("{} fps", fps_figure(ui.model.presented_fps));
    const float gap = ui.px(22);
    const float width = ImGui::CalcTextSize(left.c_str()).x + gap + ImGui::CalcTextSize(right.c_str()).x + ui.px(12);
    ImGui::SetCursorPosX(ImGui::GetWindowWidth() - width);
    text(left, colour::of_family(family_in(ui.model, ui.model.format)));
    ImGui::SameLine(0, gap);
    text(right);
}

} // namespace

void menu_bar(const PanelContext& ui, OverlayState& overlay) {
    ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, ImVec2(ui.px(8), ui.px(7)));
    const bool open = ImGui::BeginMainMenuBar();
    ImGui::PopStyleVar();
    if (!open) {
        return;
    }
    {
        const FontScope bold(ui.fonts.bold, kTextSize);
        ImGui::SetCursorPosX(ui.px(14));
        text("Wander", colour::kAccent);
    }
    ImGui::SameLine(0, ui.px(14));
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(ui.px(8), ui.px(8)));
    const auto menu = [](const char* name, auto&& body) {
        if (ImGui::BeginMenu(name)) {
            body();
            ImGui::EndMenu();
        }
    };
    menu("World", [&] { world_menu(ui, overlay); });
    menu("Cache", [&] { cache_menu(ui); });
    menu("Record", [&] { record_menu(ui); });
    menu("View", [&] { view_menu(ui, overlay); });
    menu("Help", [&] {
        overlay.show_keys |= item("Keys", KeyCommand::show_keys);
        overlay.show_about |= ImGui::MenuItem("About Wander");
    });
    ImGui::PopStyleVar();
    live_figures(ui);
    ImGui::EndMainMenuBar();
}

} // namespace wander::gui
