// Reading a theme file: strict, so that a misspelt key is told instead of ignored.

#include "generator/json_fields.hpp"
#include "generator/world/theme/description.hpp"
#include "generator/world/theme/expression.hpp"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <utility>

namespace wander {

namespace {

using Json = nlohmann::json;
using scene::Vec3;

constexpr std::uintmax_t kMaxFileBytes = 4 << 20;
constexpr double kMaxColor = 4;
constexpr double kHalfPeriod = scene::kPeriod / 2.0;
constexpr double kTurn = 7;        // radians; a little more than a whole turn
constexpr double kMaxPitch = 0.35; // of a start: the walker's limit, walk_limits()
constexpr std::size_t kMaxName = 64;

template <typename T>
using Names = std::initializer_list<std::pair<const char*, T>>;

constexpr Names<scene::Shape> kShapes = {{"box", scene::Shape::box},     {"cylinder", scene::Shape::cylinder},
                                         {"cone", scene::Shape::cone},   {"ellipsoid", scene::Shape::ellipsoid},
                                         {"gable", scene::Shape::gable}, {"pyramid", scene::Shape::pyramid}};
constexpr Names<scene::Texture> kTextures = {
    {"plain", scene::Texture::plain}, {"house", scene::Texture::house},   {"brick", scene::Texture::brick},
    {"roof", scene::Texture::roof},   {"bark", scene::Texture::bark},     {"leaf", scene::Texture::leaf},
    {"stone", scene::Texture::stone}, {"lamp", scene::Texture::lamp},     {"neon", scene::Texture::neon},
    {"dome", scene::Texture::dome},   {"stripe", scene::Texture::stripe}, {"crate", scene::Texture::crate},
    {"log", scene::Texture::log},     {"planks", scene::Texture::planks}, {"dots", scene::Texture::dots}};
constexpr Names<scene::GroundPlace> kPlaces = {{"everywhere", scene::GroundPlace::everywhere},
                                               {"paths", scene::GroundPlace::paths},
                                               {"disc", scene::GroundPlace::disc},
                                               {"circle", scene::GroundPlace::circle},
                                               {"grid", scene::GroundPlace::grid}};
constexpr Names<scene::GroundSurface> kSurfaces = {
    {"flat", scene::GroundSurface::flat},       {"sand", scene::GroundSurface::sand},
    {"bricks", scene::GroundSurface::bricks},   {"tiles", scene::GroundSurface::tiles},
    {"checker", scene::GroundSurface::checker}, {"planks", scene::GroundSurface::planks}};

void append_name(std::string& list, const char* name) {
    if (!list.empty()) list += ' ';
    list += name;
}

// One object of the file; complains about keys that nobody knows.
class Fields : public JsonFields {
public:
    Fields(const Json& object, std::string where, std::initializer_list<const char*> known)
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

    double number_or(const char* key, double otherwise, double low, double high) {
        return has(key) ? number(key, low, high) : otherwise;
    }
    float single(const char* key, double otherwise, double low, double high) {
        return static_cast<float>(number_or(key, otherwise, low, high));
    }
    Vec3 color(const char* key) {
        const auto items = list<double>(key, 3, 3);
        for (const double item : items) {
            if (!(item >= 0 && item <= kMaxColor))
                complain(key, "is not a color: three numbers of 0 to 4, [red, green, blue]");
        }
        return {static_cast<float>(items[0]), static_cast<float>(items[1]), static_cast<float>(items[2])};
    }
    Vec3 color_or(const char* key, Vec3 otherwise) { return has(key) ? color(key) : otherwise; }
    std::array<double, 2> point(const char* key) {
        const auto items = list<double>(key, 2, 2);
        for (const double item : items) {
            if (!(std::abs(item) <= kHalfPeriod)) complain(key, "lies outside of the tile: x and z go from -8 to 8");
        }
        return {items[0], items[1]};
    }
    // A number, or [LOW, HIGH].
    ThemeRange range(const char* key, double low, double high) {
        if (has(key) && object_.at(key).is_number()) {
            const double value = number(key, low, high);
            return {value, value};
        }
        const auto items = list<double>(key, 2, 2);
        if (!(items[0] >= low && items[0] <= items[1] && items[1] <= high))
            complain(key, fmt::format("is not [LOW, HIGH] within {} to {}", low, high));
        return {items[0], items[1]};
    }
    template <typename T>
    T one_of(const char* key, const Names<T>& names) {
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
    ThemeNumber formula(const Json& value, const char* key, const std::map<std::string, double>& names) {
        if (value.is_number()) return fmt::format("{:.9g}", value.get<double>());
        if (!value.is_string()) {
            complain(key, "holds something that is neither a number nor a text like \"h + 0.5 * r\"");
            return "0";
        }
        auto tried = evaluate(value.get<std::string>(), names);
        if (!tried) complain(key, "holds " + tried.error().message);
        return value.get<std::string>();
    }
    ThemeNumber formula_or(const char* key, const char* otherwise, const std::map<std::string, double>& names) {
        return has(key) ? formula(object_.at(key), key, names) : ThemeNumber(otherwise);
    }
    std::array<ThemeNumber, 3> formulas(const char* key, const std::map<std::string, double>& names) {
        const auto items = list<Json>(key, 3, 3);
        if (items[0].is_null()) return {"0", "0", "0"}; // the list was refused
        return {formula(items[0], key, names), formula(items[1], key, names), formula(items[2], key, names)};
    }
    // The object itself, empty when `key` is absent or no object.
    const Json& members(const char* key) {
        static const Json kEmpty = Json::object();
        if (!has(key)) return kEmpty;
        if (!object_.at(key).is_object()) {
            complain(key, "must be an object in braces");
            return kEmpty;
        }
        return object_.at(key);
    }
    const Json& items(const char* key, std::size_t max_count) {
        static const Json kEmpty = Json::array();
        if (!has(key)) return kEmpty;
        if (!object_.at(key).is_array() || object_.at(key).size() > max_count) {
            complain(key, fmt::format("must be a list of at most {}", max_count));
            return kEmpty;
        }
        return object_.at(key);
    }

private:
    const Json& object_;
};

void read_sun(const Json& json, const std::string& where, Fields& parent, scene::Sky& sky) {
    Fields sun(json, where + ": sun", {"azimuth", "elevation", "color", "glow"});
    const double azimuth = sun.number("azimuth", -kTurn, kTurn);
    const double elevation = sun.number("elevation", 0.02, 1.57);
    const auto a = static_cast<float>(azimuth);
    const auto e = static_cast<float>(elevation);
    sky.sun = scene::normalized({std::sin(a) * std::cos(e), std::sin(e), std::cos(a) * std::cos(e)});
    sky.sun_color = sun.color("color");
    sky.glow = sun.color_or("glow", {});
    parent.adopt(sun);
}

void read_sky(const Json& json, const std::string& where, Fields& parent, scene::Sky& sky) {
    Fields fields(json, where + ": sky",
                  {"zenith", "horizon", "clouds", "cloud_color", "stars", "mountains", "mountain_color"});
    sky.zenith = fields.color("zenith");
    sky.horizon = fields.color("horizon");
    sky.clouds = fields.single("clouds", 0, 0, 1);
    sky.cloud_color = fields.color_or("cloud_color", {0.97f, 0.97f, 0.98f});
    sky.stars = fields.single("stars", 0, 0, 2);
    sky.mountains = fields.single("mountains", 0, 0, 1);
    sky.mountain_color = fields.color_or("mountain_color", sky.horizon);
    parent.adopt(fields);
}

scene::GroundLayer read_layer(const Json& json, const std::string& where, Fields& parent) {
    Fields fields(json, where,
                  {"place", "surface", "color", "line_color", "strength", "edge", "scale", "radius", "half_width",
                   "ring", "ring_wobble", "roads", "roads_from", "road_wobble"});
    scene::GroundLayer layer;
    layer.place = fields.one_of("place", kPlaces);
    layer.surface = fields.has("surface") ? fields.one_of("surface", kSurfaces) : scene::GroundSurface::flat;
    layer.color = fields.color("color");
    layer.line_color = fields.color_or("line_color", layer.color * 0.6f);
    layer.strength = fields.single("strength", 1, 0, 1);
    layer.edge = fields.single("edge", 0, 0, 1);
    layer.scale = fields.single("scale", 1, 0.0625, 8);
    layer.half_width = fields.single("half_width", layer.place == scene::GroundPlace::paths ? 0.42 : 0.05, 0.01, 4);
    if (layer.place == scene::GroundPlace::paths) {
        layer.radius = fields.single("ring", 0, 0, kHalfPeriod);
        layer.ring_wobble = fields.single("ring_wobble", 0, 0, 1);
        layer.road_wobble = fields.single("road_wobble", 0, 0, 2);
        layer.roads_from = fields.single("roads_from", 0, 0, 12);
        const std::string roads = fields.has("roads") ? fields.text("roads") : "";
        if (!roads.empty() && roads != "x" && roads != "z" && roads != "xz")
            fields.complain("roads", "is not \"x\", \"z\" or \"xz\"");
        layer.roads_x = roads.find('x') != std::string::npos ? 1.0f : 0.0f;
        layer.roads_z = roads.find('z') != std::string::npos ? 1.0f : 0.0f;
        if (layer.radius == 0 && roads.empty())
            fields.complain("place", "is \"paths\", but there is neither \"ring\" nor \"roads\"");
    } else if (layer.place == scene::GroundPlace::disc || layer.place == scene::GroundPlace::circle) {
        layer.radius = static_cast<float>(fields.number("radius", 0.1, kHalfPeriod));
    }
    // Where cells reach over the border of the tile they must come out whole.
    const double cells = layer.scale * scene::kPeriod;
    const bool reaches_border =
        layer.place == scene::GroundPlace::grid || layer.place == scene::GroundPlace::everywhere;
    if (reaches_border && std::abs(cells - std::nearbyint(cells)) > 1e-6)
        fields.complain("scale", "times 16 is not whole: the pattern would break at the border of the tile");
    parent.adopt(fields);
    return layer;
}

void read_ground(const Json& json, Fields& parent, ThemeDescription& theme) {
    Fields fields(json, theme.where + ": ground", {"colors", "layers"});
    const auto colors = fields.list<Json>("colors", 2, 2);
    for (std::size_t i = 0; i < 2 && !fields.error(); ++i) {
        const Json pair = {{"colors", colors[i]}};
        Fields one(pair, theme.where + ": ground", {"colors"});
        theme.sky_and_ground.ground[i] = one.color("colors");
        fields.adopt(one);
    }
    int number = 0;
    for (const Json& layer : fields.items("layers", 8))
        theme.layers.push_back(read_layer(layer, fmt::format("{}: ground: layer {}", theme.where, ++number), fields));
    parent.adopt(fields);
}

ThemeMaterial read_material(const Json& json, const std::string& where, Fields& parent) {
    Fields fields(json, where, {"texture", "color", "accent", "glow", "lit", "vary", "accent_vary"});
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
                    const ThemeDescription& theme, Fields& parent) {
    Fields fields(json, where, {"shape", "material", "at", "size", "turn", "keep_away", "chance", "ring", "light"});
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

ThemeObject read_object(const Json& json, const std::string& where, const ThemeDescription& theme, Fields& parent) {
    Fields fields(json, where, {"sizes", "parts"});
    ThemeObject object;
    std::map<std::string, double> middle;
    for (const auto& [name, value] : fields.members("sizes").items()) {
        const Json one = {{name, value}};
        Fields size(one, where + ": sizes", {name.c_str()});
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

void read_how(Fields& fields, const Json& json, ThemeRule& rule) {
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
        Fields ring(how, where, {"count", "radius", "first", "jitter"});
        rule.count = ring.integer("count", 1, 256);
        rule.distance = ring.range("radius", 0, 11.4);
        rule.first = ring.number_or("first", 0, -kTurn, kTurn);
        rule.jitter = ring.number_or("jitter", 0, 0, kTurn);
        fields.adopt(ring);
    } else if (std::string_view(key) == "scatter") {
        rule.kind = ThemeRule::Kind::scatter;
        rule.turn = ThemeRule::Turn::random;
        rule.spacing = 0.6;
        Fields scatter(how, where, {"count", "radius"});
        rule.count = scatter.integer("count", 1, 256);
        rule.distance = scatter.has("radius") ? scatter.range("radius", 0, 11.4) : ThemeRange{0, 11.4};
        fields.adopt(scatter);
    } else {
        rule.kind = ThemeRule::Kind::line;
        Fields line(how, where, {"count", "from", "to"});
        rule.count = line.integer("count", 1, 256);
        rule.from = line.point("from");
        rule.to = line.point("to");
        fields.adopt(line);
    }
}

void read_turn(Fields& fields, const Json& json, ThemeRule& rule) {
    if (!fields.has("turn")) return;
    if (json.at("turn").is_number()) {
        rule.turn = ThemeRule::Turn::fixed;
        rule.turn_rad = fields.number("turn", -kTurn, kTurn);
        return;
    }
    rule.turn = fields.one_of<ThemeRule::Turn>("turn", {{"random", ThemeRule::Turn::random},
                                                        {"inward", ThemeRule::Turn::inward},
                                                        {"outward", ThemeRule::Turn::outward}});
}

void read_overrides(Fields& fields, const ThemeDescription& theme, ThemeRule& rule) {
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
            Fields color(one, rule.where + ": " + key, {name.c_str()});
            (std::string_view(key) == "paint" ? rule.paint : rule.accents)[name] = color.color(name.c_str());
            fields.adopt(color);
        }
    }
    if (fields.has("seeds")) rule.seeds = fields.list<std::uint32_t>("seeds", 1, 256);
}

ThemeRule read_rule(const Json& json, const std::string& where, const ThemeDescription& theme, Fields& parent) {
    Fields fields(json, where,
                  {"object", "at", "ring", "scatter", "line", "turn", "spacing", "off_paths", "set", "paint", "accents",
                   "seeds"});
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

// Names of themes and starts become names of files, and words of the command line.
std::string read_name(Fields& fields) {
    const std::string name = fields.text("name");
    const bool plain = std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    if (!plain || name.empty() || name.size() > kMaxName || name.front() == '-')
        fields.complain("name", fmt::format("is \"{}\"; it must be 1 to {} letters (a to z, A to Z), digits, _ or -, "
                                            "and not begin with -",
                                            name, kMaxName));
    if (name == "none")
        fields.complain("name", "is \"none\", which means no start on the command line; choose another");
    return name;
}

void read_starts(Fields& top, ThemeDescription& theme) {
    for (const Json& json : top.items("starts", 64)) {
        Fields fields(json, theme.where + ": starts", {"name", "pose"});
        ThemeStart start;
        start.name = read_name(fields);
        const bool twice =
            std::ranges::any_of(theme.starts, [&](const ThemeStart& other) { return other.name == start.name; });
        if (twice) fields.complain("name", fmt::format("is \"{}\" twice; every start point needs its own", start.name));
        const auto pose = fields.list<double>("pose", 4, 4);
        if (!(std::abs(pose[0]) <= kHalfPeriod && std::abs(pose[1]) <= kHalfPeriod && std::abs(pose[2]) <= kTurn &&
              std::abs(pose[3]) <= kMaxPitch))
            fields.complain("pose",
                            "is not [X, Z, YAW, PITCH] with x and z of -8 to 8, a yaw of -7 to 7 and a pitch of "
                            "-0.35 to 0.35 radians");
        start.pose = {static_cast<float>(pose[0]), static_cast<float>(pose[1]), static_cast<float>(pose[2]),
                      static_cast<float>(pose[3])};
        theme.starts.push_back(start);
        top.adopt(fields);
    }
    if (theme.starts.empty()) top.complain("starts", "is missing or empty: a walk needs a place to begin");
}

void read_ponds(Fields& top, ThemeDescription& theme) {
    for (const Json& json : top.items("ponds", 8)) {
        Fields fields(json, theme.where + ": ponds", {"at", "radius", "color"});
        const auto at = fields.point("at");
        const auto radius = static_cast<float>(fields.number("radius", 0.2, 4));
        theme.ponds.push_back({static_cast<float>(at[0]), static_cast<float>(at[1]), radius, fields.color("color")});
        top.adopt(fields);
    }
}

void read_things(Fields& top, ThemeDescription& theme) {
    for (const auto& [name, json] : top.members("materials").items())
        theme.materials[name] = read_material(json, theme.where + ": materials: " + name, top);
    for (const auto& [name, json] : top.members("objects").items())
        theme.objects[name] = read_object(json, theme.where + ": objects: " + name, theme, top);
    int number = 0;
    for (const Json& json : top.items("place", 1024))
        theme.rules.push_back(read_rule(json, fmt::format("{}: place {}", theme.where, ++number), theme, top));
}

Result<ThemeDescription> read_theme(const Json& json, const std::string& where) {
    ThemeDescription theme;
    theme.where = where;
    Fields top(json, where,
               {"kind", "version", "name", "title", "seed", "starts", "sun", "ambient", "sky", "fog", "ground", "ponds",
                "materials", "objects", "place"});
    if (top.error()) return *top.error();
    if (top.text("kind") != "wander-theme") top.complain("kind", "is not \"wander-theme\": this is no theme file");
    top.integer("version", 1, 1);
    theme.name = read_name(top);
    theme.title = top.has("title") ? top.text("title") : theme.name;
    scene::SceneView& rest = theme.sky_and_ground;
    rest.seed = static_cast<std::uint32_t>(top.integer("seed", 0, 1 << 30));
    if (top.error()) return *top.error();
    read_starts(top, theme);
    read_sun(top.members("sun"), where, top, rest.sky);
    rest.ambient = top.color("ambient");
    read_sky(top.members("sky"), where, top, rest.sky);
    Fields fog(top.members("fog"), where + ": fog", {"density", "color"});
    rest.fog_density = fog.single("density", 0.035, 0, 1);
    rest.fog_color = fog.color_or("color", scene::mix(rest.sky.horizon, rest.ambient, 0.15f));
    top.adopt(fog);
    read_ground(top.members("ground"), top, theme);
    read_ponds(top, theme);
    if (!top.error()) read_things(top, theme);
    if (top.error()) return *top.error();
    return theme;
}

} // namespace

Result<ThemeDescription> read_theme_text(const std::string& text, const std::string& where) {
    try {
        return read_theme(Json::parse(text, nullptr, true, true), where);
    } catch (const Json::exception& problem) {
        // "[json.exception.parse_error.101] parse error at line 3, column 5: ..."
        std::string what = problem.what();
        if (const auto end = what.find("] "); end != std::string::npos) what = what.substr(end + 2);
        std::replace(what.begin(), what.end(), '\n', ' ');
        return Error{ErrorCode::bad_input, where + ": is not valid JSON: " + what};
    }
}

Result<ThemeDescription> read_theme_file(const std::filesystem::path& file) {
    std::error_code failed;
    const auto bytes = std::filesystem::file_size(file, failed);
    if (failed) {
        return Error{ErrorCode::bad_input, fmt::format("{}: cannot be read ({}); wander world list names the themes",
                                                       file.string(), failed.message())};
    }
    if (bytes > kMaxFileBytes)
        return Error{ErrorCode::bad_input, file.string() + ": larger than 4 MiB, not a theme file"};
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in || text.size() != bytes) return Error{ErrorCode::bad_input, file.string() + ": cannot be read"};
    return read_theme_text(text, file.string());
}

} // namespace wander
