#pragma once
// Counts what the validation layers say; the program and the tests ask for it. The callback may come from any thread.

#include <mutex>
#include <string>

namespace wander::render {

class ValidationLog {
public:
    void add(const char* message) {
        const std::lock_guard lock(mutex_);
        if (count_++ == 0) {
            first_ = message ? message : "";
        }
    }
    int count() const {
        const std::lock_guard lock(mutex_);
        return count_;
    }
    std::string first() const {
        const std::lock_guard lock(mutex_);
        return first_;
    }

private:
    mutable std::mutex mutex_;
    int count_ = 0;
    std::string first_;
};

} // namespace wander::render
