#include "generator/train/training_log.hpp"

#include "generator/chart/line_plot.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <string>

namespace wander::train {

namespace fs = std::filesystem;

namespace {

Error cannot_write(const fs::path& file) {
    return {ErrorCode::io, fmt::format("{}: cannot be written; is the disk full?", file.string())};
}

constexpr double kSecondsPerMinute = 60;

} // namespace

Result<TrainingLog> TrainingLog::open(const fs::path& file, const fs::path& before, std::int64_t kept) {
    TrainingLog log;
    log.file_ = file;
    if (kept > 0) {
        std::ifstream in(before);
        std::string line;
        while (log.lines() < kept && std::getline(in, line)) {
            auto json = nlohmann::json::parse(line, nullptr, false);
            if (!json.is_object()) break;
            log.lines_.push_back(std::move(json));
        }
    }
    const fs::path part = file.string() + ".part";
    {
        std::ofstream out(part, std::ios::trunc);
        for (const auto& line : log.lines_) out << line.dump() << '\n';
        if (!out.flush()) return cannot_write(part);
    }
    std::error_code failed;
    fs::rename(part, file, failed);
    if (failed) return cannot_write(file);
    log.out_.open(file, std::ios::app);
    if (!log.out_) return cannot_write(file);
    return log;
}

Result<void> TrainingLog::add(const nlohmann::json& line) {
    lines_.push_back(line);
    out_ << line.dump() << '\n';
    if (!out_.flush()) return cannot_write(file_);
    return {};
}

Result<void> TrainingLog::write_plot(const fs::path& file, const fs::path& assets) const {
    std::map<std::string, chart::PlotSeries> losses;
    std::map<std::string, chart::PlotSeries> quality;
    for (const auto& line : lines_) {
        const double minute = line.value("seconds", 0.0) / kSecondsPerMinute;
        const std::string phase = line.value("phase", "");
        if (line.contains("loss") && line["loss"].is_number()) {
            losses[phase].x.push_back(minute);
            losses[phase].y.push_back(line["loss"].get<double>());
        }
        for (const auto& [key, value] : line.items()) {
            if (!key.starts_with("psnr") || !value.is_number()) continue;
            // "psnr" is of the autoencoder's training clips, "psnr_5s" of a walk at that second.
            const std::string name = key == "psnr" ? phase + ", training clips" : "walk at " + key.substr(5);
            quality[name].x.push_back(minute);
            quality[name].y.push_back(value.get<double>());
            quality[name].marks = key != "psnr";
        }
    }
    const auto panel = [](std::map<std::string, chart::PlotSeries>& named, chart::PlotAxes axes) {
        chart::PlotPanel made;
        made.axes = std::move(axes);
        for (auto& [name, series] : named) {
            series.name = name;
            made.series.push_back(std::move(series));
        }
        return made;
    };
    chart::PlotAxes loss;
    loss.title = "Loss";
    loss.x_label = "minutes";
    loss.y_label = "loss";
    loss.log_y = true;
    chart::PlotAxes psnr;
    psnr.title = "PSNR";
    psnr.x_label = "minutes";
    psnr.y_label = "dB";
    std::vector<chart::PlotPanel> panels{panel(losses, loss)};
    if (!quality.empty()) panels.push_back(panel(quality, psnr));
    return chart::write_plot(file, panels, assets);
}

} // namespace wander::train
