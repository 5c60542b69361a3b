#pragma once
// Brings the panels' model up to date from the walk, the renderer and the recorder. Main thread.

#include "app/live_walk.hpp"
#include "generator/plain/result.hpp"
#include "gui/plain/ui_model.hpp"
#include "render/renderer.hpp"

#include <cstdint>
#include <deque>
#include <vector>

namespace wander {

class UiBridge {
public:
    explicit UiBridge(render::Renderer& renderer) : renderer_(renderer) {}
    ~UiBridge();
    UiBridge(const UiBridge&) = delete;
    UiBridge& operator=(const UiBridge&) = delete;

    // A model was opened: facts, formats, gallery pictures. Unreadable pictures leave empty tiles.
    void model_opened(const WalkInfo& info, const std::filesystem::path& folder);
    void update(const LiveWalk::Snapshot& walk, const std::deque<ChunkTelemetry>& chunks, double now_seconds);
    void frame_shown(const FrameTicket& ticket, double now_seconds);

    gui::UiModel& model() { return model_; }

private:
    void drop_textures();

    render::Renderer& renderer_;
    gui::UiModel model_;
    std::deque<double> shown_at_; // of the newest frames, for the measured rate
    std::vector<std::uint64_t> textures_;
};

} // namespace wander
