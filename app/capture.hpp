#pragma once
// Recording and screenshots from the window: file names, the facts written into the files, the recorder's life.
//
// Main thread; the recorder has its own. A failure is a message and never stops the walk.

#include "generator/plain/frame_sink.hpp"
#include "generator/plain/result.hpp"
#include "gui/plain/ui_model.hpp"
#include "render/plain/pixels.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace wander {

class Capture {
public:
    explicit Capture(std::filesystem::path record_dir); // empty: the user's folders
    ~Capture();

    // Finishes what a killed run left behind; returns lines for the person.
    std::vector<std::string> finish_leftovers();

    bool recording() const;
    // Facts: model, seed, cache format, start; version is added.
    Result<std::string> start(render::PixelSize size, double fps, std::map<std::string, std::string> facts);
    void frame(const FrameTicket& ticket, const render::PixelView& picture, const ControlState& held);
    Result<std::string> stop(); // the finished file
    Result<std::string> screenshot(const render::PixelView& picture, const std::map<std::string, std::string>& facts);

    gui::RecordingState state() const;
    std::filesystem::path video_folder() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace wander
