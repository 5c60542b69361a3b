// Keys and the mouse through the whole interface: commands, and what steers the walk.

#include "gui/layout.hpp"
#include "tests/support/ui_samples.hpp"
#include "tests/unit/gui/headless_gui.hpp"

namespace wander::gui::test {
namespace {

TEST(Gui, KeysBecomeCommandsOnce) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    frames(gui, model, 2);
    for (const Key key : {Key::c, Key::space, Key::n, Key::r, Key::f9, Key::f12, Key::f11}) {
        press(gui, key);
    }
    press(gui, Key::q, true, true);
    const UiCommands commands = one_frame(gui, model).commands;
    EXPECT_TRUE(commands.toggle_cache && commands.toggle_pause && commands.step && commands.restart);
    EXPECT_TRUE(commands.toggle_record && commands.screenshot && commands.toggle_fullscreen && commands.quit);
    const UiCommands next = one_frame(gui, model).commands;
    EXPECT_FALSE(next.toggle_cache || next.toggle_pause || next.step || next.restart || next.toggle_record ||
                 next.quit);
}

TEST(Gui, HeldKeysAndMouseTravelReachTheControls) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    const UiFrame first = frames(gui, model, 4);
    press(gui, Key::w);
    press(gui, Key::right);
    ImGui::GetIO().AddMousePosEvent(first.world.width / 2, kHeight / 2);
    frames(gui, model, 2);
    ImGui::GetIO().AddMouseButtonEvent(ImGuiMouseButton_Right, true);
    render::MouseButtonEvent button;
    button.button = render::MouseButton::right;
    button.down = true;
    gui.handle(button);
    render::MouseMoveEvent move;
    move.dx = 100;
    gui.handle(move);
    const UiFrame frame = one_frame(gui, model);
    EXPECT_TRUE(frame.controls.holds(Action::forward) && frame.controls.holds(Action::yaw_right));
    EXPECT_TRUE(frame.capture_cursor);
    EXPECT_FLOAT_EQ(frame.controls.mouse_yaw_rad, 100 * UiPreferences{}.mouse_rad_per_unit);
    EXPECT_EQ(one_frame(gui, model).controls.mouse_yaw_rad, 0);
}

// Where the mouse is when the button goes down counts, not where the last frame saw it; whatever ImGui puts off.
TEST(Gui, TheRightButtonCountsWhereTheMouseCameTo) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    const UiFrame first = frames(gui, model, 4);
    const ImVec2 panel = centre_of(kLatencyPanel);
    const ImVec2 world(first.world.width / 2, kHeight / 2);
    render::MouseButtonEvent button;
    button.button = render::MouseButton::right;
    for (const bool to_world : {true, false}) {
        const ImVec2 from = to_world ? panel : world;
        const ImVec2 to = to_world ? world : panel;
        ImGui::GetIO().AddMousePosEvent(from.x, from.y);
        frames(gui, model, 3);
        ImGui::GetIO().AddKeyEvent(ImGuiKey_W, to_world); // the position behind a key waits for another frame
        ImGui::GetIO().AddMousePosEvent(to.x, to.y);
        ImGui::GetIO().AddMouseButtonEvent(ImGuiMouseButton_Right, true);
        button.down = true;
        gui.handle(button);
        EXPECT_FALSE(one_frame(gui, model).capture_cursor);
        EXPECT_EQ(one_frame(gui, model).capture_cursor, to_world);
        ImGui::GetIO().AddMouseButtonEvent(ImGuiMouseButton_Right, false);
        button.down = false;
        gui.handle(button);
        EXPECT_FALSE(frames(gui, model, 2).capture_cursor);
    }
}

TEST(Gui, TheRightButtonOverAPanelDoesNotLookAround) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    frames(gui, model, 4);
    const ImVec2 at = centre_of(kLatencyPanel);
    ImGui::GetIO().AddMousePosEvent(at.x, at.y);
    frames(gui, model, 3);
    ImGui::GetIO().AddMouseButtonEvent(ImGuiMouseButton_Right, true);
    render::MouseButtonEvent button;
    button.button = render::MouseButton::right;
    button.down = true;
    gui.handle(button);
    EXPECT_FALSE(frames(gui, model, 2).capture_cursor);
}

} // namespace
} // namespace wander::gui::test
