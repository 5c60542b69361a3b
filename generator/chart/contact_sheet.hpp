#pragma once
// Contact sheets as PNG: rows of small pictures of one size under column labels, say truth above model by the second.
// No torch. Any thread.

#include "generator/chart/canvas.hpp"

#include <string>
#include <vector>

namespace wander::chart {

struct SheetRow {
    std::string label;                               // to the left
    std::vector<std::vector<std::uint8_t>> pictures; // RGB8, rows tightly packed; an empty one leaves its cell empty
    bool new_group = false;                          // some room above
};

struct ContactSheet {
    std::string title;
    int width = 0; // of each picture
    int height = 0;
    std::vector<std::string> columns; // labels
    std::vector<SheetRow> rows;
};

// wrong_use for pictures of another size, or rows that are longer than the labels.
Result<Canvas> contact_sheet(const ContactSheet& sheet, const Font& font);
// Into a PNG. assets: the folder that holds fonts/.
Result<void> write_contact_sheet(const std::filesystem::path& file, const ContactSheet& sheet,
                                 const std::filesystem::path& assets);

} // namespace wander::chart
