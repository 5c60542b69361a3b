#include "render/video/frame_queue.hpp"

#include <algorithm>
#include <cassert>

namespace wander::render {

FrameQueue::FrameQueue(PixelSize size, int capacity, QueuePolicy policy)
    : size_(size), capacity_(static_cast<std::size_t>(std::max(capacity, 1))), policy_(policy) {}

bool FrameQueue::push(const PixelView& picture) {
    assert(picture.size == size_);
    std::unique_lock lock(mutex_);
    if (policy_ == QueuePolicy::wait) {
        changed_.wait(lock, [this] { return closed_ || items_.size() < capacity_; });
    }
    if (closed_) return false;
    const std::int64_t index = pushed_++;
    if (items_.size() >= capacity_) {
        ++dropped_;
        return false;
    }
    Item item{index, {}};
    if (!spare_.empty()) {
        item.rgba = std::move(spare_.back());
        spare_.pop_back();
    }
    item.rgba.assign(picture.rgba, picture.rgba + size_.bytes());
    items_.push_back(std::move(item));
    changed_.notify_all();
    return true;
}

bool FrameQueue::take(Item& item) {
    std::unique_lock lock(mutex_);
    if (!item.rgba.empty()) spare_.push_back(std::move(item.rgba));
    changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
    if (items_.empty()) return false;
    item = std::move(items_.front());
    items_.pop_front();
    changed_.notify_all();
    return true;
}

void FrameQueue::close(bool discard) {
    std::lock_guard lock(mutex_);
    closed_ = true;
    if (discard) items_.clear();
    changed_.notify_all();
}

std::int64_t FrameQueue::pushed() const {
    std::lock_guard lock(mutex_);
    return pushed_;
}

std::int64_t FrameQueue::dropped() const {
    std::lock_guard lock(mutex_);
    return dropped_;
}

} // namespace wander::render
