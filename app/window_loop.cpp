#include "app/window_walks.hpp"

#include "app/paths.hpp"
#include "generator/plain/prompt_list.hpp"
#include "generator/world/plain/world_folder.hpp"

#include <algorithm>
#include <cstdio>
#include <variant>

namespace wander {

namespace {

// A software renderer shares the cores with the model, so it draws little more than the walk's own pictures.
constexpr double kSoftwareDrawSeconds = 1.0 / 20;
constexpr double kDrawSeconds = 1.0 / 120;
constexpr double kIdleDrawSeconds = 0.5; // figures and toasts move on even when nothing else does
constexpr double kPadLookSeconds = 1.0 / 60;
constexpr int kRingChunks = 3;

} // namespace

WindowWalks::WindowWalks(const WindowRun& run, SettingsFiles& files, Settings settings, render::Window& window,
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
      dropped_(&render::Window::wake),
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

WindowWalks::~WindowWalks() {
    if (auto ring = renderer_.ring()) ring->close(); // a producer that waits for a slot must not wait for ever
    renderer_.set_frame_tap({});
}

Result<void> WindowWalks::loop() {
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

double WindowWalks::next_look(double now) const {
    double at = last_draw_ + kIdleDrawSeconds;
    if (const auto due = renderer_.next_due_seconds()) at = std::min(at, *due);
    if (dirty_) at = std::min(at, last_draw_ + draw_interval());
    if (pad_known_) at = std::min(at, now + kPadLookSeconds);
    return std::max(at, now);
}

void WindowWalks::look_at_pad() {
    const render::GamepadState pad = window_.gamepad();
    if (!pad.connected && !pad_known_) return;
    dirty_ = gui_.pad(pad, render::steady_seconds()) || dirty_;
    pad_known_ = pad.connected;
}

double WindowWalks::draw_interval() const { return renderer_.software_device() ? kSoftwareDrawSeconds : kDrawSeconds; }

void WindowWalks::handle(const render::WindowEvent& event) {
    gui_.handle(event);
    if (std::holds_alternative<render::CloseEvent>(event)) quit_ = true;
    if (const auto* drop = std::get_if<render::DropEvent>(&event); drop && !drop->paths.empty()) {
        if (drop->paths.size() > 1) {
            gui_.toast(gui::ToastKind::info, "Of the things that were dropped the first is taken: " +
                                                 std::filesystem::path(drop->paths.front()).filename().string());
        }
        dropped_.look(drop->paths.front());
    }
}

Result<void> WindowWalks::step(bool had_events) {
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
    if (const auto folder = folders_.take()) open_chosen(*folder, walk);
    if (const auto dropped = dropped_.take()) use_dropped(*dropped, walk);
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

Result<void> WindowWalks::attach(const LiveWalk::Snapshot& walk) {
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
    auto ring = renderer_.make_ring({info.width, info.height}, kRingChunks * info.chunk_frames, info.device == "cuda");
    if (!ring) return ring.error();
    live_.attach_sink(*ring, generation_);
    return {};
}

void WindowWalks::choose_toggle_format(const WalkInfo& info) {
    const auto has = [&](const FormatInfo& f) { return f.name == last_packed_ && f.usable(); };
    const auto packs = [](const FormatInfo& f) { return f.name != kUncompressed && f.usable(); };
    if (std::ranges::any_of(info.formats, has)) return;
    const auto first = std::ranges::find_if(info.formats, packs);
    last_packed_ = first == info.formats.end() ? kUncompressed : first->name;
}

void WindowWalks::remember() {
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

} // namespace wander
