#include "app/frame_sinks.hpp"

#include "app/paths.hpp"
#include "render/screenshot.hpp"

#include <chrono>
#include <cstdio>

namespace wander {

namespace {

constexpr int kSlots = 8;
constexpr int kRecorderQueueFrames = 8;

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Result<std::unique_ptr<render::Recorder>> make_recorder(const FrameOutputs& outputs,
                                                        const std::filesystem::path& file) {
    return render::Recorder::create({.file = file,
                                     .size = outputs.size,
                                     .fps = outputs.fps,
                                     .when_full = render::QueuePolicy::wait,
                                     .queue_frames = kRecorderQueueFrames,
                                     .facts = outputs.facts});
}

std::string frame_name(std::int64_t index) {
    char name[32];
    std::snprintf(name, sizeof name, "%06lld.png", static_cast<long long>(index));
    return name;
}

} // namespace

Result<std::unique_ptr<FrameSinks>> FrameSinks::create(FrameOutputs outputs, std::function<void()> on_failure) {
    std::unique_ptr<FrameSinks> sinks(new FrameSinks(std::move(outputs), std::move(on_failure)));
    if (!sinks->outputs_.out.empty()) {
        auto recorder = make_recorder(sinks->outputs_, sinks->outputs_.out);
        if (!recorder) return recorder.error();
        sinks->out_ = std::move(*recorder);
    }
    sinks->thread_ = std::jthread([it = sinks.get()] { it->work(); });
    return sinks;
}

FrameSinks::FrameSinks(FrameOutputs outputs, std::function<void()> on_failure)
    : outputs_(std::move(outputs)), on_failure_(std::move(on_failure)), slots_(kSlots) {
    for (int slot = 0; slot < kSlots; ++slot) {
        slots_[static_cast<std::size_t>(slot)].resize(outputs_.size.bytes());
        free_.push_back(slot);
    }
}

FrameSinks::~FrameSinks() {
    if (thread_.joinable()) (void)finish({});
}

FrameSlot FrameSinks::acquire(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, [this] { return closing_ || failure_ || !free_.empty(); })) return {};
    if (closing_ || failure_) return {};
    const int slot = free_.front();
    free_.pop_front();
    return {slot, slots_[static_cast<std::size_t>(slot)].data()};
}

void FrameSinks::publish(const FrameTicket& ticket, void*) {
    std::lock_guard lock(mutex_);
    if (!first_frame_seconds_) first_frame_seconds_ = steady_seconds();
    waiting_.push_back(ticket);
    changed_.notify_all();
}

void FrameSinks::record_from(std::int64_t chunk, bool on) {
    std::lock_guard lock(mutex_);
    switches_[chunk] = on;
}

std::optional<double> FrameSinks::first_frame_seconds() const {
    std::lock_guard lock(mutex_);
    return first_frame_seconds_;
}

void FrameSinks::work() {
    while (true) {
        FrameTicket ticket;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            ticket = waiting_.front();
            waiting_.pop_front();
        }
        // The slot is this thread's until it is given back below.
        if (auto done = consume(ticket, slots_[static_cast<std::size_t>(ticket.slot)]); !done) fail(done.error());
        std::lock_guard lock(mutex_);
        free_.push_back(ticket.slot);
        changed_.notify_all();
    }
}

Result<void> FrameSinks::consume(const FrameTicket& ticket, const std::vector<std::uint8_t>& rgba) {
    rgb_.clear();
    for (std::size_t i = 0; i < rgba.size(); i += 4) rgb_.insert(rgb_.end(), {rgba[i], rgba[i + 1], rgba[i + 2]});
    hash_.update(rgb_);
    ++frames_;

    const render::PixelView picture{outputs_.size, rgba.data()};
    if (auto switched = switch_recording(ticket.chunk); !switched) return switched;
    for (auto* recorder : {out_.get(), scripted_.get()}) {
        if (recorder && !recorder->push(picture)) return Error{ErrorCode::io, recorder->status().error};
    }
    if (outputs_.frames.empty()) return {};
    auto facts = outputs_.facts;
    facts["frame"] = std::to_string(ticket.frame_index);
    facts["chunk"] = std::to_string(ticket.chunk);
    return render::write_png(outputs_.frames / frame_name(ticket.frame_index), picture, facts);
}

Result<void> FrameSinks::switch_recording(std::int64_t chunk) {
    bool on = scripted_ != nullptr;
    {
        std::lock_guard lock(mutex_);
        while (!switches_.empty() && switches_.begin()->first <= chunk) {
            on = switches_.begin()->second;
            switches_.erase(switches_.begin());
        }
    }
    if (on && !scripted_) {
        auto recorder = make_recorder(outputs_, unused_file(outputs_.record_dir, "Wander", "mp4"));
        if (!recorder) return recorder.error();
        scripted_ = std::move(*recorder);
    }
    return on ? Result<void>{} : finish_recorder(scripted_);
}

Result<void> FrameSinks::finish_recorder(std::unique_ptr<render::Recorder>& recorder) {
    if (!recorder) return {};
    for (const auto& [key, value] : late_facts_) recorder->set_fact(key, value);
    auto file = recorder->finish();
    recorder.reset();
    if (!file) return file.error();
    recordings_.push_back(*file);
    return {};
}

void FrameSinks::fail(const Error& error) {
    {
        std::lock_guard lock(mutex_);
        if (failure_) return;
        failure_ = error;
        changed_.notify_all();
    }
    on_failure_();
}

Result<void> FrameSinks::finish(const std::map<std::string, std::string>& late_facts) {
    {
        std::lock_guard lock(mutex_);
        closing_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
    late_facts_ = late_facts;
    for (auto* recorder : {&out_, &scripted_}) {
        if (auto done = finish_recorder(*recorder); !done && !failure_) failure_ = done.error();
    }
    if (failure_) return *failure_;
    return {};
}

} // namespace wander
