#include "quant/plain/cache_rules.hpp"

#include <charconv>
#include <string_view>

namespace wander::quant {

namespace {

// All of `text` as a layer's number.
std::optional<int> layer_number(std::string_view text) {
    int number = -1;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole = code == std::errc{} && end == text.data() + text.size();
    return whole && number >= 0 && number <= kMaxLayer ? std::optional(number) : std::nullopt;
}

std::optional<LayerFormat> parse_entry(std::string_view entry) {
    const auto colon = entry.find(':');
    if (colon == std::string_view::npos || colon + 1 == entry.size()) return std::nullopt;
    const std::string_view layers = entry.substr(0, colon);
    const auto dash = layers.find('-');
    const auto first = layer_number(layers.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : layer_number(layers.substr(dash + 1));
    if (!first || !last || *last < *first) return std::nullopt;
    return LayerFormat{*first, *last, std::string(entry.substr(colon + 1))};
}

} // namespace

void CacheRulesChange::apply_to(CacheRules& rules) const {
    if (layer_formats) rules.layer_formats = *layer_formats;
    if (keep_recent) rules.keep_recent = *keep_recent;
    if (keep_sink) rules.keep_sink = *keep_sink;
    if (bias_correction) rules.bias_correction = *bias_correction;
}

void CacheRulesChange::add(const CacheRulesChange& later) {
    if (later.layer_formats) layer_formats = later.layer_formats;
    if (later.keep_recent) keep_recent = later.keep_recent;
    if (later.keep_sink) keep_sink = later.keep_sink;
    if (later.bias_correction) bias_correction = later.bias_correction;
}

CacheRulesChange difference(const CacheRules& from, const CacheRules& to) {
    CacheRulesChange change;
    if (from.layer_formats != to.layer_formats) change.layer_formats = to.layer_formats;
    if (from.keep_recent != to.keep_recent) change.keep_recent = to.keep_recent;
    if (from.keep_sink != to.keep_sink) change.keep_sink = to.keep_sink;
    if (from.bias_correction != to.bias_correction) change.bias_correction = to.bias_correction;
    return change;
}

Result<std::vector<LayerFormat>> parse_layer_formats(const std::string& text) {
    std::vector<LayerFormat> table;
    std::string_view rest = text;
    while (!rest.empty()) {
        const auto comma = rest.find(',');
        const std::string_view word = rest.substr(0, comma);
        const auto entry = parse_entry(word);
        // A comma at the end would hide a forgotten entry.
        if (!entry || comma + 1 == rest.size()) {
            return Error{ErrorCode::wrong_use, "layer table '" + text + "', at '" + std::string(word) +
                                                   "': write layers and a format, for example 0-1:int8,5:bf16"};
        }
        table.push_back(*entry);
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
    return table;
}

std::string layer_formats_text(const std::vector<LayerFormat>& table) {
    std::string text;
    for (const LayerFormat& entry : table) {
        if (!text.empty()) text += ',';
        text += std::to_string(entry.first_layer);
        if (entry.last_layer != entry.first_layer) text += '-' + std::to_string(entry.last_layer);
        text += ':' + entry.format;
    }
    return text;
}

} // namespace wander::quant
