#include "app/window_walks.hpp"

namespace wander {

void WindowWalks::execute(const gui::UiCommands& commands, const LiveWalk::Snapshot& walk) {
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
    if (commands.decoder) change_decoder(*commands.decoder);
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
    if (commands.model_folder) open_chosen(*commands.model_folder, walk);
    if (commands.retry_after_failure) retry(walk);
    if (commands.quit) quit_ = true;
}

void WindowWalks::begin(const std::string& start, std::optional<std::uint64_t> seed) {
    if (!start.empty()) settings_.start = start;
    live_.restart(start, seed);
    renderer_.interrupt_pacing();
    renderer_.clear_frames();
}

void WindowWalks::rewind(int chunks, const LiveWalk::Snapshot& walk) {
    if (!walk.info || !walk.info->keeps_walks) {
        gui_.toast(gui::ToastKind::warning, "This model's walks cannot be rewound");
        return;
    }
    live_.rewind(chunks);
    jump();
}

void WindowWalks::jump() {
    renderer_.interrupt_pacing();
    renderer_.clear_frames();
}

void WindowWalks::use_dropped(const Result<Dropped>& dropped, const LiveWalk::Snapshot& walk) {
    if (!dropped) return gui_.toast(gui::ToastKind::warning, dropped.error().message);
    switch (dropped->kind) {
        case Dropped::Kind::model: return open_model(dropped->path.string());
        case Dropped::Kind::walk: return resume_walk(dropped->path);
        case Dropped::Kind::picture: break;
    }
    if (walk.info && walk.info->takes_pictures) return begin(dropped->path.string(), std::nullopt);
    const std::string model = walk.info && walk.info->model != "embedded" ? walk.info->model : "the embedded world";
    gui_.toast(gui::ToastKind::warning, dropped->path.filename().string() + ": " + model +
                                            " does not begin at a picture; HY-WorldPlay does (docs/models.md)");
}

void WindowWalks::open_chosen(const std::string& folder, const LiveWalk::Snapshot& walk) {
    const bool nothing_to_lose = !walk.info || walk.state == WorkerState::failed;
    std::error_code failed;
    const auto whole = std::filesystem::absolute(folder, failed);
    if (folder == "embedded" || nothing_to_lose || failed) return open_model(folder);
    dropped_.look(whole);
}

void WindowWalks::change_window(const std::string& text) {
    auto window = parse_window(text);
    if (!window) return gui_.toast(gui::ToastKind::error, window.error().message);
    options_.window = *window;
    open_anew();
}

void WindowWalks::change_context(const gui::UiCommands& commands, const LiveWalk::Snapshot& walk) {
    if (!walk.info || walk.info->context.latents == 0) return;
    options_.context_latents = commands.context_latents.value_or(walk.info->context.latents);
    options_.fast_context = commands.fast_context.value_or(walk.info->context.fast);
    open_anew();
}

void WindowWalks::change_decoder(const std::string& decoder) {
    options_.decoder = decoder;
    open_anew();
}

void WindowWalks::open_anew() {
    options_.prompt = live_.snapshot().prompt;
    options_.camera_words = live_.snapshot().camera_words;
    options_.seed = live_.snapshot().seed;
    open_model(options_.model);
}

void WindowWalks::open_model(const std::string& folder, const std::filesystem::path& resume) {
    if (folder != options_.model) { // what was another model's
        options_.window.reset();
        options_.chunk_latents.reset();
        options_.prompt.clear();
        options_.size.reset();
        options_.context_latents.reset();
        options_.fast_context = false;
        options_.decoder = "auto";
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

void WindowWalks::browse_models() {
    const auto near = settings_.recent_models.empty() ? std::filesystem::path()
                                                      : std::filesystem::path(settings_.recent_models.front());
    if (!folders_.open("Open a world or a model folder", near.parent_path())) {
        gui_.toast(gui::ToastKind::warning,
                   "This desktop has no dialog for choosing folders (zenity or kdialog would "
                   "bring one): type the folder, or drop it on the window");
    }
}

void WindowWalks::retry(const LiveWalk::Snapshot& walk) {
    // A model that is open only has to begin again; one that could not be opened is tried once more.
    if (walk.info && opened_model_ == options_.model) {
        begin({}, std::nullopt);
    } else {
        open_model(options_.model);
    }
}

} // namespace wander
