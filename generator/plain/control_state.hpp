#pragma once
// What the person holds down right now, and the camera pose that follows from it.
//
// The window (or a control script) fills a ControlState; the generator worker samples it once a chunk, as
// late as possible. Plain numbers, copied by value between threads.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace wander {

enum class Action : std::uint8_t {
    forward,
    back,
    left,
    right,
    yaw_left,
    yaw_right,
    pitch_up,
    pitch_down,
    up,
    down,
};
inline constexpr int kActionCount = 10;

// The names used in controls files and metrics.
inline constexpr std::array<std::string_view, kActionCount> kActionNames = {
    "forward", "back", "left", "right", "yaw_left", "yaw_right", "pitch_up", "pitch_down", "up", "down"};

// Radians; right and up positive.
struct MouseTravel {
    float yaw_rad = 0;
    float pitch_rad = 0;

    bool any() const { return yaw_rad != 0 || pitch_rad != 0; }
    friend bool operator==(const MouseTravel&, const MouseTravel&) = default;
};

// Pad sticks beyond their dead zone, -1..1; right and up positive. Zero where there is no pad.
struct StickPosition {
    float forward = 0;
    float right = 0;
    float yaw = 0;
    float pitch = 0;

    bool any() const { return forward != 0 || right != 0 || yaw != 0 || pitch != 0; }
    friend bool operator==(const StickPosition&, const StickPosition&) = default;
};

struct ControlState {
    std::uint16_t held = 0;        // bit i = Action i
    float mouse_yaw_rad = 0;       // travel since the last sampling, right positive
    float mouse_pitch_rad = 0;     // up positive
    double changed_at_seconds = 0; // steady clock, when the newest input arrived; 0 = never
    StickPosition sticks{};        // held like keys

    // Something is pressed, pushed or was moved.
    bool any() const { return held != 0 || mouse_yaw_rad != 0 || mouse_pitch_rad != 0 || sticks.any(); }
    bool holds(Action a) const { return (held >> static_cast<int>(a)) & 1u; }
    void set(Action a, bool down) {
        const auto bit = static_cast<std::uint16_t>(1u << static_cast<int>(a));
        held = static_cast<std::uint16_t>(down ? (held | bit) : (held & ~bit));
    }
};

// Camera of one latent. x right, z forward at yaw 0, units of the world; radians; yaw grows to the right, pitch up.
struct Pose {
    float x = 0;
    float z = 0;
    float yaw = 0;
    float pitch = 0;
};

} // namespace wander
