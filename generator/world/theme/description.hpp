#pragma once
// What a theme file says, checked but not yet built: materials, objects of parts, and the rules that place them.
// docs/themes.md explains every key. Plain data. No torch.

#include "generator/plain/control_state.hpp"
#include "generator/plain/result.hpp"
#include "generator/world/scene/scene.hpp"

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace wander {

struct ThemeMaterial {
    scene::Texture texture = scene::Texture::plain;
    scene::Vec3 color;
    scene::Vec3 accent;
    scene::Vec3 glow;
    float lit = 0;
    float vary = 0;        // of color, from instance to instance
    float accent_vary = 0; // of accent
};

// A number, or a text for expression.hpp.
using ThemeNumber = std::string;

struct ThemePart {
    std::string where; // "objects: house: part 2", for messages
    scene::Shape shape = scene::Shape::box;
    std::string material;
    std::array<ThemeNumber, 3> at{"0", "0", "0"};
    std::array<ThemeNumber, 3> size{"0", "0", "0"};
    ThemeNumber turn = "0";
    ThemeNumber keep_away = "0";
    double chance = 1;
    int ring_count = 0; // copies round the object's axis
    ThemeNumber ring_radius = "0";
    std::optional<scene::Vec3> light;
};

struct ThemeRange {
    double low = 0;
    double high = 0;
};

struct ThemeObject {
    std::map<std::string, ThemeRange> sizes;
    std::vector<ThemePart> parts;
};

struct ThemeRule {
    enum class Kind { at, ring, scatter, line };
    enum class Turn { fixed, random, inward, outward };

    std::string where; // "place 3", for messages
    std::vector<std::string> objects;
    Kind kind = Kind::at;
    int count = 1;
    std::array<double, 2> from{};    // at: the point; line: its first point
    std::array<double, 2> to{};      // line: its last point
    ThemeRange distance;             // ring, scatter: from the middle of the tile
    double first = 0;                // ring: angle of the first, radians
    double jitter = 0;               // ring: radians
    std::optional<double> spacing;   // gap to everything placed before
    std::optional<double> off_paths; // gap to the middle line of paths
    Turn turn = Turn::fixed;
    double turn_rad = 0;
    std::map<std::string, double> set;          // sizes
    std::map<std::string, scene::Vec3> paint;   // material name -> color
    std::map<std::string, scene::Vec3> accents; // material name -> accent
    std::vector<std::uint32_t> seeds;           // of the parts
};

struct ThemeStart {
    std::string name;
    Pose pose;
};

struct ThemeDescription {
    std::string where; // the file
    std::string name;
    std::string title;
    std::vector<ThemeStart> starts;
    scene::SceneView sky_and_ground; // everything but pointers and counts
    std::vector<scene::GroundLayer> layers;
    std::vector<scene::Pond> ponds;
    std::map<std::string, ThemeMaterial> materials;
    std::map<std::string, ThemeObject> objects;
    std::vector<ThemeRule> rules;
};

// bad_input with file, key and what to do.
Result<ThemeDescription> read_theme_file(const std::filesystem::path& file);
Result<ThemeDescription> read_theme_text(const std::string& text, const std::string& where);

} // namespace wander
