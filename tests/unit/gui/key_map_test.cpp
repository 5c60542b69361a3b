#include "gui/key_map.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace wander::gui {
namespace {

using render::Key;

TEST(KeyMap, EveryCommandAndEveryActionOfTheWalkHasAKey) {
    std::set<KeyCommand> commands;
    std::set<Action> actions;
    for (const KeyBinding& binding : key_bindings()) {
        if (const auto* command = std::get_if<KeyCommand>(&binding.effect)) {
            commands.insert(*command);
        } else {
            actions.insert(std::get<Action>(binding.effect));
        }
    }
    EXPECT_EQ(commands.size(), static_cast<std::size_t>(kKeyCommandCount));
    // A walker has no way up or down.
    EXPECT_EQ(actions.size(), static_cast<std::size_t>(kActionCount - 2));
    EXPECT_FALSE(actions.contains(Action::up) || actions.contains(Action::down));
}

TEST(KeyMap, NoKeyMeansTwoThingsAndEveryOneIsNamedAndExplained) {
    std::set<std::pair<Key, bool>> seen;
    for (const KeyBinding& binding : key_bindings()) {
        EXPECT_TRUE(seen.emplace(binding.key, binding.control).second) << key_label(binding);
        EXPECT_FALSE(key_name(binding.key).starts_with("key ")) << static_cast<int>(binding.key);
        EXPECT_FALSE(binding.help.empty());
        EXPECT_EQ(find_binding(binding.key, binding.control), &binding);
    }
}

TEST(KeyMap, TheKeysOfTheManual) {
    const auto command = [](Key key, bool control = false) {
        return std::get<KeyCommand>(find_binding(key, control)->effect);
    };
    EXPECT_EQ(command(Key::space), KeyCommand::pause);
    EXPECT_EQ(command(Key::n), KeyCommand::step);
    EXPECT_EQ(command(Key::r), KeyCommand::restart);
    EXPECT_EQ(command(Key::c), KeyCommand::toggle_cache);
    EXPECT_EQ(command(Key::t), KeyCommand::toggle_cache);
    EXPECT_EQ(command(Key::f9), KeyCommand::record);
    EXPECT_EQ(command(Key::f12), KeyCommand::screenshot);
    EXPECT_EQ(command(Key::f11), KeyCommand::fullscreen);
    EXPECT_EQ(command(Key::tab), KeyCommand::hide_panels);
    EXPECT_EQ(command(Key::f1), KeyCommand::show_keys);
    EXPECT_EQ(command(Key::escape), KeyCommand::close_overlay);
    EXPECT_EQ(command(Key::q, true), KeyCommand::quit);
    EXPECT_EQ(find_binding(Key::q, false), nullptr);
    EXPECT_EQ(find_binding(Key::w, true), nullptr);
}

TEST(KeyMap, NamesAreThoseOnTheKeys) {
    EXPECT_EQ(key_name(Key::w), "W");
    EXPECT_EQ(key_name(Key::f12), "F12");
    EXPECT_EQ(key_name(Key::space), "Space");
    EXPECT_EQ(key_name(static_cast<Key>(300)), "F11");
    EXPECT_EQ(key_name(static_cast<Key>(264)), "Down");
    EXPECT_EQ(key_label_of(KeyCommand::quit), "Ctrl+Q");
    EXPECT_EQ(key_label_of(KeyCommand::toggle_cache), "C");
}

TEST(KeyMap, MarkdownHasARowForEveryHelpText) {
    const std::string table = keys_markdown();
    for (const KeyBinding& binding : key_bindings()) {
        EXPECT_NE(table.find(fmt::format("`{}`", key_label(binding))), std::string::npos);
        EXPECT_NE(table.find(binding.help), std::string::npos);
    }
    EXPECT_NE(table.find("| `C` or `T` | cache BF16 <-> INT2 |\n"), std::string::npos);
}

} // namespace
} // namespace wander::gui
