#include "generator/camera/pose_string.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

namespace wander {

namespace {

constexpr std::array<std::pair<std::string_view, Action>, 8> kPoseActions = {{
    {"w", Action::forward},
    {"s", Action::back},
    {"a", Action::left},
    {"d", Action::right},
    {"up", Action::pitch_up},
    {"down", Action::pitch_down},
    {"left", Action::yaw_left},
    {"right", Action::yaw_right},
}};

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n\f\v";
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::optional<Action> find_action(std::string_view name) {
    for (const auto& [known, action] : kPoseActions) {
        if (name == known) return action;
    }
    return std::nullopt;
}

std::optional<double> parse_number(std::string_view text) {
    if (text.starts_with('+')) text.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || std::signbit(value))
        return std::nullopt;
    return value;
}

Error refusal(std::string_view item, std::string_view why) {
    return {ErrorCode::wrong_use,
            fmt::format("pose string: \"{}\" {}; write items like w-8 or right-4, separated by commas", item, why)};
}

} // namespace

Result<std::vector<Action>> parse_pose_string(std::string_view text) {
    std::vector<Action> steps;
    while (true) {
        const auto comma = text.find(',');
        const std::string_view item = trimmed(text.substr(0, comma));
        if (!item.empty()) {
            const auto dash = item.find('-');
            if (dash == std::string_view::npos) return refusal(item, "has no '-'");
            if (item.find('-', dash + 1) != std::string_view::npos) return refusal(item, "has more than one '-'");
            const auto action = find_action(trimmed(item.substr(0, dash)));
            if (!action) return refusal(item, "names no action (w s a d up down left right)");
            const auto count = parse_number(trimmed(item.substr(dash + 1)));
            if (!count) return refusal(item, "has no number of latents after the '-'");
            if (*count + static_cast<double>(steps.size()) > kMaxPoseStringLatents)
                return refusal(item, "makes the walk too long");
            steps.insert(steps.end(), static_cast<std::size_t>(*count), *action);
        }
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    if (steps.empty())
        return Error{ErrorCode::wrong_use,
                     "pose string: it holds no step; write items like w-8 or right-4, separated by commas"};
    return steps;
}

} // namespace wander
