#pragma once
// What a person did to the window, as plain values: neither gui nor app needs the window library.
//
// Key names the physical meaning on the current layout (the W key of a QWERTY board is Key::w whatever it types
// on other layouts: movement keys stay where the fingers are). Printable keys have the value of their ASCII character.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace wander::render {

enum class Key : std::int16_t {
    unknown = -1,
    space = 32,
    apostrophe = 39,
    comma = 44,
    minus = 45,
    period = 46,
    slash = 47,
    digit_0 = 48,
    digit_9 = 57,
    semicolon = 59,
    equal = 61,
    a = 65,
    b,
    c,
    d,
    e,
    f,
    g,
    h,
    i,
    j,
    k,
    l,
    m,
    n,
    o,
    p,
    q,
    r,
    s,
    t,
    u,
    v,
    w,
    x,
    y,
    z,
    left_bracket = 91,
    backslash = 92,
    right_bracket = 93,
    grave_accent = 96,
    escape = 256,
    enter,
    tab,
    backspace,
    insert,
    del,
    right,
    left,
    down,
    up,
    page_up,
    page_down,
    home,
    end,
    caps_lock = 280,
    print_screen = 283,
    pause = 284,
    f1 = 290,
    f2,
    f3,
    f4,
    f5,
    f6,
    f7,
    f8,
    f9,
    f10,
    f11,
    f12,
    keypad_0 = 320,
    keypad_9 = 329,
    keypad_enter = 335,
    left_shift = 340,
    left_control,
    left_alt,
    left_super,
    right_shift,
    right_control,
    right_alt,
    right_super,
};

enum class MouseButton : std::uint8_t { left, right, middle, other };

struct KeyEvent {
    Key key = Key::unknown;
    bool down = false;
    bool repeat = false; // the keyboard's own repetition; down is true
    bool shift = false;
    bool control = false;
    bool alt = false;
    double at_seconds = 0; // steady clock
};

struct MouseButtonEvent {
    MouseButton button = MouseButton::left;
    bool down = false;
    double x = 0; // window units
    double y = 0;
    double at_seconds = 0;
};

// Travel since the previous event; while the cursor is captured it is not limited by the window's border.
struct MouseMoveEvent {
    double x = 0;
    double y = 0;
    double dx = 0;
    double dy = 0;
    double at_seconds = 0;
};

struct ScrollEvent {
    double dx = 0;
    double dy = 0;
};

struct FocusEvent {
    bool focused = false; // false: every held key counts as released
};

struct ResizeEvent {
    int width_px = 0; // framebuffer; 0 x 0 while minimised
    int height_px = 0;
};

struct ScaleEvent {
    float scale = 1;
};

struct DropEvent {
    std::vector<std::string> paths;
};

struct CloseEvent {};

using WindowEvent = std::variant<KeyEvent, MouseButtonEvent, MouseMoveEvent, ScrollEvent, FocusEvent, ResizeEvent,
                                 ScaleEvent, DropEvent, CloseEvent>;

// First connected gamepad, axes -1..1 (sticks right and down positive), triggers 0..1.
struct GamepadState {
    bool connected = false;
    float left_x = 0, left_y = 0;
    float right_x = 0, right_y = 0;
    float left_trigger = 0, right_trigger = 0;
    std::uint32_t buttons =
        0; // bit: 0 A, 1 B, 2 X, 3 Y, 4/5 bumpers, 6 back, 7 start, 8 guide, 9/10 sticks, 11..14 pad up right down left
};

} // namespace wander::render
