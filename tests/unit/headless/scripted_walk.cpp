// A Walk whose frames are flat colours that follow from chunk and controls. Stands in for the generator in these tests
// only.
#include "generator/camera/actions.hpp"
#include "generator/walk.hpp"

#include <cstring>

namespace wander {

namespace {
constexpr int kWidth = 64;
constexpr int kHeight = 48;
} // namespace

struct Walk::Impl {
    WalkInfo info;
    std::string format;
    quant::CacheRules rules;
};

Walk::Walk(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Walk::~Walk() = default;
const WalkInfo& Walk::info() const { return impl_->info; }
Walk::Peaks Walk::peaks() const { return {0, 1000}; }
Result<void> Walk::restart(const std::string&, std::optional<std::uint64_t>) { return {}; }
Result<void> Walk::save(const std::filesystem::path&) const {
    return Error{ErrorCode::wrong_use, "scripted walks cannot be saved"};
}
Result<std::string> Walk::pose_json() const { return Error{ErrorCode::wrong_use, "scripted walks have no cameras"}; }

Result<std::unique_ptr<Walk>> Walk::open(const WalkOptions& options) {
    if (options.start == "nowhere")
        return Error{ErrorCode::wrong_use, "no start point 'nowhere'; there are: here there"};
    if (options.device == "cuda") return Error{ErrorCode::wrong_use, "no CUDA device; use --device cpu"};
    auto impl = std::make_unique<Impl>();
    impl->info.model = options.model;
    impl->info.device = "cpu";
    impl->info.precision = "fp32";
    impl->info.threads = 1;
    impl->info.seed = options.seed;
    impl->info.width = kWidth;
    impl->info.height = kHeight;
    impl->info.starts = {{"here", "world", {}, {}}, {"there", "world", {}, {}}};
    for (const char* name : {"bf16", "int2", "int8"}) impl->info.formats.emplace_back().name = name;
    impl->info.formats.back().refusal = "int8 would not be smaller here";
    impl->info.cache_layers = 6;
    impl->format = options.cache_format;
    impl->rules = options.cache_rules;
    return std::unique_ptr<Walk>(new Walk(std::move(impl)));
}

Result<void> Walk::run(const ControlSource& source, FrameSink& sink, const Report& report, std::stop_token stop) {
    std::int64_t frame = 0;
    const auto emit = [&](std::int64_t chunk, int index, std::uint8_t grey) {
        const FrameSlot slot = sink.acquire(stop);
        if (slot.slot < 0) return;
        std::memset(slot.host, grey, kWidth * kHeight * 4);
        FrameTicket ticket;
        ticket.slot = slot.slot;
        ticket.frame_index = frame++;
        ticket.chunk = chunk;
        ticket.index_in_chunk = index;
        sink.publish(ticket, nullptr);
    };
    emit(-1, 0, 10);
    for (std::int64_t chunk = 0;; ++chunk) {
        if (stop.stop_requested()) return Error{ErrorCode::internal, "stopped"};
        const ChunkControls controls = source(chunk, stop);
        if (controls.stop) return {};
        controls.cache_rules.apply_to(impl_->rules);
        if (controls.cache_format) impl_->format = *controls.cache_format;
        for (int i = 0; i < 4; ++i) emit(chunk, i, static_cast<std::uint8_t>(20 + chunk * 8 + controls.state.held));
        ChunkTelemetry telemetry;
        telemetry.index = chunk;
        telemetry.frames = 4;
        telemetry.hold = held_names(controls.state);
        telemetry.format = impl_->format;
        telemetry.rules = impl_->rules;
        report(telemetry);
    }
}

} // namespace wander
