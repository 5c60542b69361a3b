// What lies over the panels: the dialog of a failure, the key sheet, toasts.

#include "tests/support/ui_samples.hpp"
#include "tests/unit/gui/headless_gui.hpp"

#include <string>

namespace wander::gui::test {
namespace {

TEST(Gui, AFailureOpensADialogThatBlocksTheWalkButKeepsTheWindow) {
    Gui gui = make_gui();
    UiModel model = samples::sample_model(3);
    frames(gui, model, 3);
    model.failure = "weights.safetensors is damaged. Choose another folder.";
    model.worker = WorkerState::failed;
    frames(gui, model, 3);
    ASSERT_TRUE(is_drawn("The walk stopped"));
    press(gui, Key::w);
    press(gui, Key::space);
    press(gui, Key::q, true, true);
    const UiFrame frame = one_frame(gui, model);
    EXPECT_EQ(frame.controls.held, 0);
    EXPECT_FALSE(frame.commands.toggle_pause);
    EXPECT_TRUE(frame.commands.quit);
    model.failure.clear();
    model.worker = WorkerState::generating;
    frames(gui, model, 3);
    EXPECT_FALSE(is_drawn("The walk stopped"));
}

TEST(Gui, F1ShowsTheKeysAndEscClosesThem) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    frames(gui, model, 2);
    press(gui, Key::f1);
    frames(gui, model, 3);
    EXPECT_TRUE(is_drawn("##key sheet"));
    const ImGuiWindow* keys = nullptr;
    for (const ImGuiWindow* window : ImGui::GetCurrentContext()->Windows) {
        keys = std::string(window->Name).starts_with("##key sheet/keys") ? window : keys;
    }
    ASSERT_TRUE(keys);
    EXPECT_EQ(keys->ScrollMax.y, 0) << "every key is visible at once";
    press(gui, Key::escape);
    frames(gui, model, 2);
    EXPECT_FALSE(is_drawn("##key sheet"));
}

TEST(Gui, ToastsComeAndGo) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    frames(gui, model, 8);
    ImGui::GetIO().DeltaTime = 1;
    frames(gui, model, 8);
    // Toasts are all that is drawn in front of every window, in a list of its own.
    const auto lists = [] { return ImGui::GetDrawData()->CmdLists.Size; };
    const int without = lists();
    gui.toast(ToastKind::info, "Saved");
    frames(gui, model, 2);
    EXPECT_EQ(lists(), without + 1);
    frames(gui, model, 7);
    EXPECT_EQ(lists(), without);
}

} // namespace
} // namespace wander::gui::test
