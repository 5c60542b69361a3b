#include "generator/plain/memory_turn.hpp"

namespace wander {

void MemoryTurn::take() {
    std::unique_lock lock(mutex_);
    const std::uint64_t ticket = next_ticket_++;
    served_.wait(lock, [&] { return now_serving_ == ticket; });
}

void MemoryTurn::give() {
    {
        const std::lock_guard lock(mutex_);
        ++now_serving_;
    }
    served_.notify_all();
}

void MemoryTurn::yield() {
    {
        const std::lock_guard lock(mutex_);
        if (next_ticket_ == now_serving_ + 1) return; // nobody waits
    }
    give();
    take();
}

} // namespace wander
