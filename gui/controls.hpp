#pragma once
// Turns window events into held actions, mouse travel and commands, by the key map. No ImGui here. Main thread.
//
// A key that was pressed before typing began is still released by its release; losing the focus releases everything.
// Key repeats are ignored.

#include "generator/plain/control_state.hpp"
#include "gui/key_map.hpp"
#include "render/plain/window_events.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace wander::gui {

struct InputGate {
    bool typing = false;  // keys go to a text field; only Ctrl combinations and function keys act
    bool blocked = false; // a dialog is open: nothing moves; quitting and closing still work
};

class Controls {
public:
    void handle(const render::WindowEvent& event, const InputGate& gate, float mouse_rad_per_unit);
    // The pad as it is now; a pad tells of no changes by itself. Buttons act when they go down. Without the focus
    // nothing of it counts. True: it means something else than before, so a frame is due.
    bool pad(const render::GamepadState& pad, const InputGate& gate, double at_seconds);

    // What the right button was pressed over, if that is still open: the world, or a panel. Only a later frame knows,
    // for the mouse may have come from elsewhere by the press; its travel since then waits.
    void settle_look(bool over_world);

    // Held actions, sticks, and the mouse travel since the previous call.
    ControlState take_state();
    std::vector<KeyCommand> take_commands();
    bool looking() const { return looking_; } // right button held, pressed over the world
    bool holds(Action action) const { return state_.holds(action); }
    void release_all(double at_seconds);

private:
    struct Travel {
        float yaw_rad = 0, pitch_rad = 0;
        double at_seconds = 0;
    };

    void on_key(const render::KeyEvent& event, const InputGate& gate);
    void on_move(const Travel& travel);
    void update_held(double at_seconds);

    std::vector<render::Key> keys_down_;
    std::vector<KeyCommand> commands_;
    ControlState state_;
    std::uint32_t pad_buttons_ = 0;
    bool looking_ = false;
    std::optional<Travel> pressed_; // the right button, not settled; what the mouse travelled since
    bool focused_ = true;
};

} // namespace wander::gui
