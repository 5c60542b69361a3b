#pragma once
// What was dropped on the window: what it is, and whether it can be used. Nothing is left for a thing that cannot be,
// and the window goes on while it is looked at: a folder may be large, a disk slow, a picture big.

#include "generator/plain/result.hpp"

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

namespace wander {

struct Dropped {
    enum class Kind { model, walk, picture };
    Kind kind = Kind::model;
    std::filesystem::path path; // of a model: the folder to open, whichever of its files was dropped
};

// Says what is wrong and what to do. A saved walk is not looked into: resuming it does, at a chunk border. Any thread.
Result<Dropped> look_at_dropped(const std::filesystem::path& path);

// Does that on a thread of its own, which begins with the first look. Main thread.
class DroppedLook {
public:
    explicit DroppedLook(std::function<void()> wake); // from that thread, when there is something to take
    ~DroppedLook();                                   // waits for a look that is under way
    DroppedLook(const DroppedLook&) = delete;
    DroppedLook& operator=(const DroppedLook&) = delete;

    void look(const std::filesystem::path& path); // the newest wins
    std::optional<Result<Dropped>> take();

private:
    void work(const std::stop_token& stop);

    std::function<void()> wake_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::optional<std::filesystem::path> wanted_;
    std::optional<Result<Dropped>> found_;
    std::jthread thread_;
};

} // namespace wander
