#pragma once
// Where a person may stand: a bitmap over one period of a world. Immutable after reading, any thread. No torch.
//
// Cell (i, j) covers x in [i, i + 1) * period / cells and z in [j, j + 1) * period / cells, modulo the period.

#include "generator/plain/result.hpp"

#include <string>
#include <vector>

namespace wander {

class WalkableMap {
public:
    // rows: one string of hex digits for every z cell, most significant bit first (x cell 0); 1 = free. bad_input if
    // the rows are not `cells` square.
    static Result<WalkableMap> from_hex(const std::vector<std::string>& rows, int cells, double period);

    bool free_at(double x, double z) const;
    double period() const { return period_; }

private:
    int cells_ = 0;
    double period_ = 0;
    std::vector<bool> free_;
};

} // namespace wander
