// The Session panel: the prompt, the context and the decoder.

#include "gui/layout.hpp"
#include "tests/support/ui_samples.hpp"
#include "tests/unit/gui/headless_gui.hpp"

#include <optional>
#include <string>

namespace wander::gui::test {
namespace {

// The lowest row of the Session panel, right across.
ImVec2 lowest_row(float from_left, float from_right) {
    const ImGuiWindow* session = ImGui::FindWindowByName(kSessionPanel);
    const float x = from_left > 0 ? session->InnerRect.Min.x + from_left : session->InnerRect.Max.x - from_right;
    return {x, session->DC.CursorStartPos.y + session->ContentSize.y - ImGui::GetFrameHeight() / 2};
}

TEST(Gui, OnlyHyWorldPlayHasAContextToChoose) {
    Gui gui = make_gui();
    UiModel model = samples::sample_worldplay_model(3);
    frames(gui, model, 3);
    ImGui::SetWindowFocus(kSessionPanel);
    frames(gui, model, 3);
    ASSERT_TRUE(is_drawn(kSessionPanel));
    click(gui, model, lowest_row(60, 0));
    frames(gui, model, 3);
    ASSERT_TRUE(open_combo());
    const int lines = static_cast<int>(model.session.contexts.size());
    const UiFrame chosen = click(gui, model, line_of(*open_combo(), 2, lines));
    ASSERT_TRUE(chosen.commands.context_latents);
    EXPECT_EQ(*chosen.commands.context_latents, model.session.contexts[2]);
    frames(gui, model, 3);
    for (const bool fast : {false, true}) {
        model.session.fast_context = fast;
        frames(gui, model, 2);
        const UiFrame frame = click(gui, model, lowest_row(0, 30));
        ASSERT_TRUE(frame.commands.fast_context) << fast;
        EXPECT_EQ(*frame.commands.fast_context, !fast);
    }
    const float with_context = ImGui::FindWindowByName(kSessionPanel)->ContentSize.y;
    model.session.context_latents = 0; // another model
    frames(gui, model, 3);
    EXPECT_LT(ImGui::FindWindowByName(kSessionPanel)->ContentSize.y, with_context - 15);
}

// Right of the buttons below the prompt, above the row of the context.
TEST(Gui, ADecoderIsChosenWhereThereAreTwo) {
    Gui gui = make_gui();
    UiModel model = samples::sample_worldplay_model(3);
    frames(gui, model, 3);
    ImGui::SetWindowFocus(kSessionPanel);
    frames(gui, model, 3);
    const ImVec2 context = lowest_row(150, 0);
    const ImVec2 box = {context.x, context.y - ImGui::GetFrameHeightWithSpacing()};
    for (const char* decoder : {"full", "tiny"}) {
        model.session.decoder = decoder;
        frames(gui, model, 2);
        const UiFrame frame = click(gui, model, box);
        ASSERT_TRUE(frame.commands.decoder) << decoder;
        EXPECT_NE(*frame.commands.decoder, decoder);
        EXPECT_TRUE(*frame.commands.decoder == "full" || *frame.commands.decoder == "tiny");
    }
    model.session.decoders = {"full"};
    frames(gui, model, 2);
    EXPECT_FALSE(click(gui, model, box).commands.decoder);
}

void type(const char* text) {
    for (const char* c = text; *c; ++c) ImGui::GetIO().AddInputCharacter(static_cast<unsigned char>(*c));
}

TEST(Gui, ATypedPromptIsSentWithEnterAndKeysDoNotSteerMeanwhile) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_text_model(20);
    frames(gui, model, 5);
    click(gui, model, in_panel(kSessionPanel, 100, 60)); // the text field
    frames(gui, model, 2);
    EXPECT_TRUE(ImGui::GetIO().WantTextInput);
    press(gui, Key::w);
    EXPECT_EQ(one_frame(gui, model).controls.held, 0);
    ImGuiIO& io = ImGui::GetIO();
    io.AddKeyEvent(ImGuiMod_Ctrl, true);
    io.AddKeyEvent(ImGuiKey_A, true);
    frames(gui, model, 2);
    io.AddKeyEvent(ImGuiKey_A, false);
    io.AddKeyEvent(ImGuiMod_Ctrl, false);
    frames(gui, model, 2);
    type("A lake.");
    frames(gui, model, 3);
    io.AddKeyEvent(ImGuiKey_Enter, true);
    std::optional<std::string> sent;
    for (int i = 0; i < 4; ++i) {
        const UiFrame frame = one_frame(gui, model);
        if (frame.commands.prompt) sent = frame.commands.prompt;
        io.AddKeyEvent(ImGuiKey_Enter, false);
    }
    ASSERT_TRUE(sent);
    EXPECT_EQ(*sent, "A lake.");
}

TEST(Gui, ATextModelWithoutAnEncoderSaysSo) {
    Gui gui = make_gui();
    UiModel model = samples::sample_text_model(20);
    model.session.takes_prompt = false;
    frames(gui, model, 5);
    click(gui, model, in_panel(kSessionPanel, 100, 60));
    frames(gui, model, 2);
    EXPECT_FALSE(ImGui::GetIO().WantTextInput) << "there is nothing to type into";
}

} // namespace
} // namespace wander::gui::test
