// Sun, sky, fog, ground and ponds of a theme file.

#include "generator/world/theme/theme_sections.hpp"

#include <cmath>

namespace wander {

namespace {

using Json = nlohmann::json;

constexpr ThemeNames<scene::GroundPlace> kPlaces = {{"everywhere", scene::GroundPlace::everywhere},
                                                    {"paths", scene::GroundPlace::paths},
                                                    {"disc", scene::GroundPlace::disc},
                                                    {"circle", scene::GroundPlace::circle},
                                                    {"grid", scene::GroundPlace::grid}};
constexpr ThemeNames<scene::GroundSurface> kSurfaces = {
    {"flat", scene::GroundSurface::flat},       {"sand", scene::GroundSurface::sand},
    {"bricks", scene::GroundSurface::bricks},   {"tiles", scene::GroundSurface::tiles},
    {"checker", scene::GroundSurface::checker}, {"planks", scene::GroundSurface::planks}};

void read_sun(const Json& json, const std::string& where, ThemeFields& parent, scene::Sky& sky) {
    ThemeFields sun(json, where + ": sun", {"azimuth", "elevation", "color", "glow"});
    const double azimuth = sun.number("azimuth", -kThemeTurn, kThemeTurn);
    const double elevation = sun.number("elevation", 0.02, 1.57);
    const auto a = static_cast<float>(azimuth);
    const auto e = static_cast<float>(elevation);
    sky.sun = scene::normalized({std::sin(a) * std::cos(e), std::sin(e), std::cos(a) * std::cos(e)});
    sky.sun_color = sun.color("color");
    sky.glow = sun.color_or("glow", {});
    parent.adopt(sun);
}

void read_sky(const Json& json, const std::string& where, ThemeFields& parent, scene::Sky& sky) {
    ThemeFields fields(json, where + ": sky",
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

scene::GroundLayer read_layer(const Json& json, const std::string& where, ThemeFields& parent) {
    ThemeFields fields(json, where,
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
        layer.radius = fields.single("ring", 0, 0, kThemeHalfPeriod);
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
        layer.radius = static_cast<float>(fields.number("radius", 0.1, kThemeHalfPeriod));
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

void read_ground(const Json& json, ThemeFields& parent, ThemeDescription& theme) {
    ThemeFields fields(json, theme.where + ": ground", {"colors", "layers"});
    const auto colors = fields.list<Json>("colors", 2, 2);
    for (std::size_t i = 0; i < 2 && !fields.error(); ++i) {
        const Json pair = {{"colors", colors[i]}};
        ThemeFields one(pair, theme.where + ": ground", {"colors"});
        theme.sky_and_ground.ground[i] = one.color("colors");
        fields.adopt(one);
    }
    int number = 0;
    for (const Json& layer : fields.items("layers", 8))
        theme.layers.push_back(read_layer(layer, fmt::format("{}: ground: layer {}", theme.where, ++number), fields));
    parent.adopt(fields);
}

void read_ponds(ThemeFields& top, ThemeDescription& theme) {
    for (const Json& json : top.items("ponds", 8)) {
        ThemeFields fields(json, theme.where + ": ponds", {"at", "radius", "color"});
        const auto at = fields.point("at");
        const auto radius = static_cast<float>(fields.number("radius", 0.2, 4));
        theme.ponds.push_back({static_cast<float>(at[0]), static_cast<float>(at[1]), radius, fields.color("color")});
        top.adopt(fields);
    }
}

} // namespace

void read_surroundings(ThemeFields& top, ThemeDescription& theme) {
    scene::SceneView& rest = theme.sky_and_ground;
    read_sun(top.members("sun"), theme.where, top, rest.sky);
    rest.ambient = top.color("ambient");
    read_sky(top.members("sky"), theme.where, top, rest.sky);
    ThemeFields fog(top.members("fog"), theme.where + ": fog", {"density", "color"});
    rest.fog_density = fog.single("density", 0.035, 0, 1);
    rest.fog_color = fog.color_or("color", scene::mix(rest.sky.horizon, rest.ambient, 0.15f));
    top.adopt(fog);
    read_ground(top.members("ground"), top, theme);
    read_ponds(top, theme);
}

} // namespace wander
