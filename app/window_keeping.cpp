#include "app/window_walks.hpp"

#include "app/paths.hpp"

#include <algorithm>
#include <functional>
#include <vector>

#include <spawn.h>
#include <unistd.h>

namespace wander {

namespace {

// Starts xdg-open on its own; false when there is none.
bool open_on_desktop(const std::string& path) {
    std::string program = "xdg-open";
    std::string argument = path;
    char* const arguments[] = {program.data(), argument.data(), nullptr};
    pid_t child = 0;
    return posix_spawnp(&child, program.c_str(), nullptr, nullptr, arguments, environ) == 0;
}

} // namespace

void WindowWalks::save_walk(const LiveWalk::Snapshot& walk) {
    if (!walk.info || !walk.info->keeps_walks) {
        gui_.toast(gui::ToastKind::warning, "This model's walks cannot be saved");
        return;
    }
    std::error_code ignored; // writing the file tells
    std::filesystem::create_directories(capture_.folder(), ignored);
    const std::filesystem::path file = unused_file(capture_.folder(), "Wander", kWalkExtension + 1);
    live_.save(file,
               [this, file](const Result<KeptWalk>& outcome) { kept_.put("Walk saved: " + file.string(), outcome); });
}

void WindowWalks::resume_walk(const std::filesystem::path& file) {
    const LiveWalk::Snapshot walk = live_.snapshot();
    const auto saved = saved_walk_settings(file);
    const bool same_model = saved && walk.info && saved->model == walk.info->model;
    if (same_model && saved->window &&
        (*saved->window != walk.info->window || saved->chunk_latents != walk.info->chunk_frames / 4)) {
        options_.window = saved->window;
        options_.chunk_latents = saved->chunk_latents;
        gui_.toast(gui::ToastKind::info, file.filename().string() + " was walked with the window " +
                                             window_text(*saved->window) + ": the model is opened anew with that");
        options_.prompt.clear(); // the walk's own
        return open_model(options_.model, file);
    }
    if (same_model && saved->context.latents > 0 && saved->context != walk.info->context) {
        options_.context_latents = saved->context.latents;
        options_.fast_context = saved->context.fast;
        gui_.toast(gui::ToastKind::info, file.filename().string() + " was walked with " + context_text(saved->context) +
                                             ": the model is opened anew with that");
        options_.prompt.clear(); // the walk's own
        return open_model(options_.model, file);
    }
    live_.resume(file, [this, file](const Result<KeptWalk>& outcome) {
        kept_.put("Going on from " + file.filename().string(), outcome);
    });
    jump();
}

void WindowWalks::list_saved_walks() {
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

Facts WindowWalks::facts(const LiveWalk::Snapshot& walk) const {
    return {{"model", walk.info ? walk.info->model : options_.model},
            {"start", walk.start},
            {"seed", std::to_string(walk.seed)},
            {"cache_format", walk.format},
            {"precision", walk.info ? walk.info->precision : ""}};
}

void WindowWalks::toggle_record(const LiveWalk::Snapshot& walk) {
    if (capture_.recording()) {
        capture_.stop();
    } else if (walk.info) {
        say(capture_.start({walk.info->width, walk.info->height}, walk.info->fps, facts(walk)), "Recording to ");
    }
}

void WindowWalks::screenshot(const LiveWalk::Snapshot& walk) {
    auto picture = renderer_.read_picture();
    if (!picture) {
        gui_.toast(gui::ToastKind::error, picture.error().message);
        return;
    }
    if (picture->size.empty()) return gui_.toast(gui::ToastKind::info, "There is no picture yet");
    auto all = facts(walk);
    if (renderer_.shown()) {
        const FrameTicket& ticket = *renderer_.shown();
        all["frame"] = std::to_string(ticket.frame_index);
        all["chunk"] = std::to_string(ticket.chunk);
    }
    say(capture_.screenshot({picture->size, picture->rgba.data()}, all), "Screenshot saved: ");
}

void WindowWalks::show_recordings() {
    const std::string folder = capture_.folder().string();
    if (!open_on_desktop(folder))
        gui_.toast(gui::ToastKind::warning, "No file manager found: recordings are in " + folder);
}

void WindowWalks::say(const Result<std::string>& outcome, const std::string& prefix) {
    if (outcome) {
        gui_.toast(gui::ToastKind::info, prefix + *outcome);
    } else {
        gui_.toast(gui::ToastKind::error, outcome.error().message);
    }
}

void WindowWalks::report(const Result<void>& outcome) {
    if (!outcome) gui_.toast(gui::ToastKind::warning, outcome.error().message);
}

} // namespace wander
