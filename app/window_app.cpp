#include "app/window_app.hpp"

#include "app/capture.hpp"
#include "app/folder_dialog.hpp"
#include "app/live_walk.hpp"
#include "app/paths.hpp"
#include "app/session_notes.hpp"
#include "app/settings.hpp"
#include "app/ui_bridge.hpp"
#include "generator/plain/prompt_list.hpp"
#include "generator/world/plain/world_folder.hpp"
#include "gui/gui.hpp"
#include "render/cuda_interop.hpp"
#include "render/renderer.hpp"
#include "render/window.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <mutex>
#include <utility>
#include <variant>

#include <spawn.h>
#include <unistd.h>

namespace wander {

namespace {

// A software renderer shares the cores with the model, so it draws little more than the walk's own pictures.
constexpr double kSoftwareDrawSeconds = 1.0 / 20;
constexpr double kDrawSeconds = 1.0 / 120;
constexpr double kIdleDrawSeconds = 0.5; // figures and toasts move on even when nothing else does
constexpr double kPadLookSeconds = 1.0 / 60;
constexpr int kRingChunks = 3;

const char* const kUncompressed = "bf16";
const char* const kCompressed = "int2";

// Starts xdg-open on its own; false when there is none.
bool open_on_desktop(const std::string& path) {
    std::string program = "xdg-open";
    std::string argument = path;
    char* const arguments[] = {program.data(), argument.data(), nullptr};
    pid_t child = 0;
    return posix_spawnp(&child, program.c_str(), nullptr, nullptr, arguments, environ) == 0;
}

const char* const kWalkExtension = ".walk";

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

class WindowApp {
public:
    WindowApp(const WindowRun& run, SettingsFiles& files, Settings settings, render::Window& window,
              render::Renderer& renderer, gui::Gui& gui)
        : files_(files),
          settings_(std::move(settings)),
          window_(window),
          renderer_(renderer),
          gui_(gui),
          bridge_(renderer),
          capture_(run.record_dir.empty() ? std::filesystem::path(settings_.record_dir) : run.record_dir),
          options_(run.walk),
          session_out_(run.session_out),
          live_(options_, &render::Window::wake) {
        for (const std::string& line : capture_.finish_leftovers()) gui_.toast(gui::ToastKind::info, line);
        renderer_.set_frame_tap(
            [this](const FrameTicket& ticket, const render::PixelView& picture, double planned_seconds) {
                live_.frame_shown(ticket, planned_seconds);
                capture_.frame(picture);
            });
        if (auto prompts = read_prompts(options_.assets / "prompts/prompts.json")) {
            for (NamedPrompt& prompt : *prompts) bridge_.model().prompts.push_back({prompt.name, prompt.text});
        } else {
            gui_.toast(gui::ToastKind::warning, prompts.error().message);
        }
        bridge_.model().recent_models = settings_.recent_models;
        bridge_.model().upscale = settings_.upscale;
        bridge_.model().fullscreen = settings_.fullscreen;
        if (settings_.fullscreen) window_.set_fullscreen(true);
    }

    ~WindowApp() {
        if (auto ring = renderer_.ring()) ring->close(); // a producer that waits for a slot must not wait for ever
        renderer_.set_frame_tap({});
    }

    Result<void> loop() {
        while (!quit_) {
            const double now = render::steady_seconds();
            const auto events = window_.poll(std::max(0.0, next_look(now) - now));
            for (const auto& event : events) handle(event);
            look_at_pad();
            if (auto done = step(!events.empty()); !done) return done;
        }
        remember();
        return {};
    }

private:
    double next_look(double now) const {
        double at = last_draw_ + kIdleDrawSeconds;
        if (const auto due = renderer_.next_due_seconds()) at = std::min(at, *due);
        if (dirty_) at = std::min(at, last_draw_ + draw_interval());
        if (pad_known_) at = std::min(at, now + kPadLookSeconds);
        return std::max(at, now);
    }
    // A pad sends no events: it is looked at again and again while it is there.
    void look_at_pad() {
        const render::GamepadState pad = window_.gamepad();
        if (!pad.connected && !pad_known_) return;
        dirty_ = gui_.pad(pad, render::steady_seconds()) || dirty_;
        pad_known_ = pad.connected;
    }
    double draw_interval() const { return renderer_.software_device() ? kSoftwareDrawSeconds : kDrawSeconds; }

    void handle(const render::WindowEvent& event) {
        gui_.handle(event);
        if (std::holds_alternative<render::CloseEvent>(event)) quit_ = true;
        if (const auto* drop = std::get_if<render::DropEvent>(&event); drop && !drop->paths.empty())
            open_dropped(drop->paths.front());
    }

    Result<void> step(bool had_events) {
        const LiveWalk::Snapshot walk = live_.snapshot();
        if (walk.info && walk.generation != generation_) {
            if (auto attached = attach(walk); !attached) return attached;
        }
        double now = render::steady_seconds();
        auto changed = renderer_.advance(now);
        if (!changed) return changed.error();
        if (*changed && renderer_.shown()) bridge_.frame_shown(*renderer_.shown(), now);
        const auto chunks = live_.take_chunks();
        for (const ChunkTelemetry& chunk : chunks) {
            capture_.chunk(chunk);
            session_.chunk(walk, options_, chunk);
        }
        if (auto outcome = kept_.take()) {
            say(*outcome, "");
            list_saved_walks();
        }
        for (const auto& finished : capture_.take_finished()) say(finished, "Recording saved: ");
        const gui::RecordingState recording = capture_.state();
        if (recording.active && !recording.unavailable.empty()) { // the disk is full, say: what there is becomes a file
            gui_.toast(gui::ToastKind::error, recording.unavailable);
            capture_.stop();
        }
        if (const auto folder = folders_.take()) open_model(*folder);
        bridge_.update(walk, chunks, now);
        bridge_.model().recording = recording;
        bridge_.model().packed_format = last_packed_;
        dirty_ = dirty_ || *changed || had_events || !chunks.empty() || walk.state != drawn_state_ ||
                 (walk.state == WorkerState::loading && walk.loading != drawn_loading_);
        if (!(dirty_ && now - last_draw_ >= draw_interval()) && now - last_draw_ < kIdleDrawSeconds) return {};

        if (!renderer_.begin_ui()) { // minimised: nobody walks
            live_.set_controls({});
            last_draw_ = now;
            dirty_ = false;
            return {};
        }
        const gui::UiFrame ui = gui_.frame(bridge_.model());
        live_.set_controls(ui.controls);
        live_.set_hold_while_idle(gui_.preferences().hold_while_idle);
        if (ui.capture_cursor != captured_) window_.capture_cursor(captured_ = ui.capture_cursor);
        auto drawn = renderer_.draw({.picture_area = ui.world, .upscale = bridge_.model().upscale});
        if (!drawn) return drawn.error();
        last_draw_ = now;
        dirty_ = false;
        drawn_state_ = walk.state;
        drawn_loading_ = walk.loading;
        execute(ui.commands, walk);
        if (ui.preferences_changed) settings_.ui = gui_.preferences();
        if (const auto layout = gui_.take_changed_layout()) report(files_.save_layout(*layout));
        return {};
    }

    Result<void> attach(const LiveWalk::Snapshot& walk) {
        generation_ = walk.generation;
        opened_model_ = walk.model;
        const WalkInfo& info = *walk.info;
        for (const std::string& warning : info.warnings) gui_.toast(gui::ToastKind::warning, warning);
        bridge_.model_opened(info, model_path(walk.model, options_.assets));
        bridge_.model().model_folder =
            walk.model == "embedded" ? walk.model : std::filesystem::absolute(walk.model).string();
        list_saved_walks();
        if (walk.model != "embedded") {
            settings_.opened(std::filesystem::absolute(walk.model).string());
            bridge_.model().recent_models = settings_.recent_models;
        }
        choose_toggle_format(info);
        auto ring =
            renderer_.make_ring({info.width, info.height}, kRingChunks * info.chunk_frames, info.device == "cuda");
        if (!ring) return ring.error();
        live_.attach_sink(*ring, generation_);
        return {};
    }

    // The key goes to a format that this model has.
    void choose_toggle_format(const WalkInfo& info) {
        const auto has = [&](const FormatInfo& f) { return f.name == last_packed_ && f.usable(); };
        const auto packs = [](const FormatInfo& f) { return f.name != kUncompressed && f.usable(); };
        if (std::ranges::any_of(info.formats, has)) return;
        const auto first = std::ranges::find_if(info.formats, packs);
        last_packed_ = first == info.formats.end() ? kUncompressed : first->name;
    }

    void execute(const gui::UiCommands& commands, const LiveWalk::Snapshot& walk) {
        if (commands.toggle_cache) live_.set_format(walk.format == kUncompressed ? last_packed_ : kUncompressed);
        if (commands.format) live_.set_format(*commands.format);
        const std::string format = live_.snapshot().format;
        if (format != kUncompressed) last_packed_ = format;
        settings_.cache_format = format;
        if (commands.bias_correction) {
            quant::CacheRulesChange change;
            change.bias_correction = commands.bias_correction;
            settings_.bias_correction = *commands.bias_correction;
            live_.set_cache_rules(change);
        }
        if (commands.prompt) live_.set_prompt(*commands.prompt);
        if (commands.camera_words) live_.set_camera_words(*commands.camera_words);
        if (commands.window) change_window(*commands.window);
        if (commands.context_latents || commands.fast_context) change_context(commands, walk);
        if (commands.start) begin(*commands.start, std::nullopt);
        if (commands.restart) begin({}, std::nullopt);
        if (commands.restart_new_seed) begin({}, walk.seed + 1);
        if (commands.rewind > 0) rewind(commands.rewind, walk);
        if (commands.save_walk) save_walk(walk);
        if (commands.saved_walk) resume_walk(*commands.saved_walk);
        if (commands.toggle_pause) live_.set_paused(walk.state != WorkerState::paused);
        if (commands.step) live_.step_chunk();
        if (commands.toggle_pause || commands.step) renderer_.interrupt_pacing();
        if (commands.toggle_record) toggle_record(walk);
        if (commands.screenshot) screenshot(walk);
        if (commands.show_recordings) show_recordings();
        if (commands.toggle_fullscreen) {
            settings_.fullscreen = bridge_.model().fullscreen = !bridge_.model().fullscreen;
            window_.set_fullscreen(settings_.fullscreen);
        }
        if (commands.upscale) settings_.upscale = bridge_.model().upscale = *commands.upscale;
        if (commands.browse_models) browse_models();
        if (commands.model_folder) open_model(*commands.model_folder);
        if (commands.retry_after_failure) retry(walk);
        if (commands.quit) quit_ = true;
    }

    void begin(const std::string& start, std::optional<std::uint64_t> seed) {
        if (!start.empty()) settings_.start = start;
        live_.restart(start, seed);
        renderer_.interrupt_pacing();
        renderer_.clear_frames();
    }

    void rewind(int chunks, const LiveWalk::Snapshot& walk) {
        if (!walk.info || !walk.info->keeps_walks) {
            gui_.toast(gui::ToastKind::warning, "This model's walks cannot be rewound");
            return;
        }
        live_.rewind(chunks);
        jump();
    }

    // Frames that wait belong to what is left.
    void jump() {
        renderer_.interrupt_pacing();
        renderer_.clear_frames();
    }

    void save_walk(const LiveWalk::Snapshot& walk) {
        if (!walk.info || !walk.info->keeps_walks) {
            gui_.toast(gui::ToastKind::warning, "This model's walks cannot be saved");
            return;
        }
        std::error_code ignored; // writing the file tells
        std::filesystem::create_directories(capture_.folder(), ignored);
        const std::filesystem::path file = unused_file(capture_.folder(), "Wander", kWalkExtension + 1);
        live_.save(file, [this, file](const Result<KeptWalk>& outcome) {
            kept_.put("Walk saved: " + file.string(), outcome);
        });
    }

    // A walk goes on as it was walked: where the model is open with another context, it is opened with the walk's.
    void resume_walk(const std::filesystem::path& file) {
        const LiveWalk::Snapshot walk = live_.snapshot();
        const auto saved = saved_walk_settings(file);
        if (saved && walk.info && saved->model == walk.info->model && saved->context.latents > 0 &&
            saved->context != walk.info->context) {
            options_.context_latents = saved->context.latents;
            options_.fast_context = saved->context.fast;
            gui_.toast(gui::ToastKind::info, file.filename().string() + " was walked with " +
                                                 context_text(saved->context) + ": the model is opened anew with that");
            options_.prompt.clear(); // the walk's own
            return open_model(options_.model, file);
        }
        live_.resume(file, [this, file](const Result<KeptWalk>& outcome) {
            kept_.put("Going on from " + file.filename().string(), outcome);
        });
        jump();
    }

    void list_saved_walks() {
        std::vector<std::filesystem::path> files;
        std::error_code ignored;
        for (const auto& entry : std::filesystem::directory_iterator(capture_.folder(), ignored)) {
            if (entry.path().extension() == kWalkExtension) files.push_back(entry.path());
        }
        std::ranges::sort(files, std::greater{}); // their names begin with the time
        auto& list = bridge_.model().saved_walks;
        list.clear();
        for (const auto& file : files) list.push_back({file.string(), file.stem().string()});
    }

    // A world, a model folder, a saved walk, or a picture to start from.
    void open_dropped(const std::filesystem::path& path) {
        std::error_code ignored;
        const LiveWalk::Snapshot walk = live_.snapshot();
        if (find_world_folder(path)) {
            const bool folder = std::filesystem::is_directory(path, ignored);
            return open_model((folder ? path : path.parent_path()).string());
        }
        if (path.extension() == kWalkExtension) {
            resume_walk(path);
        } else if (!std::filesystem::is_regular_file(path, ignored)) {
            open_model(path.string());
        } else if (walk.info && walk.info->takes_pictures) {
            begin(path.string(), std::nullopt);
        } else {
            gui_.toast(
                gui::ToastKind::warning,
                "This model does not start from a picture alone: drop a model folder, or see --start in wander --help");
        }
    }

    // The same model, prompt and seed with another window: history is laid out anew, so the walk begins anew.
    void change_window(const std::string& text) {
        auto window = parse_window(text);
        if (!window) return gui_.toast(gui::ToastKind::error, window.error().message);
        options_.window = *window;
        open_anew();
    }

    // The same with another context: what was kept for the one before is of no use, so the walk begins anew.
    void change_context(const gui::UiCommands& commands, const LiveWalk::Snapshot& walk) {
        if (!walk.info || walk.info->context.latents == 0) return;
        options_.context_latents = commands.context_latents.value_or(walk.info->context.latents);
        options_.fast_context = commands.fast_context.value_or(walk.info->context.fast);
        open_anew();
    }

    // The same model, prompt and seed, under options that it takes only when it is opened.
    void open_anew() {
        options_.prompt = live_.snapshot().prompt;
        options_.camera_words = live_.snapshot().camera_words;
        options_.seed = live_.snapshot().seed;
        open_model(options_.model);
    }

    void open_model(const std::string& folder, const std::filesystem::path& resume = {}) {
        if (folder != options_.model) { // what was another model's
            options_.window.reset();
            options_.chunk_latents.reset();
            options_.prompt.clear();
            options_.size.reset();
            options_.context_latents.reset();
            options_.fast_context = false;
            options_.path.clear();
        }
        options_.resume = resume;
        options_.model = folder;
        options_.start.clear();
        options_.start_pose.reset();
        options_.cache_format = live_.snapshot().format;
        options_.cache_rules = live_.snapshot().rules;
        options_.cache_rules.layer_formats.clear(); // the layers were another model's
        live_.open(options_);
        renderer_.clear_frames();
    }

    void browse_models() {
        const auto near = settings_.recent_models.empty() ? std::filesystem::path()
                                                          : std::filesystem::path(settings_.recent_models.front());
        if (!folders_.open("Open a world or a model folder", near.parent_path())) {
            gui_.toast(gui::ToastKind::warning,
                       "This desktop has no dialog for choosing folders (zenity or kdialog would "
                       "bring one): type the folder, or drop it on the window");
        }
    }

    void retry(const LiveWalk::Snapshot& walk) {
        // A model that is open only has to begin again; one that could not be opened is tried once more.
        if (walk.info && opened_model_ == options_.model) {
            begin({}, std::nullopt);
        } else {
            open_model(options_.model);
        }
    }

    Facts facts(const LiveWalk::Snapshot& walk) const {
        return {{"model", walk.info ? walk.info->model : options_.model},
                {"start", walk.start},
                {"seed", std::to_string(walk.seed)},
                {"cache_format", walk.format},
                {"precision", walk.info ? walk.info->precision : ""}};
    }

    void toggle_record(const LiveWalk::Snapshot& walk) {
        if (capture_.recording()) {
            capture_.stop();
        } else if (walk.info) {
            say(capture_.start({walk.info->width, walk.info->height}, walk.info->fps, facts(walk)), "Recording to ");
        }
    }

    void screenshot(const LiveWalk::Snapshot& walk) {
        auto picture = renderer_.read_picture();
        if (!picture) {
            gui_.toast(gui::ToastKind::error, picture.error().message);
            return;
        }
        auto all = facts(walk);
        if (renderer_.shown()) {
            const FrameTicket& ticket = *renderer_.shown();
            all["frame"] = std::to_string(ticket.frame_index);
            all["chunk"] = std::to_string(ticket.chunk);
        }
        say(capture_.screenshot({picture->size, picture->rgba.data()}, all), "Screenshot saved: ");
    }

    void show_recordings() {
        const std::string folder = capture_.folder().string();
        if (!open_on_desktop(folder))
            gui_.toast(gui::ToastKind::warning, "No file manager found: recordings are in " + folder);
    }

    void say(const Result<std::string>& outcome, const std::string& prefix) {
        if (outcome) {
            gui_.toast(gui::ToastKind::info, prefix + *outcome);
        } else {
            gui_.toast(gui::ToastKind::error, outcome.error().message);
        }
    }
    void report(const Result<void>& outcome) {
        if (!outcome) gui_.toast(gui::ToastKind::warning, outcome.error().message);
    }

    void remember() {
        if (!session_out_.empty()) {
            if (auto written = session_.write(session_out_); !written)
                std::fprintf(stderr, "wander: %s\n", written.error().message.c_str());
        }
        const render::WindowPlacement placement = window_.placement();
        settings_.window_width = placement.width;
        settings_.window_height = placement.height;
        settings_.window_x = placement.x;
        settings_.window_y = placement.y;
        settings_.window_maximised = placement.maximised;
        settings_.ui = gui_.preferences();
        if (auto saved = files_.save(settings_); !saved)
            std::fprintf(stderr, "wander: %s\n", saved.error().message.c_str());
        if (const auto layout = gui_.take_changed_layout(true)) {
            if (auto saved = files_.save_layout(*layout); !saved)
                std::fprintf(stderr, "wander: %s\n", saved.error().message.c_str());
        }
    }

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
    LiveWalk live_; // last: its thread uses nothing above after this is gone
};

int fail(const Error& error) {
    std::fprintf(stderr, "wander: %s\n", error.message.c_str());
    return error.code == ErrorCode::wrong_use || error.code == ErrorCode::bad_input ? 2 : 1;
}

} // namespace

int run_window(const WindowRun& run) {
    SettingsFiles files;
    LoadedSettings loaded = files.load();
    Settings& settings = loaded.settings;
    WindowRun effective = run;
    if (!run.format_given) effective.walk.cache_format = settings.cache_format;
    if (!run.correction_given) effective.walk.cache_rules.bias_correction = settings.bias_correction;

    auto window = render::Window::create("Wander", {.width = settings.window_width,
                                                    .height = settings.window_height,
                                                    .x = settings.window_x,
                                                    .y = settings.window_y,
                                                    .maximised = settings.window_maximised});
    if (!window) return fail(window.error());
    render::RendererConfig config;
    config.window = &*window;
    if (effective.walk.device != "cpu") {
        if (auto uuid = render::cuda_device_uuid(0)) config.device_uuid = *uuid;
    }
    auto renderer = render::Renderer::create(config);
    if (!renderer) return fail(renderer.error());
    auto gui = gui::Gui::create({.fonts = run.fonts,
                                 .layout = files.load_layout(),
                                 .preferences = settings.ui,
                                 .content_scale = window->content_scale()});
    if (!gui) return fail(gui.error());
    if (auto attached = renderer->attach_ui(); !attached) return fail(attached.error());
    if (!loaded.message.empty()) gui->toast(gui::ToastKind::warning, loaded.message);

    Result<void> outcome;
    {
        WindowApp app(effective, files, settings, *window, *renderer, *gui);
        outcome = app.loop();
    }
    renderer->detach_ui();
    return outcome ? 0 : fail(outcome.error());
}

} // namespace wander
