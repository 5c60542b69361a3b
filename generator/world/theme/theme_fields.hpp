#pragma once
// One object of a theme file: strict, so that a misspelt key is told instead of ignored.

#include "generator/json_fields.hpp"
#include "generator/world/theme/description.hpp"

#include <fmt/format.h>

#include <array>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>

namespace wander {

// What the reader's files have in common.
inline constexpr double kThemeHalfPeriod = scene::kPeriod / 2.0;
inline constexpr double kThemeTurn = 7; // radians; a little more than a whole turn

// Words of the file and what they stand for.
template <typename T>
using ThemeNames = std::initializer_list<std::pair<const char*, T>>;

// Complains about keys that nobody knows.
class ThemeFields : public JsonFields {
public:
    ThemeFields(const nlohmann::json& object, std::string where, std::initializer_list<const char*> known);

    double number_or(const char* key, double otherwise, double low, double high);
    float single(const char* key, double otherwise, double low, double high);
    scene::Vec3 color(const char* key);
    scene::Vec3 color_or(const char* key, scene::Vec3 otherwise);
    std::array<double, 2> point(const char* key);
    // A number, or [LOW, HIGH].
    ThemeRange range(const char* key, double low, double high);
    template <typename T>
    T one_of(const char* key, const ThemeNames<T>& names) {
        const std::string text = this->text(key);
        std::string known;
        for (const auto& [name, value] : names) {
            if (text == name) return value;
            append_name(known, name);
        }
        complain(key, fmt::format("is \"{}\"; it must be one of: {}", text, known));
        return names.begin()->second;
    }
    // A number or a text of expression.hpp, tried out with `names`.
    ThemeNumber formula(const nlohmann::json& value, const char* key, const std::map<std::string, double>& names);
    ThemeNumber formula_or(const char* key, const char* otherwise, const std::map<std::string, double>& names);
    std::array<ThemeNumber, 3> formulas(const char* key, const std::map<std::string, double>& names);
    // The object itself, empty when `key` is absent or no object.
    const nlohmann::json& members(const char* key);
    const nlohmann::json& items(const char* key, std::size_t max_count);

private:
    static void append_name(std::string& list, const char* name);

    const nlohmann::json& object_;
};

} // namespace wander
