#pragma once
// Line plots as PNG: axes with ticks and labels, a grid, a legend; several panels below each other. No torch. Any
// thread.

#include "generator/chart/canvas.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace wander::chart {

struct PlotSeries {
    std::string name; // in the legend; empty: not listed
    std::vector<double> x;
    std::vector<double> y;        // as long as x; a value that is not finite leaves a gap
    bool marks = false;           // a dot on every point
    std::optional<Colour> colour; // unset: the next one of the palette
};

struct PlotAxes {
    std::string title;
    std::string x_label;
    std::string y_label;
    bool log_y = false;                               // values that are not above 0 leave a gap
    std::optional<std::pair<double, double>> x_range; // unset: what the series need
    std::optional<std::pair<double, double>> y_range;
};

struct PlotPanel {
    PlotAxes axes;
    std::vector<PlotSeries> series;
};

struct PlotSize {
    int width = 960;
    int panel_height = 320; // of each panel
};

// Where a plot puts a value, for tests and for those that draw over it.
struct PlotFrame {
    double left = 0, top = 0, right = 0, bottom = 0;     // pixels
    double x_low = 0, x_high = 1, y_low = 0, y_high = 1; // y as log10 where the axis is logarithmic
    double pixel_x(double x) const { return left + (x - x_low) / (x_high - x_low) * (right - left); }
    double pixel_y(double y) const { return bottom - (y - y_low) / (y_high - y_low) * (bottom - top); }
};

// Round numbers that cut [low, high] into 4 to 9 parts or so, ascending.
std::vector<double> nice_ticks(double low, double high);

struct DrawnPlot {
    Canvas canvas;
    std::vector<PlotFrame> frames; // one a panel
};
// wrong_use for series whose x and y are not alike. Series without points are drawn as nothing.
Result<DrawnPlot> draw_plot(const std::vector<PlotPanel>& panels, const Font& font, const PlotSize& size = {});

// The same into a PNG. assets: the folder that holds fonts/.
Result<void> write_plot(const std::filesystem::path& file, const std::vector<PlotPanel>& panels,
                        const std::filesystem::path& assets, const PlotSize& size = {});
// One panel.
Result<void> write_plot(const std::filesystem::path& file, const std::vector<PlotSeries>& series, const PlotAxes& axes,
                        const std::filesystem::path& assets, const PlotSize& size = {});

} // namespace wander::chart
