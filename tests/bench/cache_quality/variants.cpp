#include "tests/bench/cache_quality/variants.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace wander::bench {

namespace {

constexpr double kCorrectedBits = 2.5;

Result<void> add_word(Variant& variant, const std::string& word) {
    if (word == "bias") {
        variant.rules.bias_correction = true;
        return {};
    }
    if (word == "nosink") {
        variant.rules.keep_sink = false;
        return {};
    }
    const auto number_behind = [&](std::string_view name, int& value) {
        if (!word.starts_with(name)) return false;
        const char* end = word.data() + word.size();
        const auto [stop, code] = std::from_chars(word.data() + name.size(), end, value);
        return code == std::errc{} && stop == end && value >= 1;
    };
    if (number_behind("recent", variant.rules.keep_recent) || number_behind("centroids", variant.centroids)) return {};
    if (word.starts_with("layers=")) {
        std::string table = word.substr(7);
        std::replace(table.begin(), table.end(), ';', ',');
        auto parsed = quant::parse_layer_formats(table);
        if (!parsed) return parsed.error();
        variant.rules.layer_formats = std::move(*parsed);
        return {};
    }
    return Error{ErrorCode::wrong_use,
                 "'" + word + "' of '" + variant.name +
                     "': write FORMAT[+bias][+recentN][+nosink][+centroidsN][+layers=0-1:int8;5:bf16]"};
}

} // namespace

Result<Variant> parse_variant(const std::string& text, const WalkInfo& info) {
    Variant variant;
    variant.name = text;
    auto plus = text.find('+');
    variant.format = text.substr(0, plus);
    const auto found = std::find_if(info.formats.begin(), info.formats.end(),
                                    [&](const FormatInfo& f) { return f.name == variant.format; });
    if (found == info.formats.end())
        return Error{ErrorCode::wrong_use, "cache format '" + variant.format + "' is unknown"};
    if (!found->usable()) return Error{ErrorCode::wrong_use, found->refusal};
    variant.code_bits = found->bits;
    variant.label = found->label;
    while (plus != std::string::npos) {
        const auto next = text.find('+', plus + 1);
        const std::string word = text.substr(plus + 1, next == std::string::npos ? next : next - plus - 1);
        if (auto added = add_word(variant, word); !added) return added.error();
        variant.label += ", " + word;
        plus = next;
    }
    return variant;
}

std::vector<std::string> default_variants(const WalkInfo& info) {
    std::vector<std::string> plain;
    std::vector<std::string> corrected;
    for (const FormatInfo& format : info.formats) {
        if (!format.usable() || format.name == "bf16") continue;
        plain.push_back(format.name);
        if (format.bits <= kCorrectedBits) corrected.push_back(format.name + "+bias");
    }
    plain.insert(plain.end(), corrected.begin(), corrected.end());
    if (std::find(plain.begin(), plain.end(), "int2") != plain.end()) {
        plain.emplace_back("int2+recent2");
        plain.emplace_back("int2+nosink");
    }
    return plain;
}

} // namespace wander::bench
