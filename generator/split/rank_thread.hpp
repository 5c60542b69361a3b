#pragma once
// The thread of one rank of a split network: it does what it is given, one after the other, with its device and, on a
// GPU, the walks' stream current (gpu_streams.hpp), under InferenceMode.

#include <c10/core/Device.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

namespace wander {

class RankThread {
public:
    explicit RankThread(at::Device device);
    ~RankThread(); // behind all that was given
    RankThread(const RankThread&) = delete;
    RankThread& operator=(const RankThread&) = delete;

    // The future holds what the work throws.
    std::future<void> give(std::function<void()> work);

private:
    void run(at::Device device);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::packaged_task<void()>> tasks_;
    bool ends_ = false;
    std::thread thread_; // last: it uses the others
};

} // namespace wander
