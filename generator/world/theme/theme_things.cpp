// Materials, objects and the rules that place them, of a theme file.

#include "generator/world/theme/theme_sections.hpp"

#include <algorithm>
#include <string_view>

namespace wander {

namespace {

using Json = nlohmann::json;

constexpr ThemeNames<scene::Shape> kShapes = {{"box", scene::Shape::box},     {"cylinder", scene::Shape::cylinder},
                                              {"cone", scene::Shape::cone},   {"ellipsoid", scene::Shape::ellipsoid},
                                              {"gable", scene::Shape::gable}, {"pyramid", scene::Shape::pyramid}};
constexpr ThemeNames<scene::Texture> kTextures = {
    {"plain", scene::Texture::plain}, {"house", scene::Texture::house},   {"brick", scene::Texture::brick},
    {"roof", scene::Texture::roof},   {"bark", scene::Texture::bark},     {"leaf", scene::Texture::leaf},
    {"stone", scene::Texture::stone}, {"lamp", scene::Texture::lamp},     {"neon", scene::Texture::neon},
    {"dome", scene::Texture::dome},   {"stripe", scene::Texture::stripe}, {"crate", scene::Texture::crate},
    {"log", scene::Texture::log},     {"planks", scene::Texture::planks}, {"dots", scene::Texture::dots}};
ThemeMaterial read_material(const Json& json, const std::string& where, ThemeFields& parent) {
    ThemeFields fields(json, where, {"texture", "color", "accent", "glow", "lit", "vary", "accent_vary"});
    ThemeMaterial material;
    material.texture = fields.has("texture") ? fields.one_of("texture", kTextures) : scene::Texture::plain;
    material.color = fields.color("color");
    material.accent = fields.color_or("accent", material.color * 0.6f);
    material.glow = fields.color_or("glow", {0.85f, 0.61f, 0.26f});
    material.lit = fields.single("lit", 0, 0, 1);
    material.vary = fields.single("vary", 0, 0, 0.7);
    material.accent_vary = fields.single("accent_vary", 0, 0, 0.7);
    parent.adopt(fields);
    return material;
}

ThemePart read_part(const Json& json, const std::string& where, const std::map<std::string, double>& names,
                    const ThemeDescription& theme, ThemeFields& parent) {
    ThemeFields fields(json, where,
                       {"shape", "material", "at", "size", "turn", "keep_away", "chance", "ring", "light"});
    ThemePart part;
    part.where = where;
    part.shape = fields.one_of("shape", kShapes);
    part.material = fields.text("material");
    if (!fields.error() && !theme.materials.contains(part.material))
        fields.complain("material", fmt::format("is \"{}\", which is not among \"materials\"", part.material));
    if (fields.has("at")) part.at = fields.formulas("at", names);
    part.size = fields.formulas("size", names);
    part.turn = fields.formula_or("turn", "0", names);
    part.keep_away = fields.formula_or("keep_away", "0", names);
    part.chance = fields.number_or("chance", 1, 0, 1);
    if (fields.has("ring")) {
        const auto ring = fields.list<Json>("ring", 2, 2);
        if (!ring[0].is_number_integer() || ring[0] < 1 || ring[0] > 64) {
            fields.complain("ring", "is not [COUNT, RADIUS] with a count of 1 to 64");
        } else {
            part.ring_count = ring[0].get<int>();
            part.ring_radius = fields.formula(ring[1], "ring", names);
        }
    }
    if (fields.has("light")) part.light = fields.color("light");
    parent.adopt(fields);
    return part;
}

ThemeObject read_object(const Json& json, const std::string& where, const ThemeDescription& theme,
                        ThemeFields& parent) {
    ThemeFields fields(json, where, {"sizes", "parts"});
    ThemeObject object;
    std::map<std::string, double> middle;
    for (const auto& [name, value] : fields.members("sizes").items()) {
        const Json one = {{name, value}};
        ThemeFields size(one, where + ": sizes", {name.c_str()});
        object.sizes[name] = size.range(name.c_str(), -16, 16);
        middle[name] = (object.sizes[name].low + object.sizes[name].high) / 2;
        fields.adopt(size);
    }
    int number = 0;
    for (const Json& part : fields.items("parts", 64))
        object.parts.push_back(read_part(part, fmt::format("{}: part {}", where, ++number), middle, theme, fields));
    if (object.parts.empty()) fields.complain("parts", "is missing or empty: an object needs at least one part");
    parent.adopt(fields);
    return object;
}

void read_how(ThemeFields& fields, const Json& json, ThemeRule& rule) {
    const int ways = fields.has("at") + fields.has("ring") + fields.has("scatter") + fields.has("line");
    if (ways != 1) {
        fields.complain("object", "needs exactly one of: at ring scatter line");
        return;
    }
    rule.turn = ThemeRule::Turn::fixed;
    if (fields.has("at")) {
        rule.from = fields.point("at");
        return;
    }
    const char* key = fields.has("ring") ? "ring" : (fields.has("scatter") ? "scatter" : "line");
    const Json& how = json.at(key);
    const std::string where = rule.where + ": " + key;
    if (std::string_view(key) == "ring") {
        rule.kind = ThemeRule::Kind::ring;
        rule.turn = ThemeRule::Turn::inward;
        ThemeFields ring(how, where, {"count", "radius", "first", "jitter"});
        rule.count = ring.integer("count", 1, 256);
        rule.distance = ring.range("radius", 0, 11.4);
        rule.first = ring.number_or("first", 0, -kThemeTurn, kThemeTurn);
        rule.jitter = ring.number_or("jitter", 0, 0, kThemeTurn);
        fields.adopt(ring);
    } else if (std::string_view(key) == "scatter") {
        rule.kind = ThemeRule::Kind::scatter;
        rule.turn = ThemeRule::Turn::random;
        rule.spacing = 0.6;
        ThemeFields scatter(how, where, {"count", "radius"});
        rule.count = scatter.integer("count", 1, 256);
        rule.distance = scatter.has("radius") ? scatter.range("radius", 0, 11.4) : ThemeRange{0, 11.4};
        fields.adopt(scatter);
    } else {
        rule.kind = ThemeRule::Kind::line;
        ThemeFields line(how, where, {"count", "from", "to"});
        rule.count = line.integer("count", 1, 256);
        rule.from = line.point("from");
        rule.to = line.point("to");
        fields.adopt(line);
    }
}

void read_turn(ThemeFields& fields, const Json& json, ThemeRule& rule) {
    if (!fields.has("turn")) return;
    if (json.at("turn").is_number()) {
        rule.turn = ThemeRule::Turn::fixed;
        rule.turn_rad = fields.number("turn", -kThemeTurn, kThemeTurn);
        return;
    }
    rule.turn = fields.one_of<ThemeRule::Turn>("turn", {{"random", ThemeRule::Turn::random},
                                                        {"inward", ThemeRule::Turn::inward},
                                                        {"outward", ThemeRule::Turn::outward}});
}

void read_overrides(ThemeFields& fields, const ThemeDescription& theme, ThemeRule& rule) {
    for (const auto& [name, value] : fields.members("set").items()) {
        const bool known = std::any_of(rule.objects.begin(), rule.objects.end(), [&](const std::string& object) {
            const auto found = theme.objects.find(object);
            return found != theme.objects.end() && found->second.sizes.contains(name);
        });
        if (!known || !value.is_number()) {
            fields.complain("set", fmt::format("gives \"{}\" = {}: it must be a number for a name among the \"sizes\" "
                                               "of the object",
                                               name, value.dump()));
            return;
        }
        rule.set[name] = value.get<double>();
    }
    for (const char* key : {"paint", "accents"}) {
        for (const auto& [name, value] : fields.members(key).items()) {
            if (!theme.materials.contains(name)) {
                fields.complain(key, fmt::format("names \"{}\", which is not among \"materials\"", name));
                return;
            }
            const Json one = {{name, value}};
            ThemeFields color(one, rule.where + ": " + key, {name.c_str()});
            (std::string_view(key) == "paint" ? rule.paint : rule.accents)[name] = color.color(name.c_str());
            fields.adopt(color);
        }
    }
    if (fields.has("seeds")) rule.seeds = fields.list<std::uint32_t>("seeds", 1, 256);
}

ThemeRule read_rule(const Json& json, const std::string& where, const ThemeDescription& theme, ThemeFields& parent) {
    ThemeFields fields(json, where,
                       {"object", "at", "ring", "scatter", "line", "turn", "spacing", "off_paths", "set", "paint",
                        "accents", "seeds"});
    ThemeRule rule;
    rule.where = where;
    if (json.is_object() && json.contains("object") && json.at("object").is_array()) {
        rule.objects = fields.list<std::string>("object", 1, 32);
    } else {
        rule.objects = {fields.text("object")};
    }
    for (const std::string& name : rule.objects) {
        if (!fields.error() && !theme.objects.contains(name))
            fields.complain("object", fmt::format("is \"{}\", which is not among \"objects\"", name));
    }
    if (!fields.error()) read_how(fields, json, rule);
    if (!fields.error()) read_turn(fields, json, rule);
    if (fields.has("spacing")) rule.spacing = fields.number("spacing", 0, 8);
    if (fields.has("off_paths")) rule.off_paths = fields.number("off_paths", 0, 8);
    if (!fields.error()) read_overrides(fields, theme, rule);
    parent.adopt(fields);
    return rule;
}

} // namespace

void read_things(ThemeFields& top, ThemeDescription& theme) {
    for (const auto& [name, json] : top.members("materials").items())
        theme.materials[name] = read_material(json, theme.where + ": materials: " + name, top);
    for (const auto& [name, json] : top.members("objects").items())
        theme.objects[name] = read_object(json, theme.where + ": objects: " + name, theme, top);
    int number = 0;
    for (const Json& json : top.items("place", 1024))
        theme.rules.push_back(read_rule(json, fmt::format("{}: place {}", theme.where, ++number), theme, top));
}

} // namespace wander
