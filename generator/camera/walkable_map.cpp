#include "generator/camera/walkable_map.hpp"

#include <fmt/format.h>

#include <cmath>

namespace wander {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

} // namespace

Result<WalkableMap> WalkableMap::from_hex(const std::vector<std::string>& rows, int cells, double period) {
    if (cells <= 0 || cells > 4096 || cells % 4 != 0 || !(period > 0)) {
        return Error{ErrorCode::bad_input,
                     fmt::format("walkable cells: {} cells over a period of {} make no map", cells, period)};
    }
    if (rows.size() != static_cast<std::size_t>(cells)) {
        return Error{ErrorCode::bad_input, fmt::format("walkable cells: {} rows instead of {}", rows.size(), cells)};
    }
    WalkableMap map;
    map.cells_ = cells;
    map.period_ = period;
    map.free_.reserve(static_cast<std::size_t>(cells) * static_cast<std::size_t>(cells));
    for (std::size_t j = 0; j < rows.size(); ++j) {
        if (rows[j].size() * 4 != static_cast<std::size_t>(cells)) {
            return Error{ErrorCode::bad_input, fmt::format("walkable cells: row {} has {} hex digits instead of {}", j,
                                                           rows[j].size(), cells / 4)};
        }
        for (char c : rows[j]) {
            const int digit = hex_digit(c);
            if (digit < 0)
                return Error{ErrorCode::bad_input, fmt::format("walkable cells: row {} is not hexadecimal", j)};
            for (int bit = 3; bit >= 0; --bit) map.free_.push_back(((digit >> bit) & 1) != 0);
        }
    }
    return map;
}

bool WalkableMap::free_at(double x, double z) const {
    const auto cell = [this](double value) {
        const double turns = value / period_;
        const int index = static_cast<int>((turns - std::floor(turns)) * cells_);
        return static_cast<std::size_t>(index < cells_ ? index : 0); // 1 - tiny may round up to a whole turn
    };
    return free_[cell(z) * static_cast<std::size_t>(cells_) + cell(x)];
}

} // namespace wander
