#include "gui/layout.hpp"
#include "gui/panels/panels.hpp"
#include "gui/plain/figures.hpp"
#include "gui/widgets.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace wander::gui {

namespace {

std::string held_names(const ControlState& controls) {
    std::string names;
    for (int i = 0; i < kActionCount; ++i) {
        if (controls.holds(static_cast<Action>(i))) {
            names += (names.empty() ? "" : ", ") + std::string(kActionNames[static_cast<std::size_t>(i)]);
        }
    }
    std::ranges::replace(names, '_', ' ');
    return names.empty() ? "none" : names;
}

void facts(const PanelContext& ui) {
    const UiModel& model = ui.model;
    const FontScope small(ui.fonts.text, kSmallSize);
    const float right = ImGui::GetCursorPosX() + ImGui::GetContentRegionAvail().x;
    ImGui::PushStyleVarY(ImGuiStyleVar_ItemSpacing, ui.px(3));
    {
        const FontScope bold(ui.fonts.bold, kTextSize);
        text(model.place.empty() ? model.session.model : model.place);
    }
    ImGui::SameLine();
    text(model.start, colour::kDim);
    ImGui::SameLine();
    figure_right(ui, fmt::format("seed {}", model.seed), right, colour::kDim, kSmallSize);

    if (model.session.camera_steering) {
        text("pose", colour::kDim);
        ImGui::SameLine();
        figure_right(ui,
                     fmt::format("x {:6.2f}  z {:6.2f}  {}\u00b0 {}\u00b0", model.pose.x, model.pose.z,
                                 heading_figure(model.pose.yaw), pitch_figure(model.pose.pitch)),
                     right, colour::kText, kSmallSize);
    }
    text("held", colour::kDim);
    ImGui::SameLine();
    figure_right(ui, held_names(ui.controls), right, colour::kText, kSmallSize);
    ImGui::PopStyleVar();
}

std::string context_name(const SessionFacts& session, int latents) {
    return fmt::format("reads {} latents{}", latents, latents == session.published_context ? ", as published" : "");
}

// How much a chunk of HY-WorldPlay reads of what was walked, and how it comes by its keys and values.
void context_choice(const PanelContext& ui) {
    const SessionFacts& session = ui.model.session;
    const char* fast_label = "fast";
    const float box = ImGui::GetFrameHeight() + ImGui::GetStyle().ItemInnerSpacing.x +
                      ImGui::CalcTextSize(fast_label).x + ImGui::GetStyle().ItemSpacing.x;
    ImGui::SetNextItemWidth(-box);
    if (ImGui::BeginCombo("##context", context_name(session, session.context_latents).c_str())) {
        for (const int latents : session.contexts) {
            const bool chosen = latents == session.context_latents;
            if (ImGui::Selectable(context_name(session, latents).c_str(), chosen) && !chosen)
                ui.commands.context_latents = latents;
        }
        ImGui::EndCombo();
    } else if (ImGui::IsItemHovered()) {
        ImGui::SetTooltip(
            "How many earlier latents a chunk reads; another choice loads the model anew and begins anew");
    }
    ImGui::SameLine();
    bool fast = session.fast_context;
    if (ImGui::Checkbox(fast_label, &fast)) ui.commands.fast_context = fast;
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip(
            "Fast context: keys and values of a chunk are made once instead of anew for every later chunk.\n"
            "Not as published. Another choice loads the model anew and begins anew");
}

} // namespace

void session_panel(const PanelContext& ui, PromptDraft& draft) {
    if (!begin_panel(kSessionPanel, &ui.preferences.show_session)) {
        ImGui::End();
        return;
    }
    facts(ui);
    ImGui::Dummy({0, ui.px(1)});
    const bool text_model = !ui.model.session.camera_steering;
    if (text_model || ui.model.session.takes_prompt) prompt_section(ui, draft);
    if (ui.model.session.context_latents > 0) context_choice(ui);
    ImGui::End();
}

} // namespace wander::gui
