#include "gui/panels/prompt_section.hpp"

#include "gui/widgets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace wander::gui {

namespace {

void take_over(PromptDraft& draft, const std::string& prompt) {
    std::size_t length = std::min(prompt.size(), draft.text.size() - 1);
    while (length > 0 && length < prompt.size() && (static_cast<unsigned char>(prompt[length]) & 0xC0U) == 0x80U)
        --length;
    std::copy_n(prompt.begin(), length, draft.text.begin());
    draft.text[length] = 0;
    draft.followed = prompt;
    draft.taken = prompt.substr(0, length);
}

void editor(const PanelContext& ui, PromptDraft& draft) {
    if (draft.followed != ui.model.prompt) take_over(draft, ui.model.prompt);
    ImGui::PushTextWrapPos(0);
    const ImVec2 size = {-1, ui.px(58)};
    const ImGuiInputTextFlags flags =
        ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_CtrlEnterForNewLine | ImGuiInputTextFlags_WordWrap;
    const bool entered = ImGui::InputTextMultiline("##prompt", draft.text.data(), draft.text.size(), size, flags);
    ImGui::PopTextWrapPos();
    const bool changed = std::string_view(draft.text.data()) != draft.taken;
    ImGui::BeginDisabled(!changed);
    const bool pressed = ImGui::Button("Apply");
    ImGui::EndDisabled();
    if (ImGui::IsItemHovered(ImGuiHoveredFlags_AllowWhenDisabled))
        ImGui::SetTooltip(
            "Enter does the same. From the next chunk on that its text is ready for;\nwhat was made before "
            "stays as it was.");
    if ((entered || pressed) && changed) ui.commands.prompt = draft.text.data();
    ImGui::SameLine();
    ImGui::BeginDisabled(!changed);
    if (ImGui::Button("Undo")) take_over(draft, ui.model.prompt);
    ImGui::EndDisabled();
}

// What the person should know of the newest text.
void note(const PanelContext& ui) {
    if (ui.model.history.empty()) return;
    const ChunkTelemetry& chunk = ui.model.history.newest();
    const FontScope small(ui.fonts.text, kSmallSize);
    ImGui::PushTextWrapPos(0);
    if (!chunk.prompt_note.empty()) text(chunk.prompt_note, colour::kWarning);
    if (chunk.prompt_pending) text("a new text is being read...", colour::kWarning);
    ImGui::PopTextWrapPos();
}

// The text that the newest chunk was made under; what the keys added stands out.
void in_effect(const PanelContext& ui) {
    if (ui.model.history.empty()) return;
    const ChunkTelemetry& chunk = ui.model.history.newest();
    const FontScope small(ui.fonts.text, kSmallSize);
    ImGui::PushTextWrapPos(0);
    std::string_view words = chunk.prompt;
    if (words.starts_with(ui.model.prompt)) words.remove_prefix(ui.model.prompt.size());
    text(words.empty() ? std::string_view("keys add nothing now") : words,
         words.empty() ? colour::kDim : colour::kAccent);
    ImGui::PopTextWrapPos();
    note(ui);
}

constexpr const char* kTinyLabel = "tiny decoder";

bool has_decoder_choice(const PanelContext& ui) { return ui.model.session.decoders.size() > 1; }

// Behind what is already in the row.
void decoder_choice(const PanelContext& ui) {
    if (!has_decoder_choice(ui)) return;
    ImGui::SameLine();
    bool tiny = ui.model.session.decoder == "tiny";
    if (ImGui::Checkbox(kTinyLabel, &tiny)) ui.commands.decoder = tiny ? "tiny" : "full";
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip(
            "Pictures by the tiny decoder: much faster, less fine.\n"
            "Another choice loads the model anew and begins anew");
}

void window_choice(const PanelContext& ui) {
    const SessionFacts& session = ui.model.session;
    const float box = ImGui::GetFrameHeight() + ImGui::GetStyle().ItemInnerSpacing.x +
                      ImGui::CalcTextSize(kTinyLabel).x + ImGui::GetStyle().ItemSpacing.x;
    ImGui::SetNextItemWidth(has_decoder_choice(ui) ? -box : -1);
    const std::string label = fmt::format("sees {}", session.window);
    if (ImGui::BeginCombo("##window", label.c_str())) {
        for (const NamedChoice& choice : session.windows) {
            const std::string line = fmt::format("{}: {}", choice.name, choice.help);
            if (ImGui::Selectable(line.c_str(), choice.name == session.window) && choice.name != session.window)
                ui.commands.window = choice.name;
        }
        ImGui::EndCombo();
    } else if (ImGui::IsItemHovered()) {
        ImGui::SetTooltip("Which latents the model sees; another choice begins anew");
    }
    decoder_choice(ui);
}

} // namespace

void prompt_section(const PanelContext& ui, PromptDraft& draft) {
    if (!ui.model.session.takes_prompt) {
        const FontScope small(ui.fonts.text, kSmallSize);
        ImGui::PushTextWrapPos(0);
        text("This model has no text encoder at hand: its text stays as it is, and keys do not steer it.",
             colour::kWarning);
        ImGui::PopTextWrapPos();
        window_choice(ui);
        return;
    }
    editor(ui, draft);
    if (ui.model.session.camera_steering) { // keys move a camera, the text is the person's alone
        decoder_choice(ui);
        note(ui);
        return;
    }
    ImGui::SameLine();
    bool words = ui.model.camera_words;
    if (ImGui::Checkbox("keys become words", &words)) ui.commands.camera_words = words;
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip(
            "This model has no camera: WASD and arrows put words behind the prompt\n"
            "(assets/prompts/camera_phrases.json, or your own file with --camera-phrases)");
    in_effect(ui);
    window_choice(ui);
}

} // namespace wander::gui
