#include "generator/split/rank_thread.hpp"

#include "generator/gpu_streams.hpp"

#include <c10/core/InferenceMode.h>

#include <utility>

namespace wander {

RankThread::RankThread(at::Device device) : thread_([this, device] { run(device); }) {}

RankThread::~RankThread() {
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

std::future<void> RankThread::give(std::function<void()> work) {
    std::packaged_task<void()> task(std::move(work));
    std::future<void> done = task.get_future();
    {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
    return done;
}

// The stream's guard makes the device current too.
void RankThread::run(at::Device device) {
    const c10::InferenceMode inference;
    const WalkStream stream(device);
    while (true) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return ends_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        std::packaged_task<void()> task = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        task();
    }
}

} // namespace wander
