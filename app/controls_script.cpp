#include "app/controls_script.hpp"

#include "generator/camera/actions.hpp"
#include "generator/camera/pose_string.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace wander {

namespace {

using Json = nlohmann::json;

constexpr std::uintmax_t kMaxFileBytes = 64 << 20;
constexpr std::int64_t kMaxChunk = std::int64_t{1} << 40;
constexpr double kMaxPauseSeconds = 3600;
constexpr double kMaxRewind = 1 << 30;
constexpr double kMaxMouseRadians = 1000;

std::string all_action_names() {
    std::string names;
    for (const auto name : kActionNames) {
        if (!names.empty()) names += ' ';
        names += name;
    }
    return names;
}

// Reads one line's object; the message of an error lacks file and line.
class EntryReader {
public:
    Result<ControlsEntry> read(const Json& object) {
        if (!object.is_object()) return fail("not a JSON object; write {\"chunk\": 0, \"hold\": [\"forward\"]}");
        const auto chunk = object.find("chunk");
        if (chunk == object.end() || !chunk->is_number_integer() || chunk->get<double>() < 0 ||
            chunk->get<double>() > static_cast<double>(kMaxChunk)) {
            return fail("\"chunk\" must be there, a whole number from 0 on");
        }
        entry_.chunk = chunk->get<std::int64_t>();
        for (const auto& [key, value] : object.items()) {
            if (auto read = read_key(key, value); !read) return read.error();
        }
        return entry_;
    }

private:
    static Error fail(const std::string& message) { return {ErrorCode::bad_input, message}; }

    Result<void> read_key(const std::string& key, const Json& value) {
        if (key == "chunk") return {};
        if (key == "hold") return read_hold(value);
        if (key == "mouse") return read_mouse(value);
        if (key == "sticks") return read_sticks(value);
        if (key == "cache" || key == "prompt") {
            if (!value.is_string()) return fail("\"" + key + "\" must be a text");
            (key == "cache" ? entry_.cache : entry_.prompt) = value.get<std::string>();
            return {};
        }
        if (key == "keep_recent") {
            if (!value.is_number_integer() || value.get<double>() < 0 || value.get<double>() > quant::kMaxKeepRecent) {
                return fail("\"keep_recent\" must be a whole number of chunks from 0 on");
            }
            entry_.cache_rules.keep_recent = value.get<int>();
            return {};
        }
        if (key == "keep_sink" || key == "bias_correction") {
            if (!value.is_boolean()) return fail("\"" + key + "\" must be true or false");
            (key == "keep_sink" ? entry_.cache_rules.keep_sink : entry_.cache_rules.bias_correction) =
                value.get<bool>();
            return {};
        }
        if (key == "cache_layers") {
            if (!value.is_string()) return fail("\"cache_layers\" must be a text like \"0-1:int8,5:bf16\"");
            auto table = quant::parse_layer_formats(value.get<std::string>());
            if (!table) return fail(table.error().message);
            entry_.cache_rules.layer_formats = std::move(*table);
            return {};
        }
        if (key == "camera_words") {
            if (!value.is_boolean()) return fail("\"camera_words\" must be true or false");
            entry_.camera_words = value.get<bool>();
            return {};
        }
        if (key == "rewind") {
            if (!value.is_number_integer() || value.get<double>() < 1 || value.get<double>() > kMaxRewind)
                return fail("\"rewind\" must be a whole number of chunks from 1 on");
            entry_.rewind = value.get<int>();
            return {};
        }
        if (key == "pause") {
            if (!value.is_number() || value.get<double>() < 0 || value.get<double>() > kMaxPauseSeconds) {
                return fail("\"pause\" must be a number of seconds, 0 to 3600");
            }
            entry_.pause_seconds = value.get<double>();
            return {};
        }
        if (key == "record") {
            if (!value.is_boolean()) return fail("\"record\" must be true or false");
            entry_.record = value.get<bool>();
            return {};
        }
        return fail(
            "unknown key \"" + key +
            "\"; known are chunk hold mouse sticks cache cache_layers keep_recent keep_sink bias_correction prompt "
            "camera_words rewind pause record");
    }

    Result<void> read_hold(const Json& value) {
        if (!value.is_array()) return fail("\"hold\" must be a list of actions, [] for none");
        ControlState state;
        for (const Json& name : value) {
            const auto action = name.is_string() ? action_from_name(name.get<std::string>()) : std::nullopt;
            if (!action)
                return fail("unknown action " + name.dump(-1, ' ', false, Json::error_handler_t::replace) +
                            "; actions are " + all_action_names());
            state.set(*action, true);
        }
        entry_.held = state.held;
        return {};
    }

    Result<void> read_mouse(const Json& value) {
        const auto radians = [](const Json& number) {
            return number.is_number() && std::abs(number.get<double>()) <= kMaxMouseRadians;
        };
        if (!value.is_array() || value.size() != 2 || !radians(value[0]) || !radians(value[1]))
            return fail("\"mouse\" must be [YAW, PITCH], radians to the right and up, like [0.1, -0.02]");
        entry_.mouse = {value[0].get<float>(), value[1].get<float>()};
        return {};
    }

    Result<void> read_sticks(const Json& value) {
        const auto position = [](const Json& number) {
            return number.is_number() && std::abs(number.get<double>()) <= 1;
        };
        if (!value.is_array() || value.size() != 4 || !std::ranges::all_of(value, position))
            return fail("\"sticks\" must be [FORWARD, RIGHT, YAW, PITCH], each -1 to 1, like [0.5, 0, -1, 0]");
        entry_.sticks = {value[0].get<float>(), value[1].get<float>(), value[2].get<float>(), value[3].get<float>()};
        return {};
    }

    ControlsEntry entry_;
};

bool blank(const std::string& line) { return line.find_first_not_of(" \t\r") == std::string::npos; }

} // namespace

Result<ControlsScript> ControlsScript::load(const std::string& argument) {
    if (argument.empty()) return ControlsScript{};
    std::error_code error;
    if (!std::filesystem::exists(argument, error)) {
        auto poses = from_pose_string(argument);
        if (poses) return poses;
        // What looks like a file's name is a file that is missing.
        const bool named_file = argument.find('/') != std::string::npos || argument.find('.') != std::string::npos;
        if (named_file) return Error{ErrorCode::bad_input, "--controls " + argument + ": there is no such file"};
        return Error{ErrorCode::wrong_use, poses.error().message + " (nor is there a file of that name)"};
    }
    if (std::filesystem::is_directory(argument, error))
        return Error{ErrorCode::bad_input, "--controls " + argument + ": a folder, not a controls file"};
    // A pipe has no size to ask for.
    std::ifstream in(argument, std::ios::binary);
    std::string text;
    std::array<char, 1 << 16> part{};
    while (in && text.size() <= kMaxFileBytes) {
        in.read(part.data(), part.size());
        text.append(part.data(), static_cast<std::size_t>(in.gcount()));
    }
    const bool large = text.size() > kMaxFileBytes;
    if (large || !in.eof()) {
        return Error{
            ErrorCode::bad_input,
            "--controls " + argument + (large ? ": larger than 64 MiB, not a controls file" : ": cannot be read")};
    }
    return from_json_lines(text, argument);
}

Result<ControlsScript> ControlsScript::from_json_lines(const std::string& text, const std::string& name) {
    ControlsScript script;
    script.name_ = name;
    std::istringstream lines(text);
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        if (blank(line)) continue;
        const auto fail = [&](const std::string& message) {
            return Error{ErrorCode::bad_input, fmt::format("{}, line {}: {}", name, number, message)};
        };
        const Json object = Json::parse(line, nullptr, false);
        if (object.is_discarded())
            return fail("not JSON; one object a line, like {\"chunk\": 0, \"hold\": [\"forward\"]}");
        auto entry = EntryReader().read(object);
        if (!entry) return fail(entry.error().message);
        entry->line = number;
        if (!script.entries_.empty() && script.entries_.back().chunk >= entry->chunk) {
            return fail("chunk " + std::to_string(entry->chunk) + " must come after chunk " +
                        std::to_string(script.entries_.back().chunk) + " of line " +
                        std::to_string(script.entries_.back().line));
        }
        script.entries_.push_back(*entry);
    }
    return script;
}

Result<ControlsScript> ControlsScript::from_pose_string(const std::string& text) {
    auto actions = parse_pose_string(text);
    if (!actions) return Error{actions.error().code, "--controls: " + actions.error().message};
    ControlsScript script;
    for (const Action action : *actions) {
        ControlState state;
        state.set(action, true);
        script.steps_.push_back(state.held);
    }
    return script;
}

ControlsEntry ControlsScript::at(std::int64_t chunk, int latents_per_chunk) const {
    if (!steps_.empty()) {
        const std::int64_t latent = chunk * latents_per_chunk;
        const bool within = latent < static_cast<std::int64_t>(steps_.size());
        ControlsEntry entry;
        entry.chunk = chunk;
        entry.held = within ? steps_[static_cast<std::size_t>(latent)] : std::uint16_t{0};
        return entry;
    }
    ControlsEntry now;
    std::uint16_t held = 0;
    StickPosition sticks;
    for (const ControlsEntry& entry : entries_) {
        if (entry.chunk > chunk) break;
        if (entry.held) held = *entry.held;
        if (entry.sticks) sticks = *entry.sticks;
        if (entry.chunk == chunk) now = entry;
    }
    now.chunk = chunk;
    now.held = held;
    now.sticks = sticks;
    return now;
}

std::int64_t ControlsScript::chunks(int latents_per_chunk) const {
    if (!steps_.empty()) return (static_cast<std::int64_t>(steps_.size()) + latents_per_chunk - 1) / latents_per_chunk;
    return entries_.empty() ? 0 : entries_.back().chunk + 1;
}

std::string ControlsScript::where(const ControlsEntry& entry) const {
    return entry.line > 0 ? name_ + ", line " + std::to_string(entry.line) + ": " : name_ + ": ";
}

} // namespace wander
