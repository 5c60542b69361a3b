#pragma once
// What the program remembers between runs: one struct with defaults, kept as JSON in the user's configuration folder.
//
// Main thread. Reading never fails the program: a damaged file is put aside and the defaults are used, with a message
// for the person. Writing is atomic (a new file takes the old one's name) and keeps keys that this version does not
// know. The command line wins over settings; the app applies it after load.

#include "generator/plain/result.hpp"
#include "gui/plain/ui_model.hpp"
#include "render/plain/draw_request.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

struct Settings {
    // New process: where the window was.
    int window_width = 1280;
    int window_height = 720;
    std::optional<int> window_x;
    std::optional<int> window_y;
    bool window_maximised = false;
    // Live.
    bool fullscreen = false;
    render::UpscaleMode upscale = render::UpscaleMode::sharp;
    gui::UiPreferences ui;
    // Next chunk.
    std::string cache_format = "int2";
    bool bias_correction = false;
    // New model. Folders that were opened, newest first.
    std::vector<std::string> recent_models;
    // New start.
    std::string start; // empty: the model's first
    // Next recording. Empty: the user's video and picture folders.
    std::string record_dir;

    void opened(const std::string& model_folder); // to the front of recent_models

    bool operator==(const Settings&) const = default;
};

struct LoadedSettings {
    Settings settings;
    std::string message; // what was wrong with the file and what was done about it; empty: nothing
};

class SettingsFiles {
public:
    // $XDG_CONFIG_HOME/wander or ~/.config/wander; nothing is created before the first save.
    static std::filesystem::path default_folder();
    explicit SettingsFiles(std::filesystem::path folder = default_folder());

    LoadedSettings load();
    Result<void> save(const Settings& settings);

    // The panels' layout, opaque text in a file of its own. Empty when there is none.
    std::string load_layout() const;
    Result<void> save_layout(std::string_view text);

    const std::filesystem::path& folder() const { return folder_; }

private:
    std::filesystem::path folder_;
};

} // namespace wander
