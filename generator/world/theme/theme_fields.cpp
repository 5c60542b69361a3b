#include "generator/world/theme/theme_fields.hpp"

#include "generator/world/theme/expression.hpp"

#include <algorithm>
#include <cmath>

namespace wander {

namespace {

constexpr double kMaxColor = 4;

} // namespace

void ThemeFields::append_name(std::string& list, const char* name) {
    if (!list.empty()) list += ' ';
    list += name;
}

ThemeFields::ThemeFields(const nlohmann::json& object, std::string where, std::initializer_list<const char*> known)
    : JsonFields(object, std::move(where)), object_(object) {
    if (!object.is_object()) {
        complain("", "must be an object in braces");
        return;
    }
    for (const auto& [key, value] : object.items()) {
        const bool found = std::any_of(known.begin(), known.end(), [&](const char* k) { return key == k; });
        if (found) continue;
        std::string names;
        for (const char* k : known) append_name(names, k);
        complain(key.c_str(), "is not known here; known are: " + names);
    }
}

double ThemeFields::number_or(const char* key, double otherwise, double low, double high) {
    return has(key) ? number(key, low, high) : otherwise;
}

float ThemeFields::single(const char* key, double otherwise, double low, double high) {
    return static_cast<float>(number_or(key, otherwise, low, high));
}

scene::Vec3 ThemeFields::color(const char* key) {
    const auto items = list<double>(key, 3, 3);
    for (const double item : items) {
        if (!(item >= 0 && item <= kMaxColor))
            complain(key, "is not a color: three numbers of 0 to 4, [red, green, blue]");
    }
    return {static_cast<float>(items[0]), static_cast<float>(items[1]), static_cast<float>(items[2])};
}

scene::Vec3 ThemeFields::color_or(const char* key, scene::Vec3 otherwise) { return has(key) ? color(key) : otherwise; }

std::array<double, 2> ThemeFields::point(const char* key) {
    const auto items = list<double>(key, 2, 2);
    for (const double item : items) {
        if (!(std::abs(item) <= kThemeHalfPeriod)) complain(key, "lies outside of the tile: x and z go from -8 to 8");
    }
    return {items[0], items[1]};
}

ThemeRange ThemeFields::range(const char* key, double low, double high) {
    if (has(key) && object_.at(key).is_number()) {
        const double value = number(key, low, high);
        return {value, value};
    }
    const auto items = list<double>(key, 2, 2);
    if (!(items[0] >= low && items[0] <= items[1] && items[1] <= high))
        complain(key, fmt::format("is not [LOW, HIGH] within {} to {}", low, high));
    return {items[0], items[1]};
}

ThemeNumber ThemeFields::formula(const nlohmann::json& value, const char* key,
                                 const std::map<std::string, double>& names) {
    if (value.is_number()) return fmt::format("{:.9g}", value.get<double>());
    if (!value.is_string()) {
        complain(key, "holds something that is neither a number nor a text like \"h + 0.5 * r\"");
        return "0";
    }
    auto tried = evaluate(value.get<std::string>(), names);
    if (!tried) complain(key, "holds " + tried.error().message);
    return value.get<std::string>();
}

ThemeNumber ThemeFields::formula_or(const char* key, const char* otherwise,
                                    const std::map<std::string, double>& names) {
    return has(key) ? formula(object_.at(key), key, names) : ThemeNumber(otherwise);
}

std::array<ThemeNumber, 3> ThemeFields::formulas(const char* key, const std::map<std::string, double>& names) {
    const auto items = list<nlohmann::json>(key, 3, 3);
    if (items[0].is_null()) return {"0", "0", "0"}; // the list was refused
    return {formula(items[0], key, names), formula(items[1], key, names), formula(items[2], key, names)};
}

const nlohmann::json& ThemeFields::members(const char* key) {
    static const nlohmann::json kEmpty = nlohmann::json::object();
    if (!has(key)) return kEmpty;
    if (!object_.at(key).is_object()) {
        complain(key, "must be an object in braces");
        return kEmpty;
    }
    return object_.at(key);
}

const nlohmann::json& ThemeFields::items(const char* key, std::size_t max_count) {
    static const nlohmann::json kEmpty = nlohmann::json::array();
    if (!has(key)) return kEmpty;
    if (!object_.at(key).is_array() || object_.at(key).size() > max_count) {
        complain(key, fmt::format("must be a list of at most {}", max_count));
        return kEmpty;
    }
    return object_.at(key);
}

} // namespace wander
