#include "generator/train/stop_request.hpp"

#include <atomic>
#include <csignal>

namespace wander::train {

namespace {

std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free); // as a signal handler needs it

void note(int signal) {
    requested.store(true);
    if (signal == SIGINT) std::signal(SIGINT, SIG_DFL);
}

} // namespace

void catch_stop_signals() {
    std::signal(SIGINT, note);
    std::signal(SIGTERM, note);
}

bool stop_requested() { return requested.load(); }

} // namespace wander::train
