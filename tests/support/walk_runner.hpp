#pragma once
// Runs a Walk of the embedded world with a list of held actions and keeps its frames: for tests and benches.

#include "generator/walk.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace wander::testing {

// A sink with one slot that keeps every frame as RGB8.
class FrameKeeper : public FrameSink {
public:
    FrameKeeper(int width, int height) : pixels_(static_cast<std::size_t>(width) * height * 4) {}

    FrameSlot acquire(const std::stop_token&) override { return {.slot = 0, .host = pixels_.data()}; }
    void publish(const FrameTicket& ticket, void*) override {
        std::vector<std::uint8_t> rgb(pixels_.size() / 4 * 3);
        for (std::size_t i = 0; i < pixels_.size() / 4; ++i) {
            for (std::size_t c = 0; c < 3; ++c) rgb[3 * i + c] = pixels_[4 * i + c];
        }
        frames.push_back(std::move(rgb));
        tickets.push_back(ticket);
    }

    std::vector<std::vector<std::uint8_t>> frames;
    std::vector<FrameTicket> tickets;

private:
    std::vector<std::uint8_t> pixels_;
};

struct WalkScript {
    std::string name;
    std::map<std::int64_t, std::vector<Action>> hold; // from that chunk on
    std::map<std::int64_t, std::string> cache_format; // before that chunk
};

inline ControlSource control_source(WalkScript script, std::int64_t chunks) {
    return [script = std::move(script), chunks, held = ControlState{}](std::int64_t index,
                                                                       const std::stop_token&) mutable {
        ChunkControls controls;
        controls.stop = index >= chunks;
        if (auto it = script.hold.find(index); it != script.hold.end()) {
            held = {};
            for (Action action : it->second) held.set(action, true);
        }
        if (auto it = script.cache_format.find(index); it != script.cache_format.end())
            controls.cache_format = it->second;
        controls.state = held;
        return controls;
    };
}

struct WalkRun {
    std::vector<std::vector<std::uint8_t>> frames;
    std::vector<ChunkTelemetry> chunks;
    std::string error;
};

inline WalkRun run_walk(const WalkOptions& options, const WalkScript& script, std::int64_t chunks) {
    WalkRun run;
    auto walk = Walk::open(options);
    if (!walk) {
        run.error = walk.error().message;
        return run;
    }
    FrameKeeper keeper((*walk)->info().width, (*walk)->info().height);
    auto done = (*walk)->run(control_source(script, chunks), keeper,
                             [&run](const ChunkTelemetry& t) { run.chunks.push_back(t); }, {});
    if (!done) run.error = done.error().message;
    run.frames = std::move(keeper.frames);
    return run;
}

// PSNR in [0, 1] RGB over frames [first, last): mean square error over all of them.
inline double psnr_db(const WalkRun& a, const WalkRun& b, std::size_t first, std::size_t last) {
    double sum = 0;
    double count = 0;
    for (std::size_t f = first; f < last; ++f) {
        for (std::size_t i = 0; i < a.frames.at(f).size(); ++i) {
            const double d = (static_cast<double>(a.frames[f][i]) - static_cast<double>(b.frames.at(f)[i])) / 255.0;
            sum += d * d;
            count += 1;
        }
    }
    return sum > 0 ? 10 * std::log10(count / sum) : std::numeric_limits<double>::infinity();
}

} // namespace wander::testing
