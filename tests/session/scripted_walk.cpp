#include "tests/session/scripted_walk.hpp"

#include <utility>

namespace wander {

using tests::script;

struct Walk::Impl {
    WalkInfo info;
};

Walk::Walk(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Walk::~Walk() = default;

Result<std::unique_ptr<Walk>> Walk::open(const WalkOptions& options) {
    std::lock_guard lock(script().mutex);
    if (options.model == script().unknown_model) return Error{ErrorCode::bad_input, "no model " + options.model};
    auto impl = std::make_unique<Impl>();
    impl->info.model = options.model;
    impl->info.fps = 1000;
    impl->info.seed = options.seed;
    impl->info.starts = {{"gate", "village", {}, {}}, {"well", "village", {}, {}}};
    return std::unique_ptr<Walk>(new Walk(std::move(impl)));
}

const WalkInfo& Walk::info() const { return impl_->info; }

Result<void> Walk::run(const ControlSource& source, FrameSink& sink, const Report& report, std::stop_token stop) {
    const int frames = impl_->info.chunk_frames;
    const auto emit = [&](std::int64_t frame, std::int64_t chunk) {
        FrameTicket ticket;
        ticket.slot = sink.acquire(stop).slot;
        ticket.frame_index = frame;
        ticket.chunk = chunk;
        if (ticket.slot >= 0) sink.publish(ticket, nullptr);
    };
    emit(0, -1);
    for (std::int64_t chunk = 0;; ++chunk) {
        const ChunkControls controls = source(chunk, stop);
        if (controls.stop) return {};
        if (!controls.make_chunk) {
            {
                std::lock_guard lock(script().mutex);
                script().errands.push_back(controls);
            }
            if (controls.kept) controls.kept(KeptWalk{"a prompt", 7, ""});
            --chunk;
            continue;
        }
        {
            std::lock_guard lock(script().mutex);
            if (std::exchange(script().fails_at_chunk,
                              chunk == script().fails_at_chunk ? -1 : script().fails_at_chunk) == chunk) {
                return Error{ErrorCode::out_of_memory, "no memory for chunk"};
            }
            script().given.push_back(controls);
        }
        for (int i = 0; i < frames; ++i) emit(1 + chunk * frames + i, chunk);
        ChunkTelemetry telemetry;
        telemetry.index = chunk;
        telemetry.frames = frames;
        telemetry.ms.total = 0.1;
        report(telemetry);
    }
}

Result<void> Walk::restart(const std::string& start, std::optional<std::uint64_t>) {
    std::lock_guard lock(script().mutex);
    script().started_at.push_back(start);
    if (!start.empty() && start == script().unknown_start) return Error{ErrorCode::wrong_use, "no start " + start};
    return {};
}

Walk::Peaks Walk::peaks() const { return {}; }
Result<void> Walk::save(const std::filesystem::path&) const { return {}; }
Result<std::string> Walk::pose_json() const { return std::string(); }

namespace tests {

Script& script() {
    static Script one;
    return one;
}

void reset_script() {
    std::lock_guard lock(script().mutex);
    script().unknown_model.clear();
    script().unknown_start.clear();
    script().fails_at_chunk = -1;
    script().given.clear();
    script().errands.clear();
    script().started_at.clear();
}

} // namespace tests
} // namespace wander
