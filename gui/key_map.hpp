#pragma once
// The one table of keys: key handling, the F1 overlay and the README's list all come from it.
//
// Keys are render::Key (the numbers of the window library, physical position on the board). Pure data, no thread rules.

#include "generator/plain/control_state.hpp"
#include "render/plain/window_events.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace wander::gui {

enum class KeyCommand : std::uint8_t {
    pause,
    step,
    rewind,
    save_walk,
    restart,
    toggle_cache,
    record,
    screenshot,
    fullscreen,
    hide_panels,
    show_keys,
    close_overlay,
    quit,
};
inline constexpr int kKeyCommandCount = 13;

enum class KeyGroup : std::uint8_t { move, look, walk, capture, window };
inline constexpr int kKeyGroupCount = 5;

struct KeyBinding {
    render::Key key = render::Key::unknown;
    bool control = false;                    // together with Ctrl
    std::variant<Action, KeyCommand> effect; // actions last while the key is held
    KeyGroup group = KeyGroup::walk;
    std::string_view help; // the same text for keys with the same effect
};

std::span<const KeyBinding> key_bindings();
// What pressing this key means; a letter with Ctrl is never the letter alone.
const KeyBinding* find_binding(render::Key key, bool control);

std::string_view group_name(KeyGroup group);
// As printed on the key: "W", "Left", "Space", "F9".
std::string key_name(render::Key key);
// With its modifier: "Ctrl+Q".
std::string key_label(const KeyBinding& binding);
// The first key with this effect, for menus.
std::string key_label_of(KeyCommand command);

// Looking around with the mouse is no key, but belongs into every list of them.
inline constexpr std::string_view kMouseLookKeys = "Right mouse button";
inline constexpr std::string_view kMouseLookHelp = "look around while held";

// Rows of a Markdown table "| keys | what they do |", for the README.
std::string keys_markdown();

} // namespace wander::gui
