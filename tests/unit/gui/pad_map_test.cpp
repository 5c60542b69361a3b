#include "gui/pad_map.hpp"
#include "gui/controls.hpp"

#include <gtest/gtest.h>

#include <set>

namespace wander::gui {
namespace {

render::GamepadState pad_with(std::uint32_t buttons) {
    render::GamepadState pad;
    pad.connected = true;
    pad.buttons = buttons;
    return pad;
}

TEST(PadMap, AStickAtRestIsNothingAndAtItsEndAKey) {
    render::GamepadState pad = pad_with(0);
    pad.left_x = 0.1F;
    pad.left_y = -0.1F;
    EXPECT_FALSE(stick_position(pad).any());
    pad.left_x = 0;
    pad.left_y = -1;
    pad.right_x = -1;
    EXPECT_EQ(stick_position(pad), (StickPosition{1, 0, -1, 0}));
    pad.right_x = 0;
    pad.right_y = -1;
    EXPECT_EQ(stick_position(pad), (StickPosition{1, 0, 0, 1}));
    pad.connected = false;
    EXPECT_FALSE(stick_position(pad).any());
}

TEST(PadMap, BeyondTheDeadZoneAStickStartsAtNothingAndKeepsItsDirection) {
    render::GamepadState pad = pad_with(0);
    pad.left_x = 0.19F;
    EXPECT_GT(stick_position(pad).right, 0.0F);
    EXPECT_LT(stick_position(pad).right, 0.05F);
    pad.left_x = 0.6F;
    pad.left_y = -0.3F;
    const StickPosition aside = stick_position(pad);
    EXPECT_NEAR(aside.right / aside.forward, 2.0F, 1e-5F);
}

TEST(PadMap, ArrowButtonsWalk) {
    EXPECT_EQ(stick_position(pad_with(1U << 11)), (StickPosition{1, 0, 0, 0}));
    EXPECT_EQ(stick_position(pad_with((1U << 12) | (1U << 13))), (StickPosition{-1, 1, 0, 0}));
    EXPECT_EQ(stick_position(pad_with(1U << 14)), (StickPosition{0, -1, 0, 0}));
}

TEST(PadMap, NoButtonMeansTwoThingsOrWalksToo) {
    std::set<std::uint32_t> seen;
    for (const PadBinding& binding : pad_bindings()) {
        EXPECT_TRUE(seen.insert(binding.button).second) << binding.name;
        EXPECT_FALSE(stick_position(pad_with(1U << binding.button)).any()) << binding.name;
    }
}

TEST(PadControls, ButtonsActOnceWhenTheyGoDown) {
    Controls controls;
    EXPECT_TRUE(controls.pad(pad_with(1), {}, 1));
    EXPECT_FALSE(controls.pad(pad_with(1), {}, 2));
    EXPECT_EQ(controls.take_commands(), std::vector{KeyCommand::toggle_cache});
    controls.pad(pad_with(0), {}, 3);
    controls.pad(pad_with(1), {.blocked = true}, 4);
    EXPECT_TRUE(controls.take_commands().empty());
}

TEST(PadControls, SticksAreHeldUntilTheyReturnOrTheFocusGoes) {
    Controls controls;
    render::GamepadState pad = pad_with(0);
    pad.left_y = -1;
    EXPECT_TRUE(controls.pad(pad, {}, 2));
    EXPECT_FALSE(controls.pad(pad, {}, 3));
    ControlState state = controls.take_state();
    EXPECT_EQ(state.sticks.forward, 1.0F);
    EXPECT_EQ(state.changed_at_seconds, 2.0);
    EXPECT_EQ(controls.take_state().sticks.forward, 1.0F);
    controls.handle(render::FocusEvent{false}, {}, 1);
    EXPECT_FALSE(controls.take_state().sticks.any());
    controls.pad(pad, {}, 4);
    EXPECT_FALSE(controls.take_state().sticks.any());
    controls.handle(render::FocusEvent{true}, {}, 1);
    EXPECT_TRUE(controls.pad(pad, {}, 5));
    EXPECT_TRUE(controls.take_state().sticks.any());
    EXPECT_TRUE(controls.pad({}, {}, 6)); // unplugged
    EXPECT_FALSE(controls.take_state().sticks.any());
}

} // namespace
} // namespace wander::gui
