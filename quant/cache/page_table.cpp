#include "quant/cache/page_table.hpp"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <string>

namespace wander::quant {

void PageTable::clear() {
    groups_.clear();
    base_ = 0;
    next_ = 0;
    ++changes_;
}

bool PageTable::has_history() const {
    return std::any_of(groups_.begin(), groups_.end(), [](const auto& group) { return group->held > 0; });
}

void PageTable::begin_walk(std::int64_t first_latent) {
    assert(!has_history());
    base_ = first_latent;
    next_ = first_latent;
    ++changes_;
}

void PageTable::skip_to(std::int64_t first_latent) {
    next_ = first_latent;
    ++changes_;
}

bool PageTable::is_visible(std::int64_t latent, std::int64_t first_latent) const {
    const bool in_sink = latent < base_ + shape_.sink_latents;
    return in_sink || shape_.window_latents <= 0 || latent >= first_latent - shape_.window_latents;
}

std::vector<std::int64_t> PageTable::visible(std::int64_t first_latent) const {
    std::vector<std::int64_t> latents;
    for (const auto& group : groups_) {
        for (int i = 0; i < group->held; ++i) {
            const std::int64_t latent = group->first_latent + i;
            if (latent < first_latent && is_visible(latent, first_latent)) {
                latents.push_back(latent);
            }
        }
    }
    return latents;
}

std::vector<HistorySegment> PageTable::segments(std::int64_t first_latent) const {
    std::vector<HistorySegment> segments;
    int history_index = 0;
    for (const auto& group : groups_) {
        HistorySegment segment{group.get(), 0, 0, history_index};
        for (int i = 0; i < group->held; ++i) {
            const std::int64_t latent = group->first_latent + i;
            if (latent < first_latent && is_visible(latent, first_latent)) {
                segment.page_latent = segment.latents == 0 ? i : segment.page_latent;
                ++segment.latents;
            }
        }
        if (segment.latents > 0) {
            segments.push_back(segment);
            history_index += segment.latents;
        }
    }
    return segments;
}

std::vector<HistorySegment> PageTable::segments_of(const std::vector<std::int64_t>& latents) const {
    std::vector<HistorySegment> segments;
    int history_index = 0;
    for (const std::int64_t latent : latents) {
        const PageGroup* group = find(latent);
        if (!group || latent >= group->first_latent + group->held ||
            (history_index > 0 && latent <= latents[static_cast<std::size_t>(history_index) - 1])) {
            throw std::invalid_argument("KvCache: latent " + std::to_string(latent) +
                                        " was chosen as history, but is not held, or out of order");
        }
        const int inside = static_cast<int>(latent - group->first_latent);
        if (!segments.empty() && segments.back().group == group &&
            segments.back().page_latent + segments.back().latents == inside) {
            ++segments.back().latents;
        } else {
            segments.push_back({group, inside, 1, history_index});
        }
        ++history_index;
    }
    return segments;
}

std::vector<std::unique_ptr<PageGroup>> PageTable::evict(std::int64_t first_latent) {
    std::vector<std::unique_ptr<PageGroup>> gone;
    for (auto& group : groups_) {
        if (!group->sink && !is_visible(group->end_latent() - 1, first_latent)) {
            gone.push_back(std::move(group));
        }
    }
    std::erase(groups_, nullptr);
    if (!gone.empty()) ++changes_;
    return gone;
}

PageGroup& PageTable::group_for(std::int64_t latent) {
    assert(latent >= base_);
    if (const PageGroup* found = find(latent)) {
        return const_cast<PageGroup&>(*found);
    }
    auto group = std::make_unique<PageGroup>();
    const std::int64_t after_sink = latent - base_ - shape_.sink_latents;
    group->sink = after_sink < 0;
    group->capacity = group->sink ? shape_.sink_latents : shape_.page_latents;
    group->first_latent = group->sink ? base_ : latent - after_sink % shape_.page_latents;
    group->keys.resize(static_cast<std::size_t>(shape_.layers));
    group->values.resize(static_cast<std::size_t>(shape_.layers));
    groups_.push_back(std::move(group));
    return *groups_.back();
}

const PageGroup* PageTable::find(std::int64_t latent) const {
    for (const auto& group : groups_) {
        if (latent >= group->first_latent && latent < group->end_latent()) {
            return group.get();
        }
    }
    return nullptr;
}

void PageTable::commit(std::int64_t first_latent, int latents) {
    next_ = first_latent + latents;
    ++changes_;
    for (auto& group : groups_) {
        if (group->first_latent < next_ && group->end_latent() > first_latent) {
            group->held = static_cast<int>(std::min<std::int64_t>(next_, group->end_latent()) - group->first_latent);
        }
    }
}

} // namespace wander::quant
