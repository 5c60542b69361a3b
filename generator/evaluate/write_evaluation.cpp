// An evaluation as files: tables, figures, contact sheet, plot.

#include "generator/chart/line_plot.hpp"
#include "generator/evaluate/evaluate_world.hpp"
#include "generator/plain/atomic_file.hpp"

#include <fmt/format.h>

namespace wander::evaluate {

namespace {

chart::PlotSeries series_of(const std::string& name, const std::vector<SecondFigures>& figures, bool sharpness) {
    chart::PlotSeries series;
    series.name = name;
    series.marks = true;
    for (const SecondFigures& f : figures) {
        series.x.push_back(f.second);
        series.y.push_back(sharpness ? f.sharpness : f.psnr_db);
    }
    return series;
}

std::vector<chart::PlotPanel> plot_of(const EvaluationReport& report) {
    const auto panel = [&](const char* title, const char* label, bool sharpness) {
        chart::PlotPanel made;
        made.axes.title = fmt::format("{}: {}", report.world, title);
        made.axes.x_label = "seconds of walking";
        made.axes.y_label = label;
        made.series.push_back(series_of("all", report.all.free_walk, sharpness));
        for (const PlaceFigures& place : report.places)
            made.series.push_back(series_of(place.name, place.free_walk, sharpness));
        for (const FormatFigures& format : report.formats)
            made.series.push_back(series_of(format.format, format.free_walk, sharpness));
        return made;
    };
    return {panel("free walks against the drawn truth", "PSNR, dB", false),
            panel("sharpness over the truth's", "sharpness", true)};
}

} // namespace

Result<void> write_evaluation(const Evaluation& evaluation, const std::filesystem::path& folder,
                              const std::filesystem::path& assets) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed)
        return Error{ErrorCode::bad_input, fmt::format("cannot write to {}: {}", folder.string(), failed.message())};
    const EvaluationReport& report = evaluation.report;
    if (auto done = write_file_atomically(folder / "evaluation.md", report_markdown(report)); !done) return done;
    if (auto done = write_file_atomically(folder / "evaluation.json", report_json(report)); !done) return done;
    if (auto done = chart::write_contact_sheet(folder / "sheet.png", evaluation.sheet, assets); !done) return done;
    return chart::write_plot(folder / "psnr.png", plot_of(report), assets);
}

} // namespace wander::evaluate
