#include "generator/chart/contact_sheet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace wander::chart {

namespace {

constexpr Colour kPaper{24, 26, 29};
constexpr Colour kInk{225, 228, 232};
constexpr Colour kEmpty{36, 39, 43};

constexpr double kTextSize = 16;
constexpr double kTitleSize = 20;
constexpr int kGap = 3;
constexpr int kGroupGap = 14;
constexpr int kMargin = 12;

} // namespace

Result<Canvas> contact_sheet(const ContactSheet& sheet, const Font& font) {
    if (sheet.width <= 0 || sheet.height <= 0 || sheet.rows.empty())
        return Error{ErrorCode::wrong_use, "a contact sheet without pictures"};
    const auto bytes = static_cast<std::size_t>(sheet.width) * static_cast<std::size_t>(sheet.height) * 3;
    double label_width = 0;
    int groups = 0;
    for (const SheetRow& row : sheet.rows) {
        label_width = std::max(label_width, font.width_of(row.label, kTextSize));
        groups += row.new_group ? 1 : 0;
        if (row.pictures.size() > sheet.columns.size())
            return Error{ErrorCode::wrong_use, fmt::format("contact sheet: row \"{}\" has {} pictures for {} labels",
                                                           row.label, row.pictures.size(), sheet.columns.size())};
        for (const auto& picture : row.pictures) {
            if (!picture.empty() && picture.size() != bytes)
                return Error{ErrorCode::wrong_use, fmt::format("contact sheet: row \"{}\" has a picture of {} bytes "
                                                               "instead of {}",
                                                               row.label, picture.size(), bytes)};
        }
    }
    const int left = kMargin + (label_width > 0 ? static_cast<int>(std::ceil(label_width)) + 10 : 0);
    const int title = sheet.title.empty() ? 0 : static_cast<int>(kTitleSize) + 8;
    const int top = kMargin + title + static_cast<int>(kTextSize) + 6;
    const auto columns = static_cast<int>(sheet.columns.size());
    const auto rows = static_cast<int>(sheet.rows.size());
    Canvas canvas(left + columns * (sheet.width + kGap) - kGap + kMargin,
                  top + rows * (sheet.height + kGap) - kGap + groups * kGroupGap + kMargin, kPaper);
    canvas.text(font, kTitleSize, kMargin, kMargin, sheet.title, kInk);
    for (int c = 0; c < columns; ++c) {
        canvas.text(font, kTextSize, left + c * (sheet.width + kGap) + sheet.width / 2.0, kMargin + title,
                    sheet.columns[static_cast<std::size_t>(c)], kInk, Anchor::middle);
    }
    int y = top;
    for (const SheetRow& row : sheet.rows) {
        if (row.new_group) y += kGroupGap;
        canvas.text(font, kTextSize, kMargin, y + sheet.height / 2.0, row.label, kInk, Anchor::begin, Anchor::middle);
        for (int c = 0; c < columns; ++c) {
            const int x = left + c * (sheet.width + kGap);
            const bool there =
                c < static_cast<int>(row.pictures.size()) && !row.pictures[static_cast<std::size_t>(c)].empty();
            if (there) {
                canvas.picture(x, y, sheet.width, sheet.height, row.pictures[static_cast<std::size_t>(c)]);
            } else {
                canvas.fill(x, y, sheet.width, sheet.height, kEmpty);
            }
        }
        y += sheet.height + kGap;
    }
    return canvas;
}

Result<void> write_contact_sheet(const std::filesystem::path& file, const ContactSheet& sheet,
                                 const std::filesystem::path& assets) {
    auto font = Font::load(assets);
    if (!font) return font.error();
    auto canvas = contact_sheet(sheet, *font);
    if (!canvas) return canvas.error();
    return canvas->write(file);
}

} // namespace wander::chart
