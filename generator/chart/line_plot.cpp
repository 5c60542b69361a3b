#include "generator/chart/line_plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace wander::chart {

namespace {

constexpr Colour kPaper{255, 255, 255};
constexpr Colour kGrid{228, 230, 233};
constexpr Colour kFrame{120, 124, 130};
constexpr Colour kInk{40, 43, 48};
// Dark enough on white, and told apart by people who confuse red and green.
constexpr std::array<Colour, 8> kPalette = {{{31, 98, 168},
                                             {213, 94, 0},
                                             {0, 130, 100},
                                             {170, 70, 140},
                                             {120, 90, 20},
                                             {60, 160, 210},
                                             {90, 90, 90},
                                             {190, 150, 0}}};

constexpr double kTextSize = 15;
constexpr double kTitleSize = 18;
constexpr double kLineWidth = 1.8;
constexpr double kMarkRadius = 3;
constexpr int kLeft = 72; // room for tick labels and the axis' own
constexpr int kRight = 20;
constexpr int kBottom = 52;
constexpr int kLegendRow = 20;
constexpr int kTitleRow = 28;
constexpr int kKeyWidth = 22; // of the line beside a name in the legend

struct Range {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();

    void take(double value) {
        low = std::min(low, value);
        high = std::max(high, value);
    }
    // A range that can be drawn: not empty, not a point, with some air.
    Range roomy(double air) const {
        if (low > high) return {0, 1};
        const double span = high - low;
        const double more = span > 0 ? span * air : std::max(1e-3, std::abs(low) * 0.05);
        return {low - more, high + more};
    }
};

double along(double y, bool log_y) { return log_y ? (y > 0 ? std::log10(y) : std::nan("")) : y; }

PlotFrame frame_of(const PlotPanel& panel, const Box& box) {
    Range x;
    Range y;
    for (const PlotSeries& series : panel.series) {
        for (std::size_t i = 0; i < series.x.size(); ++i) {
            const double value = along(series.y[i], panel.axes.log_y);
            if (!std::isfinite(series.x[i]) || !std::isfinite(value)) continue;
            x.take(series.x[i]);
            y.take(value);
        }
    }
    x = panel.axes.x_range ? Range{panel.axes.x_range->first, panel.axes.x_range->second} : x.roomy(0.02);
    y = panel.axes.y_range ? Range{along(panel.axes.y_range->first, panel.axes.log_y),
                                   along(panel.axes.y_range->second, panel.axes.log_y)}
                           : y.roomy(0.06);
    return {static_cast<double>(box.left),
            static_cast<double>(box.top),
            static_cast<double>(box.right),
            static_cast<double>(box.bottom),
            x.low,
            x.high,
            y.low,
            y.high};
}

std::string tick_label(double value, double step) {
    const int decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 9);
    const std::string text = fmt::format("{:.{}f}", std::abs(value) < step * 1e-6 ? 0.0 : value, decimals);
    return text;
}

struct Tick {
    double at = 0; // along the axis
    std::string label;
};

std::vector<Tick> linear_ticks(double low, double high) {
    const std::vector<double> values = nice_ticks(low, high);
    const double step = values.size() > 1 ? values[1] - values[0] : 1;
    std::vector<Tick> ticks;
    ticks.reserve(values.size());
    for (const double value : values) ticks.push_back({value, tick_label(value, step)});
    return ticks;
}

// Powers of ten, with 2 and 5 between them where there are few.
std::vector<Tick> log_ticks(double low, double high) {
    if (high - low < 0.5) { // less than a factor of 3: even numbers
        std::vector<Tick> ticks = linear_ticks(std::pow(10, low), std::pow(10, high));
        std::erase_if(ticks, [](const Tick& tick) { return tick.at <= 0; });
        for (Tick& tick : ticks) tick.at = std::log10(tick.at);
        return ticks;
    }
    std::vector<Tick> ticks;
    for (int power = static_cast<int>(std::floor(low)); power <= static_cast<int>(std::ceil(high)); ++power) {
        for (const int digit : {1, 2, 5}) {
            if (digit > 1 && high - low > 3) continue;
            const double value = digit * std::pow(10, power);
            const double at = std::log10(value);
            if (at >= low && at <= high) ticks.push_back({at, fmt::format("{:g}", value)});
        }
    }
    return ticks;
}

Colour colour_of(const PlotSeries& series, std::size_t number) {
    return series.colour.value_or(kPalette[number % kPalette.size()]);
}

// Where the entries of the legend go, right-aligned rows below the title; the rows that they need.
struct LegendEntry {
    std::size_t series = 0;
    int row = 0;
    double x = 0;
};
std::vector<LegendEntry> lay_out_legend(const PlotPanel& panel, const Font& font, int width) {
    std::vector<LegendEntry> entries;
    double x = kLeft;
    int row = 0;
    for (std::size_t i = 0; i < panel.series.size(); ++i) {
        if (panel.series[i].name.empty()) continue;
        const double needed = kKeyWidth + 6 + font.width_of(panel.series[i].name, kTextSize) + 18;
        if (x > kLeft && x + needed > width - kRight) {
            x = kLeft;
            ++row;
        }
        entries.push_back({i, row, x});
        x += needed;
    }
    return entries;
}

class PanelPainter {
public:
    PanelPainter(Canvas& canvas, const PlotPanel& panel, const Font& font, int top, int height)
        : canvas_(canvas), panel_(panel), font_(font), legend_(lay_out_legend(panel, font, canvas.width())), top_(top) {
        const int legend_rows = legend_.empty() ? 0 : legend_.back().row + 1;
        const int title = panel.axes.title.empty() ? 8 : kTitleRow + 4;
        legend_top_ = top + title;
        box_ = {kLeft, legend_top_ + legend_rows * kLegendRow + 6, canvas.width() - kRight, top + height - kBottom};
        box_.bottom = std::max(box_.bottom, box_.top + 1);
        frame_ = frame_of(panel, box_);
    }

    PlotFrame draw() {
        draw_axes();
        for (std::size_t i = 0; i < panel_.series.size(); ++i)
            draw_series(panel_.series[i], colour_of(panel_.series[i], i));
        draw_texts();
        return frame_;
    }

private:
    void draw_axes() {
        for (const Tick& tick : linear_ticks(frame_.x_low, frame_.x_high)) {
            const double x = frame_.pixel_x(tick.at);
            canvas_.fill(static_cast<int>(std::lround(x)), box_.top, 1, box_.bottom - box_.top, kGrid);
            canvas_.text(font_, kTextSize, x, box_.bottom + 6, tick.label, kInk, Anchor::middle);
        }
        const auto ticks =
            panel_.axes.log_y ? log_ticks(frame_.y_low, frame_.y_high) : linear_ticks(frame_.y_low, frame_.y_high);
        for (const Tick& tick : ticks) {
            const double y = frame_.pixel_y(tick.at);
            canvas_.fill(box_.left, static_cast<int>(std::lround(y)), box_.right - box_.left, 1, kGrid);
            canvas_.text(font_, kTextSize, box_.left - 8, y, tick.label, kInk, Anchor::end, Anchor::middle);
        }
        canvas_.fill(box_.left, box_.top, 1, box_.bottom - box_.top, kFrame);
        canvas_.fill(box_.left, box_.bottom, box_.right - box_.left, 1, kFrame);
    }

    void draw_series(const PlotSeries& series, Colour colour) {
        std::vector<double> xs;
        std::vector<double> ys;
        const auto stroke = [&] {
            canvas_.polyline(xs, ys, kLineWidth, colour, box_);
            xs.clear();
            ys.clear();
        };
        for (std::size_t i = 0; i < series.x.size(); ++i) {
            const double value = along(series.y[i], panel_.axes.log_y);
            if (!std::isfinite(series.x[i]) || !std::isfinite(value)) {
                stroke();
                continue;
            }
            xs.push_back(frame_.pixel_x(series.x[i]));
            ys.push_back(frame_.pixel_y(value));
            if (series.marks) canvas_.dot(xs.back(), ys.back(), kMarkRadius, colour, box_);
        }
        stroke();
    }

    void draw_texts() {
        const PlotAxes& axes = panel_.axes;
        canvas_.text(font_, kTitleSize, kLeft, top_ + 8, axes.title, kInk);
        const double middle = (box_.left + box_.right) / 2.0;
        canvas_.text(font_, kTextSize, middle, box_.bottom + 26, axes.x_label, kInk, Anchor::middle);
        canvas_.text_upwards(font_, kTextSize, 6, (box_.top + box_.bottom) / 2.0, axes.y_label, kInk);
        for (const LegendEntry& entry : legend_) {
            const PlotSeries& series = panel_.series[entry.series];
            const double y = legend_top_ + entry.row * kLegendRow + kLegendRow / 2.0;
            const Colour colour = colour_of(series, entry.series);
            canvas_.line(entry.x, y, entry.x + kKeyWidth, y, kLineWidth + 0.6, colour);
            if (series.marks) {
                const Box whole{0, 0, canvas_.width(), canvas_.height()};
                canvas_.dot(entry.x + kKeyWidth / 2.0, y, kMarkRadius, colour, whole);
            }
            canvas_.text(font_, kTextSize, entry.x + kKeyWidth + 6, y, series.name, kInk, Anchor::begin,
                         Anchor::middle);
        }
    }

    Canvas& canvas_;
    const PlotPanel& panel_;
    const Font& font_;
    std::vector<LegendEntry> legend_;
    int top_;
    int legend_top_ = 0;
    Box box_;
    PlotFrame frame_;
};

} // namespace

std::vector<double> nice_ticks(double low, double high) {
    if (!(high > low)) return {low};
    const double rough = (high - low) / 7;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    double step = 10 * power;
    for (const double digit : {1.0, 2.0, 5.0}) {
        if (digit * power >= rough) {
            step = digit * power;
            break;
        }
    }
    std::vector<double> ticks;
    const double slack = step * 1e-9;
    const double first = std::ceil((low - slack) / step);
    for (int i = 0; (first + i) * step <= high + slack; ++i) ticks.push_back((first + i) * step);
    return ticks;
}

Result<DrawnPlot> draw_plot(const std::vector<PlotPanel>& panels, const Font& font, const PlotSize& size) {
    if (panels.empty()) return Error{ErrorCode::wrong_use, "a plot without panels"};
    if (size.width < 4 * kLeft || size.panel_height < 4 * kBottom)
        return Error{ErrorCode::wrong_use,
                     fmt::format("a plot of {} x {} has no room for its axes", size.width, size.panel_height)};
    for (const PlotPanel& panel : panels) {
        for (const PlotSeries& series : panel.series) {
            if (series.x.size() != series.y.size())
                return Error{ErrorCode::wrong_use, fmt::format("plot: \"{}\" has {} x and {} y", series.name,
                                                               series.x.size(), series.y.size())};
        }
    }
    DrawnPlot plot{Canvas(size.width, size.panel_height * static_cast<int>(panels.size()), kPaper), {}};
    for (std::size_t i = 0; i < panels.size(); ++i) {
        PanelPainter painter(plot.canvas, panels[i], font, size.panel_height * static_cast<int>(i), size.panel_height);
        plot.frames.push_back(painter.draw());
    }
    return plot;
}

Result<void> write_plot(const std::filesystem::path& file, const std::vector<PlotPanel>& panels,
                        const std::filesystem::path& assets, const PlotSize& size) {
    auto font = Font::load(assets);
    if (!font) return font.error();
    auto plot = draw_plot(panels, *font, size);
    if (!plot) return plot.error();
    return plot->canvas.write(file);
}

Result<void> write_plot(const std::filesystem::path& file, const std::vector<PlotSeries>& series, const PlotAxes& axes,
                        const std::filesystem::path& assets, const PlotSize& size) {
    return write_plot(file, std::vector<PlotPanel>{{axes, series}}, assets, size);
}

} // namespace wander::chart
