#include "gui/key_map.hpp"

#include "gui/pad_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace wander::gui {

namespace {

using render::Key;
using enum KeyCommand;

constexpr std::array kBindings = {
    KeyBinding{Key::w, false, Action::forward, KeyGroup::move, "walk forward"},
    KeyBinding{Key::s, false, Action::back, KeyGroup::move, "walk back"},
    KeyBinding{Key::a, false, Action::left, KeyGroup::move, "step left"},
    KeyBinding{Key::d, false, Action::right, KeyGroup::move, "step right"},
    KeyBinding{Key::left, false, Action::yaw_left, KeyGroup::look, "turn left"},
    KeyBinding{Key::right, false, Action::yaw_right, KeyGroup::look, "turn right"},
    KeyBinding{Key::up, false, Action::pitch_up, KeyGroup::look, "look up"},
    KeyBinding{Key::down, false, Action::pitch_down, KeyGroup::look, "look down"},
    KeyBinding{Key::space, false, pause, KeyGroup::walk, "pause, go on"},
    KeyBinding{Key::n, false, step, KeyGroup::walk, "one chunk, then pause"},
    KeyBinding{Key::backspace, false, rewind, KeyGroup::walk, "back by one chunk"},
    KeyBinding{Key::r, false, restart, KeyGroup::walk, "start again"},
    KeyBinding{Key::c, false, toggle_cache, KeyGroup::walk, "cache BF16 <-> INT2"},
    KeyBinding{Key::t, false, toggle_cache, KeyGroup::walk, "cache BF16 <-> INT2"},
    KeyBinding{Key::f9, false, record, KeyGroup::capture, "record an MP4, stop"},
    KeyBinding{Key::f12, false, screenshot, KeyGroup::capture, "screenshot as PNG"},
    KeyBinding{Key::s, true, save_walk, KeyGroup::capture, "save the walk"},
    KeyBinding{Key::f1, false, show_keys, KeyGroup::window, "show the keys"},
    KeyBinding{Key::tab, false, hide_panels, KeyGroup::window, "hide all panels, show them"},
    KeyBinding{Key::f11, false, fullscreen, KeyGroup::window, "full screen"},
    KeyBinding{Key::escape, false, close_overlay, KeyGroup::window, "close what lies on top"},
    KeyBinding{Key::q, true, quit, KeyGroup::window, "quit"},
};

constexpr std::array<std::pair<Key, std::string_view>, 24> kNamedKeys = {{
    {Key::space, "Space"},
    {Key::escape, "Esc"},
    {Key::enter, "Enter"},
    {Key::tab, "Tab"},
    {Key::backspace, "Backspace"},
    {Key::insert, "Insert"},
    {Key::del, "Delete"},
    {Key::right, "Right"},
    {Key::left, "Left"},
    {Key::down, "Down"},
    {Key::up, "Up"},
    {Key::page_up, "Page up"},
    {Key::page_down, "Page down"},
    {Key::home, "Home"},
    {Key::end, "End"},
    {Key::caps_lock, "Caps lock"},
    {Key::print_screen, "Print"},
    {Key::pause, "Pause"},
    {Key::left_shift, "Shift"},
    {Key::right_shift, "Shift"},
    {Key::left_control, "Ctrl"},
    {Key::right_control, "Ctrl"},
    {Key::left_alt, "Alt"},
    {Key::right_alt, "Alt"},
}};

} // namespace

std::span<const KeyBinding> key_bindings() { return kBindings; }

const KeyBinding* find_binding(Key key, bool control) {
    const auto it =
        std::ranges::find_if(kBindings, [&](const KeyBinding& b) { return b.key == key && b.control == control; });
    return it == kBindings.end() ? nullptr : &*it;
}

std::string_view group_name(KeyGroup group) {
    constexpr std::array<std::string_view, kKeyGroupCount> kNames = {"Move", "Look", "Walk", "Capture", "Window"};
    return kNames[static_cast<std::size_t>(group)];
}

std::string key_name(Key key) {
    const int code = static_cast<int>(key);
    if (code > static_cast<int>(Key::space) && code <= static_cast<int>(Key::grave_accent)) {
        return std::string(1, static_cast<char>(code));
    }
    if (key >= Key::f1 && key <= Key::f12) {
        return fmt::format("F{}", code - static_cast<int>(Key::f1) + 1);
    }
    const auto it = std::ranges::find(kNamedKeys, key, &std::pair<Key, std::string_view>::first);
    return it == kNamedKeys.end() ? fmt::format("key {}", code) : std::string(it->second);
}

std::string key_label(const KeyBinding& binding) {
    return fmt::format("{}{}", binding.control ? "Ctrl+" : "", key_name(binding.key));
}

std::string key_label_of(KeyCommand command) {
    for (const KeyBinding& binding : kBindings) {
        if (const auto* c = std::get_if<KeyCommand>(&binding.effect); c && *c == command) {
            return key_label(binding);
        }
    }
    return {};
}

std::string keys_markdown() {
    std::vector<std::pair<std::string, std::string_view>> rows;
    for (const KeyBinding& binding : kBindings) {
        std::string label = fmt::format("`{}`", key_label(binding));
        if (!rows.empty() && rows.back().second == binding.help) {
            rows.back().first += " or " + label;
        } else {
            rows.emplace_back(std::move(label), binding.help);
        }
    }
    rows.emplace_back(kMouseLookKeys, kMouseLookHelp);
    rows.emplace_back(fmt::format("Pad: {}", kPadSticks), kPadSticksHelp);
    for (const PadBinding& binding : pad_bindings())
        rows.emplace_back(fmt::format("Pad: `{}`", binding.name), binding.help);
    std::string text = "| key | what it does |\n| --- | --- |\n";
    for (const auto& [keys, help] : rows) {
        text += fmt::format("| {} | {} |\n", keys, help);
    }
    return text;
}

} // namespace wander::gui
