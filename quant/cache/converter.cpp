#include "quant/cache/converter.hpp"

#include <algorithm>

namespace wander::quant {

void Converter::settle(std::int64_t newest_first_latent) {
    for (auto& group : table_.groups()) {
        if (!group->sink && !group->settled && group->full() && group->end_latent() <= newest_first_latent) {
            group->settled = true;
            if (group->format != format_) {
                change(*group);
            }
        }
    }
}

void Converter::convert_old(int groups) {
    for (auto& group : table_.groups()) {
        if (groups <= 0) {
            return;
        }
        if (group->settled && group->format != format_) {
            change(*group);
            --groups;
        }
    }
}

std::int64_t Converter::waiting() const {
    return std::count_if(table_.groups().begin(), table_.groups().end(),
                         [this](const auto& group) { return group->settled && group->format != format_; });
}

void Converter::change(PageGroup& group) {
    for (std::size_t layer = 0; layer < group.keys.size(); ++layer) {
        codec_.convert(group, static_cast<int>(layer), true, group.keys[layer], *format_, arena_);
        codec_.convert(group, static_cast<int>(layer), false, group.values[layer], *format_, arena_);
    }
    group.lossy_history = group.lossy_history || !group.format->lossless();
    group.format = format_;
}

} // namespace wander::quant
