#include "app/world_card.hpp"

#include "generator/json_fields.hpp"
#include "generator/world/plain/world_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace wander {

namespace {

using Json = nlohmann::ordered_json;

// The value at a/b/c, or null.
const Json& at(const Json& json, std::initializer_list<const char*> path) {
    static const Json kNothing;
    const Json* here = &json;
    for (const char* key : path) {
        if (!here->is_object() || !here->contains(key)) return kNothing;
        here = &here->at(key);
    }
    return *here;
}

std::string number(const Json& value, int decimals) {
    return value.is_number() ? fmt::format("{:.{}f}", value.get<double>(), decimals) : std::string();
}

void add_fact(gui::WorldCard& card, const char* label, const std::string& value) {
    if (!value.empty()) card.facts.push_back({label, value});
}

std::string parameters(const Json& count) {
    return count.is_number() && count.get<double>() > 0 ? fmt::format("{:.1f} M", count.get<double>() / 1e6)
                                                        : std::string();
}

// Bytes of a file of halves are twice its values.
std::string parameters_of(const std::filesystem::path& file) {
    std::error_code failed;
    const auto bytes = std::filesystem::file_size(file, failed);
    return failed ? std::string() : fmt::format("{:.1f} M", static_cast<double>(bytes) / 2e6);
}

void add_training(gui::WorldCard& card, const Json& figures) {
    std::string text;
    if (const Json& minutes = at(figures, {"minutes"}); minutes.is_number()) text = number(minutes, 0) + " min";
    if (const Json& steps = at(figures, {"steps"}); steps.is_number())
        text += (text.empty() ? "" : ", ") + fmt::format("{:.0f} steps", steps.get<double>());
    add_fact(card, "trained", text);
}

// The panel has room for six seconds.
bool is_shown(const Json& second) {
    constexpr int kShown[] = {1, 3, 5, 10, 20, 60};
    return second.is_number_integer() && std::ranges::find(kShown, second.get<int>()) != std::end(kShown);
}

void add_row(gui::WorldCard& card, const std::string& label, const Json& seconds, const Json& values, int decimals) {
    if (!values.is_array() || values.size() != seconds.size()) return;
    gui::CardRow row{label, {}};
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (is_shown(seconds[i])) row.cells.push_back(number(values[i], decimals));
    }
    card.figures.push_back(std::move(row));
}

void add_figures(gui::WorldCard& card, const Json& figures) {
    const Json& seconds = at(figures, {"free_walk", "seconds"});
    if (seconds.is_array()) {
        for (const Json& second : seconds) {
            if (is_shown(second)) card.columns.push_back(number(second, 0));
        }
        add_row(card, "PSNR, dB", seconds, at(figures, {"free_walk", "psnr_db"}), 1);
        add_row(card, "sharpness", seconds, at(figures, {"free_walk", "sharpness"}), 2);
        if (const Json& places = at(figures, {"places"}); places.is_object()) {
            for (const auto& [place, of_place] : places.items())
                add_row(card, place, at(of_place, {"seconds"}), at(of_place, {"psnr_db"}), 1);
        }
    }
    const auto db = [&](const char* label, const Json& value) {
        if (value.is_number()) add_fact(card, label, number(value, 1) + " dB");
    };
    db("next chunk", at(figures, {"next_chunk_psnr_db", "full_history"}));
    db("without history", at(figures, {"next_chunk_psnr_db", "sink_only"}));
    const Json& turn = at(figures, {"revisit_psnr_db", "full turn", "own_first"});
    db("full turn", turn.is_number() ? turn : at(figures, {"revisit_psnr_db", "full_turn_vs_own_first"}));
    std::string ceiling;
    if (const Json& vae = at(figures, {"vae_psnr_db"}); vae.is_object()) {
        for (const auto& [place, value] : vae.items()) ceiling += (ceiling.empty() ? "" : ", ") + number(value, 1);
    }
    add_fact(card, "autoencoder, dB", ceiling);
}

} // namespace

std::optional<gui::WorldCard> read_world_card(const std::filesystem::path& folder) {
    const auto found = find_world_folder(folder);
    if (!found) return std::nullopt;
    const auto json = read_json_file<Json>(*found / "world.json");
    if (!json || !json->is_object()) return std::nullopt;
    gui::WorldCard card;
    card.folder = found->string();
    const Json& name = at(*json, {"name"});
    card.name = shown_world_name(name.is_string() ? name.get<std::string>() : "", *found);
    if (const Json& worlds = at(*json, {"worlds"}); worlds.is_array()) {
        for (const Json& world : worlds) {
            const Json& place = at(world, {"name"});
            const Json& title = at(world, {"title"});
            if (place.is_string())
                card.places.push_back({place.get<std::string>(), title.is_string() ? title.get<std::string>() : ""});
        }
    }
    const Json& figures = at(*json, {"figures"});
    const std::string dit = parameters(at(figures, {"parameters", "dit"}));
    const std::string vae = parameters(at(figures, {"parameters", "vae"}));
    add_fact(card, "transformer", dit.empty() ? parameters_of(*found / "dit.safetensors") : dit);
    add_fact(card, "autoencoder", vae.empty() ? parameters_of(*found / "vae.safetensors") : vae);
    if (const Json& window = at(*json, {"window_latents"}); window.is_number())
        add_fact(card, "remembers", fmt::format("{:.0f} latents", window.get<double>()));
    add_training(card, figures);
    add_figures(card, figures);
    return card;
}

} // namespace wander
