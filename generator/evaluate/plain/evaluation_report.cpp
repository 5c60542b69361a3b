#include "generator/evaluate/plain/evaluation_report.hpp"

#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace wander::evaluate {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kLateSeconds = {20, 30, 40, 50, 60};

// JSON is read by people too: no more digits than mean something.
double rounded(double value, int decimals = 3) {
    const double scale = std::pow(10.0, decimals);
    return std::round(value * scale) / scale;
}

const SecondFigures* find_second(const std::vector<SecondFigures>& figures, int second) {
    const auto found = std::ranges::find(figures, second, &SecondFigures::second);
    return found == figures.end() ? nullptr : &*found;
}

Json seconds_json(const std::vector<SecondFigures>& figures) {
    Json list = Json::array();
    for (const SecondFigures& f : figures)
        list.push_back({{"second", f.second}, {"psnr_db", rounded(f.psnr_db)}, {"sharpness", rounded(f.sharpness)}});
    return list;
}

Json place_json(const PlaceFigures& place) {
    Json json;
    json["name"] = place.name;
    json["title"] = place.title;
    json["walks"] = place.walks;
    json["known_walks"] = place.known_walks;
    json["free_walk"] = seconds_json(place.free_walk);
    json["worst_second_db"] = rounded(place.worst_second_db);
    if (place.next_chunk.chunks > 0) {
        json["next_chunk"] = {{"history_db", rounded(place.next_chunk.history_db)},
                              {"sink_only_db", rounded(place.next_chunk.sink_only_db)},
                              {"no_pose_db", rounded(place.next_chunk.no_pose_db)},
                              {"latent_mse", rounded(place.next_chunk.latent_mse, 5)},
                              {"chunks", place.next_chunk.chunks}};
        json["autoencoder"] = {{"psnr_db", rounded(place.ceiling.psnr_db)},
                               {"sharpness", rounded(place.ceiling.sharpness)}};
    }
    Json revisits = Json::array();
    for (const RevisitFigures& r : place.revisits)
        revisits.push_back({{"script", r.name},
                            {"end_db", rounded(r.end_db)},
                            {"first_db", rounded(r.first_db)},
                            {"middle_db", rounded(r.middle_db)},
                            {"true_first_db", rounded(r.true_first_db)}});
    if (!revisits.empty()) json["revisits"] = revisits;
    return json;
}

std::string seconds_header(const char* first, const std::vector<SecondFigures>& figures) {
    std::string header = fmt::format("| {} |", first);
    std::string rule = "| --- |";
    for (const SecondFigures& f : figures) {
        header += fmt::format(" {} s |", f.second);
        rule += " --- |";
    }
    return header + "\n" + rule + "\n";
}

// "PSNR, dB" or "sharpness".
std::string seconds_row(const std::string& first, const std::vector<SecondFigures>& figures, bool sharpness) {
    std::string row = fmt::format("| {} |", first);
    for (const SecondFigures& f : figures)
        row += sharpness ? fmt::format(" {:.2f} |", f.sharpness) : fmt::format(" {:.1f} |", f.psnr_db);
    return row + "\n";
}

std::string label_of(const PlaceFigures& place) {
    return fmt::format("{}{}", place.name, place.known_walks ? "" : " (random walks)");
}

std::string free_walk_tables(const EvaluationReport& report) {
    std::string text = "PSNR against the drawn truth, dB, mean of the pictures of that second:\n\n";
    text += seconds_header("after", report.all.free_walk);
    text += seconds_row(fmt::format("**all {} walks**", report.all.walks), report.all.free_walk, false);
    for (const PlaceFigures& place : report.places) text += seconds_row(label_of(place), place.free_walk, false);
    if (const auto late = report.late_psnr()) text += fmt::format("\nMean of 20 s and later: {:.1f} dB.\n", *late);
    text += "\nSharpness over the truth's, median:\n\n";
    text += seconds_header("after", report.all.free_walk);
    text += seconds_row("**all**", report.all.free_walk, true);
    for (const PlaceFigures& place : report.places) text += seconds_row(place.name, place.free_walk, true);
    return text;
}

std::string place_table(const EvaluationReport& report) {
    std::string text =
        "\nNext chunk after true history, the autoencoder on true latents, and the worst second of the free walks:\n\n"
        "| place | walks | true history, dB | sink alone | no pose, no map | latent error | autoencoder, dB | its "
        "sharpness | worst second, dB |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    const auto row = [](const PlaceFigures& p) {
        return fmt::format("| {} | {} | {:.1f} | {:.1f} | {:.1f} | {:.3f} | {:.1f} | {:.2f} | {:.1f} |\n", p.name,
                           p.walks, p.next_chunk.history_db, p.next_chunk.sink_only_db, p.next_chunk.no_pose_db,
                           p.next_chunk.latent_mse, p.ceiling.psnr_db, p.ceiling.sharpness, p.worst_second_db);
    };
    for (const PlaceFigures& place : report.places) text += row(place);
    return text + row(report.all);
}

std::string revisit_table(const EvaluationReport& report) {
    std::string text =
        "\nComing back, from the first start point of every place. Last picture against the truth, and against the "
        "walk's own first picture; the truth does the latter as far as the last column says (sliding along walls "
        "ends elsewhere):\n\n| script | end, dB | against own first | half way | truth against its first |\n| --- | "
        "--- "
        "| --- | --- | --- |\n";
    for (const RevisitFigures& r : report.all.revisits)
        text += fmt::format("| {} | {:.1f} | {:.1f} | {:.1f} | {} |\n", r.name, r.end_db, r.first_db, r.middle_db,
                            r.true_first_db > 60 ? "the same" : fmt::format("{:.1f}", r.true_first_db));
    return text;
}

std::string format_table(const EvaluationReport& report) {
    std::string text =
        "\nThe free walks with a compressed cache: PSNR against the truth, dB (against the same walks in "
        "bf16).\n\n";
    std::string header = "| cache | packed pages smaller by | whole cache |";
    std::string rule = "| --- | --- | --- |";
    for (const SecondFigures& f : report.all.free_walk) {
        header += fmt::format(" {} s |", f.second);
        rule += " --- |";
    }
    text += header + " sharpness at the end |\n" + rule + " --- |\n";
    const auto row = [&](const std::string& name, const std::vector<SecondFigures>& figures,
                         const std::vector<double>* plain, double packed, double whole) {
        std::string line =
            fmt::format("| {} | {} | {:.2f} |", name, packed > 0 ? fmt::format("{:.2f}", packed) : "-", whole);
        for (std::size_t i = 0; i < figures.size(); ++i) {
            line += fmt::format(" {:.1f}", figures[i].psnr_db);
            line += plain ? fmt::format(" ({:.1f}) |", (*plain)[i]) : " |";
        }
        return line + fmt::format(" {:.2f} |\n", figures.empty() ? 0 : figures.back().sharpness);
    };
    text += row("bf16", report.all.free_walk, nullptr, 0, 1);
    for (const FormatFigures& f : report.formats)
        text += row(f.format, f.free_walk, &f.plain_db, f.packed_ratio, f.whole_ratio);
    return text;
}

std::string fp8_table(const EvaluationReport& report) {
    std::string text = fmt::format(
        "\nThe free walks in FP8 (E4M3): PSNR against the truth, dB (against the same walks in bf16). {}\n\n",
        report.fp8_weights_emulated
            ? "Weights and attention are emulated: rounded alike, multiplied in float32."
            : "Weights are the GPU's own FP8 products; attention is emulated: rounded alike, multiplied in float32.");
    text += seconds_header("walk", report.all.free_walk);
    const auto row = [&](const std::string& name, const std::vector<SecondFigures>& figures,
                         const std::vector<double>* plain) {
        std::string line = fmt::format("| {} |", name);
        for (std::size_t i = 0; i < figures.size(); ++i) {
            line += fmt::format(" {:.2f}", figures[i].psnr_db);
            line += plain ? fmt::format(" ({:.1f}) |", (*plain)[i]) : " |";
        }
        return line + "\n";
    };
    text += row("bf16", report.all.free_walk, nullptr);
    for (const FormatFigures& f : report.fp8) text += row(f.format, f.free_walk, &f.plain_db);
    return text;
}

} // namespace

std::optional<double> EvaluationReport::psnr_at(int second) const {
    const SecondFigures* figures = find_second(all.free_walk, second);
    return figures ? std::optional(figures->psnr_db) : std::nullopt;
}

std::optional<double> EvaluationReport::sharpness_at(int second) const {
    const SecondFigures* figures = find_second(all.free_walk, second);
    return figures ? std::optional(figures->sharpness) : std::nullopt;
}

std::optional<double> EvaluationReport::late_psnr() const {
    double sum = 0;
    int count = 0;
    for (const int second : kLateSeconds) {
        if (const auto psnr = psnr_at(second)) {
            sum += *psnr;
            ++count;
        }
    }
    return count > 0 ? std::optional(sum / count) : std::nullopt;
}

std::string report_tables(const EvaluationReport& report) {
    std::string places;
    for (const PlaceFigures& place : report.places) places += (places.empty() ? "" : ", ") + place.name;
    std::string text =
        fmt::format("`wander evaluate` on {}, {}, seed {}: {} walks of {} s in {}.\n\n", report.device_name,
                    report.precision, report.seed, report.all.walks, report.seconds, places);
    text += free_walk_tables(report);
    if (report.all.next_chunk.chunks > 0) text += place_table(report);
    if (!report.all.revisits.empty()) text += revisit_table(report);
    if (!report.formats.empty()) text += format_table(report);
    if (!report.fp8.empty()) text += fp8_table(report);
    return text;
}

std::string report_markdown(const EvaluationReport& report) {
    return fmt::format("# Evaluation of {}\n\n{}", report.world, report_tables(report));
}

std::string report_json(const EvaluationReport& report) {
    Json json;
    json["kind"] = "wander-evaluation";
    json["version"] = 1;
    json["world"] = report.world;
    json["device_name"] = report.device_name;
    json["precision"] = report.precision;
    json["seed"] = report.seed;
    json["seconds"] = report.seconds;
    json["minutes"] = rounded(report.minutes, 2);
    if (const auto late = report.late_psnr()) json["late_psnr_db"] = rounded(*late);
    json["all"] = place_json(report.all);
    json["places"] = Json::array();
    for (const PlaceFigures& place : report.places) json["places"].push_back(place_json(place));
    json["formats"] = Json::array();
    for (const FormatFigures& f : report.formats) {
        Json format = {{"format", f.format},
                       {"packed_ratio", rounded(f.packed_ratio)},
                       {"whole_ratio", rounded(f.whole_ratio)},
                       {"free_walk", seconds_json(f.free_walk)}};
        format["plain_db"] = Json::array();
        for (const double db : f.plain_db) format["plain_db"].push_back(rounded(db));
        json["formats"].push_back(format);
    }
    for (const FormatFigures& f : report.fp8) {
        Json in_fp8 = {{"walk", f.format}, {"free_walk", seconds_json(f.free_walk)}};
        for (const double db : f.plain_db) in_fp8["plain_db"].push_back(rounded(db));
        json["fp8"].push_back(in_fp8);
    }
    if (!report.fp8.empty()) json["fp8_weights_emulated"] = report.fp8_weights_emulated;
    // Names of places come from files.
    return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace wander::evaluate
