#include "app/settings.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <system_error>
#include <utility>

namespace wander {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kSettingsFile = "settings.json";
constexpr const char* kLayoutFile = "layout.ini";
constexpr std::uintmax_t kMaxFileBytes = 1 << 20; // ours have a few hundred
constexpr std::size_t kRecentModels = 10;
constexpr int kMinWindow = 320;
constexpr int kMaxWindow = 16384;

std::optional<std::string> read_file(const fs::path& file) {
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored) || fs::file_size(file, ignored) > kMaxFileBytes) {
        return std::nullopt;
    }
    std::ifstream in(file, std::ios::binary);
    if (!in) {
        return std::nullopt;
    }
    return std::string(std::istreambuf_iterator<char>(in), {});
}

// A crash in the middle leaves the old file.
Result<void> write_file(const fs::path& folder, const char* name, std::string_view text) {
    std::error_code error;
    fs::create_directories(folder, error);
    const fs::path part = folder / (std::string(name) + ".new");
    if (!error) {
        std::ofstream out(part, std::ios::binary | std::ios::trunc);
        out.write(text.data(), static_cast<std::streamsize>(text.size()));
        out.close();
        if (!out) {
            error = std::make_error_code(std::errc::io_error);
        }
    }
    if (!error) {
        fs::rename(part, folder / name, error);
    }
    if (error) {
        std::error_code ignored;
        fs::remove(part, ignored);
        return Error{ErrorCode::io,
                     "cannot write " + (folder / name).string() + " (" + error.message() +
                         "): settings of this run are not kept; check the folder's permissions and free space"};
    }
    return {};
}

// Takes `key` when it is there and of the right kind; anything else leaves the default.
void take(const json& from, const char* key, bool& value) {
    if (const auto it = from.find(key); it != from.end() && it->is_boolean()) {
        value = it->get<bool>();
    }
}
void take(const json& from, const char* key, std::string& value) {
    if (const auto it = from.find(key); it != from.end() && it->is_string()) {
        value = it->get<std::string>();
    }
}
void take(const json& from, const char* key, std::vector<std::string>& values) {
    const auto it = from.find(key);
    if (it == from.end() || !it->is_array()) {
        return;
    }
    values.clear();
    for (const json& value : *it) {
        if (value.is_string() && values.size() < kRecentModels) {
            values.push_back(value.get<std::string>());
        }
    }
}
void take(const json& from, const char* key, float& value, float low, float high) {
    if (const auto it = from.find(key); it != from.end() && it->is_number()) {
        value = std::clamp(it->get<float>(), low, high);
    }
}
std::optional<int> integer(const json& from, const char* key, int low, int high) {
    const auto it = from.find(key);
    if (it == from.end() || !it->is_number_integer()) {
        return std::nullopt;
    }
    return static_cast<int>(std::clamp<std::int64_t>(it->get<std::int64_t>(), low, high));
}

json object_at(const json& from, const char* key) {
    const auto it = from.find(key);
    return it != from.end() && it->is_object() ? *it : json::object();
}

Settings from_json(const json& root) {
    Settings s;
    const json window = object_at(root, "window");
    s.window_width = integer(window, "width", kMinWindow, kMaxWindow).value_or(s.window_width);
    s.window_height = integer(window, "height", kMinWindow, kMaxWindow).value_or(s.window_height);
    s.window_x = integer(window, "x", -kMaxWindow, kMaxWindow);
    s.window_y = integer(window, "y", -kMaxWindow, kMaxWindow);
    take(window, "maximised", s.window_maximised);
    take(window, "fullscreen", s.fullscreen);

    std::string upscale;
    take(root, "upscale", upscale);
    const auto mode = std::ranges::find(render::kUpscaleModeNames, upscale);
    if (mode != render::kUpscaleModeNames.end()) {
        s.upscale = static_cast<render::UpscaleMode>(mode - render::kUpscaleModeNames.begin());
    }
    const json ui = object_at(root, "ui");
    take(ui, "show_memory", s.ui.show_memory);
    take(ui, "show_latency", s.ui.show_latency);
    take(ui, "show_world", s.ui.show_world);
    take(ui, "show_session", s.ui.show_session);
    take(ui, "show_timeline", s.ui.show_timeline);
    take(ui, "show_hud", s.ui.show_hud);
    take(ui, "hold_while_idle", s.ui.hold_while_idle);
    take(ui, "text_scale", s.ui.text_scale, 0.5f, 3.0f);
    take(ui, "mouse_rad_per_unit", s.ui.mouse_rad_per_unit, 0.0001f, 0.1f);
    take(root, "cache_format", s.cache_format);
    take(root, "bias_correction", s.bias_correction);
    take(root, "start", s.start);
    take(root, "record_dir", s.record_dir);
    take(root, "recent_models", s.recent_models);
    return s;
}

// Into `root`, so that keys of other versions stay.
void into_json(const Settings& s, json& root) {
    json& window = root["window"];
    window = object_at(root, "window");
    window["width"] = s.window_width;
    window["height"] = s.window_height;
    window["x"] = s.window_x ? json(*s.window_x) : json();
    window["y"] = s.window_y ? json(*s.window_y) : json();
    window["maximised"] = s.window_maximised;
    window["fullscreen"] = s.fullscreen;
    root["upscale"] = render::kUpscaleModeNames[static_cast<std::size_t>(s.upscale)];
    json& ui = root["ui"];
    ui = object_at(root, "ui");
    ui["show_memory"] = s.ui.show_memory;
    ui["show_latency"] = s.ui.show_latency;
    ui["show_world"] = s.ui.show_world;
    ui["show_session"] = s.ui.show_session;
    ui["show_timeline"] = s.ui.show_timeline;
    ui["show_hud"] = s.ui.show_hud;
    ui["hold_while_idle"] = s.ui.hold_while_idle;
    ui["text_scale"] = s.ui.text_scale;
    ui["mouse_rad_per_unit"] = s.ui.mouse_rad_per_unit;
    root["cache_format"] = s.cache_format;
    root["bias_correction"] = s.bias_correction;
    root["start"] = s.start;
    root["record_dir"] = s.record_dir;
    root["recent_models"] = s.recent_models;
}

// Deeply nested text would exhaust the stack while it is destroyed; settings have two levels.
json parse_object(const std::string& text) {
    int depth = 0;
    const auto within_limit = [&](int, json::parse_event_t event, json&) {
        if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
            return ++depth <= 16;
        }
        if (event == json::parse_event_t::object_end || event == json::parse_event_t::array_end) {
            --depth;
        }
        return true;
    };
    json root = json::parse(text, within_limit, /*allow_exceptions=*/false);
    return root.is_object() ? root : json(json::value_t::discarded);
}

} // namespace

void Settings::opened(const std::string& model_folder) {
    std::erase(recent_models, model_folder);
    recent_models.insert(recent_models.begin(), model_folder);
    if (recent_models.size() > kRecentModels) {
        recent_models.resize(kRecentModels);
    }
}

fs::path SettingsFiles::default_folder() {
    // The specification of the desktops: a relative path in the variable is to be ignored.
    if (const char* xdg = std::getenv("XDG_CONFIG_HOME"); xdg && *xdg == '/') {
        return fs::path(xdg) / "wander";
    }
    const char* home = std::getenv("HOME");
    return fs::path(home && *home ? home : ".") / ".config" / "wander";
}

SettingsFiles::SettingsFiles(fs::path folder) : folder_(std::move(folder)) {}

LoadedSettings SettingsFiles::load() {
    const fs::path file = folder_ / kSettingsFile;
    std::error_code error;
    if (!fs::exists(file, error)) {
        return {};
    }
    const std::optional<std::string> text = read_file(file);
    const json root = text ? parse_object(*text) : json(json::value_t::discarded);
    if (!root.is_discarded()) {
        return {from_json(root), {}};
    }
    const fs::path aside = folder_ / (std::string(kSettingsFile) + ".damaged");
    fs::rename(file, aside, error);
    const std::string kept = error ? "it will be replaced" : "it was kept as " + aside.filename().string();
    return {Settings{}, "cannot read the settings in " + file.string() + ": defaults are used, and " + kept};
}

Result<void> SettingsFiles::save(const Settings& settings) {
    json root = json::object();
    if (const std::optional<std::string> text = read_file(folder_ / kSettingsFile)) {
        if (json old = parse_object(*text); !old.is_discarded()) {
            root = std::move(old);
        }
    }
    into_json(settings, root);
    // Names of files may hold bytes that are not UTF-8; they are replaced instead of failing the whole file.
    return write_file(folder_, kSettingsFile, root.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

std::string SettingsFiles::load_layout() const { return read_file(folder_ / kLayoutFile).value_or(std::string()); }

Result<void> SettingsFiles::save_layout(std::string_view text) { return write_file(folder_, kLayoutFile, text); }

} // namespace wander
