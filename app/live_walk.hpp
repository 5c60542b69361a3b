#pragma once
// The walk behind the window: owns the generator worker thread and passes what the person does to it.
//
// Any thread may call; the window's thread does. Commands are a mailbox, not a queue: the newest of each kind wins, so
// it cannot overflow. The worker thread becomes the thread of Walk::run. A failure ends in state `failed` with a
// message; the object stays usable (restart, another model) and the window alive. The destructor stops and joins.

#include "app/pacing_gate.hpp"
#include "generator/walk.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace wander {

// Which states may follow which; the one place that knows.
bool may_follow(WorkerState from, WorkerState to);

class LiveWalk {
public:
    struct Snapshot {
        WorkerState state = WorkerState::empty;
        std::string loading;          // what opening the model is at, in state loading
        std::string error;            // what failed and what to do, in state failed
        std::optional<WalkInfo> info; // of the open model
        std::uint64_t generation = 0; // grows with every opened model
        std::string model;            // that was opened last, as WalkOptions::model
        std::string start;            // name of the start point
        std::string resumed;          // name of the saved walk that it goes on from instead; empty: none
        std::string place;            // where that stands, of a world
        std::uint64_t seed = 0;
        std::string format;      // wanted for new pages
        quant::CacheRules rules; // wanted
        std::string prompt;      // wanted, without the camera's words
        bool camera_words = true;
        bool idle = false; // no chunk is made until something moves: set_hold_while_idle
    };

    // `wake` is called from the worker when there is something new to show.
    LiveWalk(WalkOptions options, std::function<void()> wake);
    ~LiveWalk();
    LiveWalk(const LiveWalk&) = delete;
    LiveWalk& operator=(const LiveWalk&) = delete;

    Snapshot snapshot() const;
    // Chunks finished since the last call, oldest first; the oldest are forgotten after 256.
    std::deque<ChunkTelemetry> take_chunks();

    // Frames go here from the next run on; generation as in the snapshot it was made for.
    void attach_sink(std::shared_ptr<FrameSink> sink, std::uint64_t generation);
    void frame_shown(const FrameTicket& ticket, double planned_seconds); // steady clock

    void set_controls(const ControlState& state); // mouse travel is added up until sampled
    void set_paused(bool paused);
    void step_chunk(); // one chunk, then paused
    // While nothing is pressed the last picture stays, instead of a world that a model invents on and on. Not for
    // models without a camera.
    void set_hold_while_idle(bool hold);
    void set_format(const std::string& format);
    void set_prompt(const std::string& prompt);
    void set_camera_words(bool on);
    void set_cache_rules(const quant::CacheRulesChange& change);
    void restart(const std::string& start, std::optional<std::uint64_t> seed);
    // At the next chunk border, which comes at once while paused. `kept` on the worker thread.
    using Kept = std::function<void(const Result<KeptWalk>&)>;
    void rewind(int chunks);
    void save(const std::filesystem::path& file, Kept kept);
    void resume(const std::filesystem::path& file, Kept kept);
    void open(const WalkOptions& options); // another model

private:
    struct Mail {
        bool paused = false;
        int steps = 0;
        std::optional<std::string> format;
        std::optional<std::string> prompt;
        std::optional<bool> camera_words;
        quant::CacheRulesChange rules;
        int rewind = 0;
        std::filesystem::path save;
        std::filesystem::path resume;
        Kept kept;
        std::optional<std::string> restart_start;
        std::optional<std::uint64_t> restart_seed;
        std::optional<WalkOptions> reopen;
    };

    void work(std::stop_token stop);
    void serve(Walk& walk, std::stop_token stop);
    // Carries out the newest restart order; false and state `failed` when the walk refuses it.
    bool restart_from_mail(Walk& walk, std::unique_lock<std::mutex>& lock);
    ChunkControls sample(std::int64_t index, const std::stop_token& stop);
    bool interrupted() const { return mail_.restart_start || mail_.reopen; }
    // A chunk may be made as far as pause and idling go.
    bool may_go() const;
    bool has_errand() const { return mail_.rewind > 0 || !mail_.save.empty() || !mail_.resume.empty(); }
    void change_state(WorkerState to, std::string error = {});

    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    WalkOptions options_;
    Snapshot now_;
    Mail mail_;
    ControlState controls_;
    bool hold_while_idle_ = false;
    PacingGate gate_{16};
    // Makes the history of a rewound or resumed walk first; how long that takes says nothing about other chunks.
    std::int64_t rebuilding_chunk_ = -1;
    std::shared_ptr<FrameSink> sink_;
    std::uint64_t sink_generation_ = 0;
    std::deque<ChunkTelemetry> chunks_;
    std::function<void()> wake_;
    std::jthread thread_;
};

} // namespace wander
