#pragma once
// Recording and screenshots from the window: file names, the facts written into the files, the recorder's life.
//
// Main thread; the recorder has its own, and a recording is finished on another so that the window never waits for the
// disk. A failure is a message and never stops the walk.

#include "generator/plain/frame_sink.hpp"
#include "generator/plain/result.hpp"
#include "generator/plain/telemetry.hpp"
#include "gui/plain/ui_model.hpp"
#include "render/plain/pixels.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wander {

using Facts = std::map<std::string, std::string>;

class Capture {
public:
    explicit Capture(std::filesystem::path record_dir); // empty: the user's folders
    ~Capture();                                         // finishes what runs
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    // Finishes what killed runs left behind; one line for the person each.
    std::vector<std::string> finish_leftovers();

    bool recording() const;
    // Facts: model, seed, cache format, ...; the version is added. Returns the file's final name.
    Result<std::string> start(render::PixelSize size, double fps, Facts facts);
    void frame(const render::PixelView& picture);
    void chunk(const ChunkTelemetry& chunk); // for the controls inside the file
    void stop();
    // Recordings that have been finished, or failed, since the last call.
    std::vector<Result<std::string>> take_finished();

    Result<std::string> screenshot(const render::PixelView& picture, Facts facts);

    gui::RecordingState state() const;
    std::filesystem::path folder() const; // of recordings

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace wander
