#pragma once
// What a person does in the window, and what it does to the walk: one object for as long as the window is open, used by
// its thread alone. window_loop.cpp: events, pictures, one turn after the other; window_commands.cpp: models, walks and
// what else a command asks for; window_keeping.cpp: what is kept, walks, recordings and screenshots.

#include "app/capture.hpp"
#include "app/dropped.hpp"
#include "app/folder_dialog.hpp"
#include "app/live_walk.hpp"
#include "app/session_notes.hpp"
#include "app/settings.hpp"
#include "app/ui_bridge.hpp"
#include "app/window_app.hpp"
#include "gui/gui.hpp"
#include "render/renderer.hpp"
#include "render/window.hpp"

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace wander {

inline constexpr const char* kUncompressed = "bf16";
inline constexpr const char* kCompressed = "int2";
inline constexpr const char* kWalkExtension = ".walk";

// From the worker's thread to the window's: what became of a walk that was to be saved or resumed. The newest wins.
class KeptOutcome {
public:
    void put(std::string done, const Result<KeptWalk>& outcome) {
        {
            const std::lock_guard lock(mutex_);
            newest_ = outcome ? Result<std::string>(std::move(done)) : Result<std::string>(outcome.error());
        }
        render::Window::wake();
    }
    std::optional<Result<std::string>> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(newest_, std::nullopt);
    }

private:
    std::mutex mutex_;
    std::optional<Result<std::string>> newest_;
};

class WindowWalks {
public:
    WindowWalks(const WindowRun& run, SettingsFiles& files, Settings settings, render::Window& window,
                render::Renderer& renderer, gui::Gui& gui);
    ~WindowWalks();
    Result<void> loop();

private:
    double next_look(double now) const;
    // A pad sends no events: it is looked at again and again while it is there.
    void look_at_pad();
    double draw_interval() const;
    void handle(const render::WindowEvent& event);
    Result<void> step(bool had_events);
    Result<void> attach(const LiveWalk::Snapshot& walk);
    // The key goes to a format that this model has.
    void choose_toggle_format(const WalkInfo& info);
    void execute(const gui::UiCommands& commands, const LiveWalk::Snapshot& walk);
    void begin(const std::string& start, std::optional<std::uint64_t> seed);
    void rewind(int chunks, const LiveWalk::Snapshot& walk);
    // Frames that wait belong to what is left.
    void jump();
    void save_walk(const LiveWalk::Snapshot& walk);
    // A walk goes on as it was walked: where the model is open with another context, it is opened with the walk's.
    void resume_walk(const std::filesystem::path& file);
    void list_saved_walks();
    // A world, a model folder, a saved walk, or a picture to start from. What cannot be used leaves the walk as it is.
    void use_dropped(const Result<Dropped>& dropped, const LiveWalk::Snapshot& walk);
    // A walk goes on when the folder cannot be opened; where none goes on, the dialog says why.
    void open_chosen(const std::string& folder, const LiveWalk::Snapshot& walk);
    // The same model, prompt and seed with another window: history is laid out anew, so the walk begins anew.
    void change_window(const std::string& text);
    // The same with another context: what was kept for the one before is of no use, so the walk begins anew.
    void change_context(const gui::UiCommands& commands, const LiveWalk::Snapshot& walk);
    // The same with another decoder.
    void change_decoder(const std::string& decoder);
    // The same model, prompt and seed, under options that it takes only when it is opened.
    void open_anew();
    void open_model(const std::string& folder, const std::filesystem::path& resume = {});
    void browse_models();
    void retry(const LiveWalk::Snapshot& walk);
    Facts facts(const LiveWalk::Snapshot& walk) const;
    void toggle_record(const LiveWalk::Snapshot& walk);
    void screenshot(const LiveWalk::Snapshot& walk);
    void show_recordings();
    void say(const Result<std::string>& outcome, const std::string& prefix);
    void report(const Result<void>& outcome);
    void remember();

    SettingsFiles& files_;
    Settings settings_;
    render::Window& window_;
    render::Renderer& renderer_;
    gui::Gui& gui_;
    UiBridge bridge_;
    Capture capture_;
    WalkOptions options_;
    std::filesystem::path session_out_;
    SessionNotes session_;
    FolderDialog folders_;
    KeptOutcome kept_;
    std::string last_packed_ = kCompressed;
    std::uint64_t generation_ = 0;
    std::string opened_model_; // as --model takes it
    double last_draw_ = -1;
    bool dirty_ = true;
    bool captured_ = false;
    bool pad_known_ = false;
    bool quit_ = false;
    std::string drawn_loading_;
    WorkerState drawn_state_ = WorkerState::empty;
    DroppedLook dropped_;
    LiveWalk live_; // last: its thread uses nothing above after this is gone
};

} // namespace wander
