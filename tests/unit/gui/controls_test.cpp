#include "gui/controls.hpp"

#include <gtest/gtest.h>

namespace wander::gui {
namespace {

using render::Key;

constexpr float kSensitivity = 0.01f;

class ControlsTest : public testing::Test {
protected:
    void key(Key k, bool down, double at = 1) {
        render::KeyEvent event;
        event.key = k;
        event.down = down;
        event.at_seconds = at;
        send(event);
    }
    void right_button(bool down) {
        render::MouseButtonEvent event;
        event.button = render::MouseButton::right;
        event.down = down;
        send(event);
    }
    void move(double dx, double dy) {
        render::MouseMoveEvent event;
        event.dx = dx;
        event.dy = dy;
        event.at_seconds = 4;
        send(event);
    }
    void send(const render::WindowEvent& event) { controls_.handle(event, gate_, kSensitivity); }

    Controls controls_;
    InputGate gate_;
};

TEST_F(ControlsTest, SeveralKeysAtOnce) {
    key(Key::w, true, 2.0);
    key(Key::d, true, 2.5);
    key(Key::left, true, 3.0);
    ControlState state = controls_.take_state();
    EXPECT_TRUE(state.holds(Action::forward) && state.holds(Action::right) && state.holds(Action::yaw_left));
    EXPECT_EQ(state.changed_at_seconds, 3.0);
    key(Key::d, false, 3.5);
    state = controls_.take_state();
    EXPECT_TRUE(state.holds(Action::forward));
    EXPECT_FALSE(state.holds(Action::right));
    EXPECT_EQ(state.changed_at_seconds, 3.5);
    EXPECT_TRUE(controls_.take_commands().empty());
}

TEST_F(ControlsTest, CommandsComeOnceAPressWithoutRepeats) {
    key(Key::space, true);
    render::KeyEvent repeat;
    repeat.key = Key::space;
    repeat.down = true;
    repeat.repeat = true;
    send(repeat);
    key(Key::space, false);
    key(Key::n, true);
    EXPECT_EQ(controls_.take_commands(), (std::vector<KeyCommand>{KeyCommand::pause, KeyCommand::step}));
    EXPECT_TRUE(controls_.take_commands().empty());
}

TEST_F(ControlsTest, LosingTheFocusReleasesEverything) {
    key(Key::w, true);
    right_button(true);
    controls_.settle_look(true);
    EXPECT_TRUE(controls_.looking());
    right_button(true); // and one that waits for its frame
    send(render::FocusEvent{false});
    controls_.settle_look(true);
    EXPECT_EQ(controls_.take_state().held, 0);
    EXPECT_FALSE(controls_.looking());
    key(Key::w, false);
    EXPECT_EQ(controls_.take_state().held, 0);
}

TEST_F(ControlsTest, TypingKeepsLettersButReleasesHeldKeys) {
    key(Key::w, true);
    gate_.typing = true;
    key(Key::s, true);
    key(Key::c, true);
    key(Key::f9, true);
    key(Key::w, false);
    EXPECT_EQ(controls_.take_state().held, 0);
    EXPECT_EQ(controls_.take_commands(), std::vector<KeyCommand>{KeyCommand::record});
}

TEST_F(ControlsTest, ADialogBlocksTheWalkButNotQuitting) {
    gate_.blocked = true;
    key(Key::w, true);
    key(Key::space, true);
    render::KeyEvent quit;
    quit.key = Key::q;
    quit.down = true;
    quit.control = true;
    send(quit);
    EXPECT_EQ(controls_.take_state().held, 0);
    EXPECT_EQ(controls_.take_commands(), std::vector<KeyCommand>{KeyCommand::quit});
}

TEST_F(ControlsTest, ModifiersMakeOtherKeys) {
    render::KeyEvent event;
    event.key = Key::w;
    event.down = true;
    event.control = true;
    send(event);
    event.control = false;
    event.alt = true;
    send(event);
    EXPECT_EQ(controls_.take_state().held, 0);
}

TEST_F(ControlsTest, MouseLooksOnlyWhileTheRightButtonIsHeldOverTheWorld) {
    move(10, 10);
    EXPECT_EQ(controls_.take_state().mouse_yaw_rad, 0);
    right_button(true);
    move(10, 10);
    controls_.settle_look(false);
    EXPECT_FALSE(controls_.looking());
    right_button(true);
    controls_.settle_look(true);
    move(30, -10);
    controls_.settle_look(false); // the captured cursor may pass over panels
    move(20, 0);
    const ControlState state = controls_.take_state();
    EXPECT_FLOAT_EQ(state.mouse_yaw_rad, 0.5f);
    EXPECT_FLOAT_EQ(state.mouse_pitch_rad, 0.1f);
    EXPECT_EQ(state.changed_at_seconds, 4);
    EXPECT_EQ(controls_.take_state().mouse_yaw_rad, 0);
    right_button(false);
    move(5, 5);
    EXPECT_EQ(controls_.take_state().mouse_yaw_rad, 0);
}

TEST_F(ControlsTest, TravelBetweenAPressAndItsFrameWaitsForIt) {
    right_button(true);
    move(30, -10);
    key(Key::w, true, 4.5); // newer than that travel
    EXPECT_EQ(controls_.take_state().mouse_yaw_rad, 0);
    controls_.settle_look(true);
    const ControlState state = controls_.take_state();
    EXPECT_FLOAT_EQ(state.mouse_yaw_rad, 0.3f);
    EXPECT_FLOAT_EQ(state.mouse_pitch_rad, 0.1f);
    EXPECT_EQ(state.changed_at_seconds, 4.5);
    right_button(false);

    right_button(true);
    move(30, 0);
    right_button(false); // before a frame
    controls_.settle_look(true);
    EXPECT_FALSE(controls_.looking());
    gate_.blocked = true;
    right_button(true);
    controls_.settle_look(true);
    EXPECT_FALSE(controls_.looking());
    EXPECT_EQ(controls_.take_state().mouse_yaw_rad, 0);
}

} // namespace
} // namespace wander::gui
