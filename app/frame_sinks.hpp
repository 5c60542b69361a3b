#pragma once
// Where the frames of a headless walk go: always into a hash, and as asked for into PNGs, into an MP4, into recordings
// that a script switches on and off. No torch, no Vulkan.
//
// Frames pass through a few slots to a thread of their own, in order, so that writing files stays out of the decode
// thread's time; when it cannot keep up the walk waits. A failure (full disk) is kept, reported once through
// `on_failure` (from that thread) and given back by finish().

#include "generator/plain/frame_sink.hpp"
#include "generator/plain/result.hpp"
#include "generator/plain/sha256.hpp"
#include "render/plain/pixels.hpp"
#include "render/video/recorder.hpp"

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace wander {

struct FrameOutputs {
    render::PixelSize size;
    double fps = 16;
    std::filesystem::path out;        // MP4 of the whole walk; empty: none
    std::filesystem::path frames;     // folder of %06d.png; empty: none
    std::filesystem::path record_dir; // folder of recordings that record_from switches on
    std::map<std::string, std::string> facts;
};

class FrameSinks : public FrameSink {
public:
    static Result<std::unique_ptr<FrameSinks>> create(FrameOutputs outputs, std::function<void()> on_failure);
    ~FrameSinks() override;

    FrameSlot acquire(const std::stop_token& stop) override;
    void publish(const FrameTicket& ticket, void* stream) override;

    // A recording in record_dir begins or ends with the first frame of this chunk. Before the chunk is generated; any
    // thread.
    void record_from(std::int64_t chunk, bool on);

    // After the walk: waits for the frames on their way and finishes the recordings; `late_facts` go into them.
    Result<void> finish(const std::map<std::string, std::string>& late_facts);

    std::int64_t frames() const { return frames_; }    // after finish()
    std::string sha256() const { return hash_.hex(); } // after finish()
    std::optional<double> first_frame_seconds() const; // steady clock
    const std::vector<std::filesystem::path>& recordings() const {
        return recordings_;
    } // finished ones, after finish()

private:
    FrameSinks(FrameOutputs outputs, std::function<void()> on_failure);
    void work();
    Result<void> consume(const FrameTicket& ticket, const std::vector<std::uint8_t>& rgba);
    Result<void> switch_recording(std::int64_t chunk);
    Result<void> finish_recorder(std::unique_ptr<render::Recorder>& recorder);
    void fail(const Error& error);

    const FrameOutputs outputs_;
    const std::function<void()> on_failure_;
    // Used by the sink's thread, and by the owner before and after it runs.
    Sha256 hash_;
    std::vector<std::uint8_t> rgb_;
    std::unique_ptr<render::Recorder> out_;
    std::unique_ptr<render::Recorder> scripted_;
    std::vector<std::filesystem::path> recordings_;
    std::map<std::string, std::string> late_facts_;
    std::int64_t frames_ = 0;

    mutable std::mutex mutex_; // guards what follows
    std::condition_variable_any changed_;
    std::vector<std::vector<std::uint8_t>> slots_;
    std::deque<int> free_;
    std::deque<FrameTicket> waiting_;
    std::map<std::int64_t, bool> switches_; // chunk -> recording from there on
    std::optional<double> first_frame_seconds_;
    std::optional<Error> failure_;
    bool closing_ = false;
    std::jthread thread_; // last: uses everything above
};

} // namespace wander
