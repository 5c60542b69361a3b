#include "generator/rollout/plain/window_choice.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace wander {

namespace {

constexpr int kMostLatents = 4096;
constexpr std::string_view kEverything = "all";

constexpr std::array<WindowPreset, 5> kPresets = {{
    {"anchored", "21 latents, the first chunk stays: no flicker when it would leave", {21, 3, false}},
    {"rolling", "21 latents, nothing stays: the published model's own window", {21, 0, false}},
    {"long-live", "12 latents, the first chunk stays, positions inside the cache", {12, 3, true}},
    {"steady", "12 latents, half of them stay, positions inside the cache", {12, 6, true}},
    {"long-memory", "180 latents: for a compressed cache", {180, 0, false}},
}};

std::optional<int> whole_number(std::string_view text) {
    int value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size() || value < 0 || value > kMostLatents) return {};
    return value;
}

} // namespace

std::span<const WindowPreset> window_presets() { return kPresets; }

Result<WindowChoice> parse_window(const std::string& text) {
    for (const WindowPreset& preset : kPresets) {
        if (preset.name == text) return preset.choice;
    }
    constexpr std::string_view kSlots = ":slots";
    std::string_view rest = text;
    WindowChoice choice;
    choice.slot_positions = rest.ends_with(kSlots);
    if (choice.slot_positions) rest.remove_suffix(kSlots.size());
    const auto plus = rest.find('+');
    const std::string_view first = rest.substr(0, plus);
    const auto view = first == kEverything ? std::optional<int>(0) : whole_number(first);
    const auto sink = plus == std::string_view::npos ? std::optional<int>(0) : whole_number(rest.substr(plus + 1));
    if (view && sink && (*view > 0 || first == kEverything)) {
        choice.view_latents = *view;
        choice.sink_latents = *sink;
        return choice;
    }
    std::string names;
    for (const WindowPreset& preset : kPresets) names += fmt::format("{}{}", names.empty() ? "" : ", ", preset.name);
    return Error{
        ErrorCode::wrong_use,
        fmt::format("--window '{}': take {} or VIEW[+SINK][:slots] in latents, for example 42+3, or all", text, names)};
}

std::string window_text(const WindowChoice& choice) {
    for (const WindowPreset& preset : kPresets) {
        if (preset.choice == choice) return std::string(preset.name);
    }
    const std::string view = choice.view_latents > 0 ? std::to_string(choice.view_latents) : std::string(kEverything);
    return fmt::format("{}{}{}", view, choice.sink_latents > 0 ? fmt::format("+{}", choice.sink_latents) : "",
                       choice.slot_positions ? ":slots" : "");
}

Result<void> check_window(const WindowChoice& choice, int chunk_latents) {
    if (choice.sink_latents % chunk_latents != 0) {
        return Error{ErrorCode::wrong_use, fmt::format("--window {}: {} latents that stay are not whole chunks of {}",
                                                       window_text(choice), choice.sink_latents, chunk_latents)};
    }
    if (choice.view_latents > 0 && choice.history_latents(chunk_latents) < 1) {
        return Error{ErrorCode::wrong_use,
                     fmt::format("--window {}: leaves no history beside a chunk of {} latents; take at least {}",
                                 window_text(choice), chunk_latents, choice.sink_latents + chunk_latents + 1)};
    }
    return {};
}

} // namespace wander
