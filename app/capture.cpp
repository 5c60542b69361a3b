#include "app/capture.hpp"

#include "app/paths.hpp"
#include "app/session_file.hpp"
#include "render/screenshot.hpp"
#include "render/video/recorder.hpp"

#include <chrono>
#include <future>
#include <nlohmann/json.hpp>

namespace wander {

struct Capture::State {
    std::filesystem::path record_dir;
    std::unique_ptr<render::Recorder> recorder;
    std::filesystem::path file;
    nlohmann::json controls = nlohmann::json::array();
    std::vector<std::future<Result<std::string>>> finishing;
};

Capture::Capture(std::filesystem::path record_dir) : state_(std::make_unique<State>()) {
    state_->record_dir = std::move(record_dir);
}

Capture::~Capture() { stop(); }

std::vector<std::string> Capture::finish_leftovers() {
    std::vector<std::string> lines;
    for (const render::Leftover& leftover : render::finish_leftovers(folder())) lines.push_back(leftover.message);
    return lines;
}

bool Capture::recording() const { return state_->recorder != nullptr; }

Result<std::string> Capture::start(render::PixelSize size, double fps, Facts facts) {
    facts["version"] = WANDER_VERSION;
    render::RecorderOptions options{
        .file = unused_file(folder(), "Wander", "mp4"), .size = size, .fps = fps, .facts = std::move(facts)};
    state_->file = options.file;
    state_->controls = nlohmann::json::array();
    auto recorder = render::Recorder::create(std::move(options));
    if (!recorder) return recorder.error();
    state_->recorder = std::move(*recorder);
    return state_->file.string();
}

void Capture::frame(const render::PixelView& picture) {
    if (state_->recorder) state_->recorder->push(picture); // a refused frame is counted by the recorder
}

void Capture::chunk(const ChunkTelemetry& chunk) {
    if (!state_->recorder) return;
    nlohmann::json controls = {{"chunk", chunk.index}, {"hold", chunk.hold}, {"cache", chunk.format}};
    if (chunk.mouse.any()) controls["mouse"] = mouse_numbers(chunk.mouse);
    if (chunk.sticks.any()) controls["sticks"] = stick_numbers(chunk.sticks);
    state_->controls.push_back(std::move(controls));
}

void Capture::stop() {
    if (!state_->recorder) return;
    state_->recorder->set_fact("controls", state_->controls.dump());
    state_->finishing.push_back(
        std::async(std::launch::async, [recorder = std::move(state_->recorder)]() -> Result<std::string> {
            auto finished = recorder->finish();
            if (!finished) return finished.error();
            return finished->string();
        }));
}

std::vector<Result<std::string>> Capture::take_finished() {
    std::vector<Result<std::string>> done;
    std::erase_if(state_->finishing, [&done](std::future<Result<std::string>>& future) {
        if (future.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return false;
        done.push_back(future.get());
        return true;
    });
    return done;
}

Result<std::string> Capture::screenshot(const render::PixelView& picture, Facts facts) {
    facts["version"] = WANDER_VERSION;
    const std::filesystem::path target = picture_folder(state_->record_dir);
    std::error_code error;
    std::filesystem::create_directories(target, error);
    if (error)
        return Error{ErrorCode::io,
                     target.string() + ": " + error.message() + "; choose another folder with --record-dir"};
    const std::filesystem::path file = unused_file(target, "Wander", "png");
    auto written = render::write_png(file, picture, facts);
    if (!written) return written.error();
    return file.string();
}

gui::RecordingState Capture::state() const {
    gui::RecordingState shown;
    if (!state_->recorder) return shown;
    const render::RecorderStatus status = state_->recorder->status();
    shown.active = true;
    shown.seconds = status.seconds;
    shown.frames = status.frames;
    shown.dropped = status.dropped;
    shown.file = state_->file.filename().string();
    shown.encoder = status.encoder;
    shown.unavailable = status.error;
    return shown;
}

std::filesystem::path Capture::folder() const { return video_folder(state_->record_dir); }

} // namespace wander
