#include "generator/evaluate/model_card.hpp"

#include "generator/json_fields.hpp"
#include "generator/plain/atomic_file.hpp"

#include <fstream>
#include <iterator>

namespace wander::evaluate {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kBegin = "<!-- figures of wander evaluate -->";
constexpr std::string_view kEnd = "<!-- end of the figures -->";

double rounded(double value, double steps) { return std::round(value * steps) / steps; }

Json seconds_json(const std::vector<SecondFigures>& figures) {
    Json seconds = Json::array();
    Json psnr = Json::array();
    Json sharpness = Json::array();
    for (const SecondFigures& f : figures) {
        seconds.push_back(f.second);
        psnr.push_back(rounded(f.psnr_db, 100));
        sharpness.push_back(rounded(f.sharpness, 1000));
    }
    return {{"seconds", seconds}, {"psnr_db", psnr}, {"sharpness", sharpness}};
}

void put_figures(const EvaluationReport& report, Json& figures) {
    figures["free_walk"] = seconds_json(report.all.free_walk);
    figures["walks"] = report.all.walks;
    Json places;
    for (const PlaceFigures& place : report.places) places[place.name] = seconds_json(place.free_walk);
    figures["places"] = places;
    if (report.all.next_chunk.chunks > 0) {
        figures["next_chunk_psnr_db"] = {{"full_history", rounded(report.all.next_chunk.history_db, 100)},
                                         {"sink_only", rounded(report.all.next_chunk.sink_only_db, 100)},
                                         {"no_pose_no_map", rounded(report.all.next_chunk.no_pose_db, 100)}};
        Json ceiling;
        for (const PlaceFigures& place : report.places) ceiling[place.name] = rounded(place.ceiling.psnr_db, 100);
        figures["vae_psnr_db"] = ceiling;
    }
    if (!report.all.revisits.empty()) {
        Json revisits;
        for (const RevisitFigures& revisit : report.all.revisits)
            revisits[revisit.name] = {{"end", rounded(revisit.end_db, 100)},
                                      {"own_first", rounded(revisit.first_db, 100)}};
        figures["revisit_psnr_db"] = revisits;
    }
    if (!report.formats.empty()) {
        Json formats;
        for (const FormatFigures& format : report.formats) {
            formats[format.format] = seconds_json(format.free_walk);
            formats[format.format]["packed_ratio"] = rounded(format.packed_ratio, 100);
        }
        figures["formats"] = formats;
    }
}

} // namespace

std::string card_with_figures(const std::string& card, const EvaluationReport& report) {
    const std::string section = std::string(kBegin) + "\n" + report_tables(report) + std::string(kEnd) + "\n";
    const std::size_t begin = card.find(kBegin);
    const std::size_t end = card.find(kEnd, begin == std::string::npos ? 0 : begin);
    if (begin != std::string::npos && end != std::string::npos) {
        std::size_t after = end + kEnd.size();
        if (after < card.size() && card[after] == '\n') ++after;
        return card.substr(0, begin) + section + card.substr(after);
    }
    std::string text = card.empty() ? "# Model card: " + report.world + "\n" : card;
    if (text.back() != '\n') text += '\n';
    return text + "\n## What was measured\n\n" + section;
}

Result<void> update_model_card(const std::filesystem::path& folder, const EvaluationReport& report) {
    const auto world = folder / "world.json";
    auto json = read_json_file<Json>(world);
    if (!json) return json.error();
    if (!json->is_object()) return Error{ErrorCode::bad_input, world.string() + ": is no JSON object"};
    Json& figures = (*json)["figures"];
    if (!figures.is_object()) figures = Json::object();
    put_figures(report, figures);
    std::string card;
    if (std::ifstream in(folder / "README.md", std::ios::binary); in)
        card.assign(std::istreambuf_iterator<char>(in), {});
    if (auto done = write_file_atomically(folder / "README.md", card_with_figures(card, report)); !done) return done;
    return write_file_atomically(world, json->dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

} // namespace wander::evaluate
