#include "app/live_walk.hpp"

#include <cassert>
#include <chrono>

namespace wander {

namespace {
constexpr std::size_t kKeptChunks = 256;

double steady_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
} // namespace

bool may_follow(WorkerState from, WorkerState to) {
    using enum WorkerState;
    if (to == stopping || to == failed) return from != stopping;
    switch (from) {
        case empty:
        case failed: return to == loading || to == ready;
        case loading: return to == ready;
        case ready: return to == generating || to == paused || to == loading || to == ready;
        case generating: return to == paused || to == ready || to == loading || to == converting;
        case converting:
        case paused: return to == generating || to == ready || to == loading;
        case stopping: return false;
    }
    return false;
}

LiveWalk::LiveWalk(WalkOptions options, std::function<void()> wake)
    : options_(std::move(options)), wake_(std::move(wake)) {
    now_.format = options_.cache_format;
    now_.rules = options_.cache_rules;
    now_.seed = options_.seed;
    thread_ = std::jthread([this](std::stop_token stop) { work(stop); });
}

LiveWalk::~LiveWalk() {
    thread_.request_stop();
    changed_.notify_all();
}

LiveWalk::Snapshot LiveWalk::snapshot() const {
    std::lock_guard lock(mutex_);
    return now_;
}

std::deque<ChunkTelemetry> LiveWalk::take_chunks() {
    std::lock_guard lock(mutex_);
    return std::exchange(chunks_, {});
}

void LiveWalk::attach_sink(std::shared_ptr<FrameSink> sink, std::uint64_t generation) {
    {
        std::lock_guard lock(mutex_);
        sink_ = std::move(sink);
        sink_generation_ = generation;
    }
    changed_.notify_all();
}

void LiveWalk::frame_shown(const FrameTicket& ticket, double planned_seconds) {
    {
        std::lock_guard lock(mutex_);
        if (ticket.chunk < 0)
            gate_.opening_shown(ticket.frame_index + ticket.frames_in_chunk - 1 - ticket.index_in_chunk);
        gate_.frame_shown(ticket.frame_index, planned_seconds);
    }
    changed_.notify_all();
}

void LiveWalk::set_controls(const ControlState& state) {
    std::unique_lock lock(mutex_);
    const float yaw = controls_.mouse_yaw_rad + state.mouse_yaw_rad;
    const float pitch = controls_.mouse_pitch_rad + state.mouse_pitch_rad;
    controls_ = state;
    controls_.mouse_yaw_rad = yaw;
    controls_.mouse_pitch_rad = pitch;
    const bool ends_idling = now_.idle && controls_.any();
    lock.unlock();
    if (ends_idling) changed_.notify_all();
}

void LiveWalk::set_paused(bool paused) {
    {
        std::lock_guard lock(mutex_);
        mail_.paused = paused;
        mail_.steps = 0;
    }
    changed_.notify_all();
}

void LiveWalk::set_hold_while_idle(bool hold) {
    {
        std::lock_guard lock(mutex_);
        if (hold_while_idle_ == hold) return;
        hold_while_idle_ = hold;
    }
    changed_.notify_all();
}

void LiveWalk::step_chunk() {
    {
        std::lock_guard lock(mutex_);
        mail_.paused = true;
        ++mail_.steps;
    }
    changed_.notify_all();
}

void LiveWalk::set_format(const std::string& format) {
    std::lock_guard lock(mutex_);
    mail_.format = format;
    now_.format = format;
}

void LiveWalk::set_prompt(const std::string& prompt) {
    std::lock_guard lock(mutex_);
    mail_.prompt = prompt;
    now_.prompt = prompt;
}

void LiveWalk::set_camera_words(bool on) {
    std::lock_guard lock(mutex_);
    mail_.camera_words = on;
    now_.camera_words = on;
}

void LiveWalk::set_cache_rules(const quant::CacheRulesChange& change) {
    std::lock_guard lock(mutex_);
    change.apply_to(now_.rules);
    mail_.rules.add(change);
}

void LiveWalk::restart(const std::string& start, std::optional<std::uint64_t> seed) {
    {
        std::lock_guard lock(mutex_);
        mail_.restart_start = start;
        mail_.restart_seed = seed;
    }
    changed_.notify_all();
}

void LiveWalk::rewind(int chunks) {
    {
        std::lock_guard lock(mutex_);
        mail_.rewind += chunks;
    }
    changed_.notify_all();
}

void LiveWalk::save(const std::filesystem::path& file, Kept kept) {
    {
        std::lock_guard lock(mutex_);
        mail_.save = file;
        mail_.kept = std::move(kept);
    }
    changed_.notify_all();
}

void LiveWalk::resume(const std::filesystem::path& file, Kept kept) {
    {
        std::lock_guard lock(mutex_);
        mail_.resume = file;
        mail_.kept = [this, kept = std::move(kept), name = file.stem().string()](const Result<KeptWalk>& outcome) {
            if (outcome) {
                std::lock_guard inner(mutex_);
                now_.resumed = name;
                now_.place = outcome->place;
                now_.prompt = outcome->prompt;
                now_.seed = outcome->seed;
            }
            kept(outcome);
        };
    }
    changed_.notify_all();
}

void LiveWalk::open(const WalkOptions& options) {
    {
        std::lock_guard lock(mutex_);
        mail_.reopen = options;
    }
    changed_.notify_all();
}

void LiveWalk::change_state(WorkerState to, std::string error) {
    // Called with the mutex held.
    if (now_.state == to && to != WorkerState::failed) return;
    assert(may_follow(now_.state, to));
    now_.state = to;
    now_.error = std::move(error);
    if (wake_) wake_();
}

void LiveWalk::work(std::stop_token stop) {
    while (!stop.stop_requested()) {
        WalkOptions options;
        {
            std::lock_guard lock(mutex_);
            if (mail_.reopen) {
                options_ = *std::exchange(mail_.reopen, std::nullopt);
                mail_.prompt.reset(); // they were meant for the model before
                mail_.camera_words.reset();
                mail_.rewind = 0;
                mail_.save.clear();
                mail_.resume.clear();
                mail_.kept = {};
            }
            mail_.restart_start.reset();
            options = options_;
            now_.loading.clear();
            change_state(WorkerState::loading);
        }
        options.progress = [this](const LoadProgress& progress) {
            {
                std::lock_guard lock(mutex_);
                now_.loading = progress_text(progress);
            }
            if (wake_) wake_();
        };
        auto walk = Walk::open(options);
        if (!walk) {
            std::unique_lock lock(mutex_);
            change_state(WorkerState::failed, walk.error().message);
            changed_.wait(lock, stop, [this] { return mail_.reopen.has_value(); });
            continue;
        }
        {
            std::lock_guard lock(mutex_);
            now_.info = (*walk)->info();
            now_.start =
                options.start.empty() && !now_.info->starts.empty() ? now_.info->starts.front().name : options.start;
            now_.resumed = options.resume.stem().string();
            now_.place = now_.info->place;
            if (!options.resume.empty()) now_.start = now_.resumed;
            now_.seed = now_.info->seed;
            now_.format = options.cache_format;
            now_.rules = options.cache_rules;
            now_.prompt = now_.info->prompt;
            now_.camera_words = options.camera_words;
            now_.model = options.model;
            ++now_.generation;
            gate_ = PacingGate(now_.info->fps);
            change_state(WorkerState::ready);
        }
        serve(**walk, stop);
    }
    std::lock_guard lock(mutex_);
    change_state(WorkerState::stopping);
}

void LiveWalk::serve(Walk& walk, std::stop_token stop) {
    while (!stop.stop_requested()) {
        std::shared_ptr<FrameSink> sink;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, stop,
                          [this] { return mail_.reopen || (sink_ && sink_generation_ == now_.generation); });
            if (mail_.reopen || stop.stop_requested()) return;
            sink = sink_;
            gate_.reset();
            rebuilding_chunk_ = now_.resumed.empty() ? -1 : 0;
            change_state(mail_.paused && mail_.steps == 0 ? WorkerState::paused : WorkerState::generating);
        }
        auto report = [this](const ChunkTelemetry& chunk) {
            std::lock_guard lock(mutex_);
            if (chunk.index != rebuilding_chunk_) gate_.chunk_took(chunk.ms.total / 1000);
            gate_.promise(chunk.frames - now_.info->chunk_frames);
            chunks_.push_back(chunk);
            if (chunks_.size() > kKeptChunks) chunks_.pop_front();
            if (wake_) wake_();
        };
        auto done = walk.run([this](std::int64_t index, const std::stop_token& s) { return sample(index, s); }, *sink,
                             report, stop);

        std::unique_lock lock(mutex_);
        if (!done) {
            change_state(WorkerState::failed, done.error().message);
            changed_.wait(lock, stop, [this] { return interrupted(); });
        }
        while (!stop.stop_requested() && !mail_.reopen && !restart_from_mail(walk, lock)) {
            changed_.wait(lock, stop, [this] { return interrupted(); });
        }
        if (stop.stop_requested() || mail_.reopen) return;
        change_state(WorkerState::ready);
    }
}

bool LiveWalk::restart_from_mail(Walk& walk, std::unique_lock<std::mutex>& lock) {
    const std::string start = std::exchange(mail_.restart_start, std::nullopt).value_or("");
    const auto seed = std::exchange(mail_.restart_seed, std::nullopt);
    lock.unlock();
    auto restarted = walk.restart(start, seed);
    lock.lock();
    if (!restarted) {
        change_state(WorkerState::failed, restarted.error().message);
        return false;
    }
    if (!start.empty()) {
        now_.start = start;
        now_.info->place.clear(); // not where it begins any more
    }
    now_.place = now_.info->place;
    now_.resumed = now_.place.empty() ? "" : now_.start;
    if (seed) now_.seed = *seed;
    return true;
}

bool LiveWalk::may_go() const {
    if (mail_.steps > 0) return true;
    if (mail_.paused) return false;
    return !hold_while_idle_ || !now_.info->camera_steering || controls_.any();
}

ChunkControls LiveWalk::sample(std::int64_t index, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const auto free_to_go = [this] { return interrupted() || has_errand() || may_go(); };
    while (!free_to_go() && !stop.stop_requested()) {
        const bool paused = mail_.paused;
        now_.idle = !paused;
        change_state(paused ? WorkerState::paused : WorkerState::generating);
        changed_.wait(lock, stop, [&] { return free_to_go() || mail_.paused != paused; });
        now_.idle = false;
        if (!stop.stop_requested() && may_go()) change_state(WorkerState::generating);
    }
    while (!has_errand() && !stop.stop_requested() && !interrupted()) {
        const double wait = gate_.wait_seconds(steady_now());
        if (wait <= 0) break;
        // A shown frame notifies, and may have moved the moment.
        changed_.wait_for(lock, stop, std::chrono::duration<double>(wait), [&, before = gate_.shown_frame()] {
            return interrupted() || has_errand() || gate_.shown_frame() != before;
        });
    }
    ChunkControls controls;
    controls.stop = interrupted() || stop.stop_requested();
    if (controls.stop) return controls;
    if (has_errand()) {
        controls.rewind = std::exchange(mail_.rewind, 0);
        controls.save = std::exchange(mail_.save, {});
        controls.resume = std::exchange(mail_.resume, {});
        controls.kept = std::exchange(mail_.kept, {});
        controls.make_chunk = false; // the errand first, then a look at the keys as they are then
        if (controls.rewind > 0 || !controls.resume.empty()) {
            gate_.jumped();
            rebuilding_chunk_ = index;
        }
        return controls;
    }
    if (mail_.steps > 0) --mail_.steps;
    controls.cache_format = std::exchange(mail_.format, std::nullopt);
    controls.cache_rules = std::exchange(mail_.rules, {});
    controls.prompt = std::exchange(mail_.prompt, std::nullopt);
    controls.camera_words = std::exchange(mail_.camera_words, std::nullopt);
    controls.wait_for_prompt = false; // a key shall never stop the picture
    controls.state = controls_;
    controls_.mouse_yaw_rad = 0;
    controls_.mouse_pitch_rad = 0;
    gate_.chunk_started(now_.info->chunk_frames);
    return controls;
}

} // namespace wander
