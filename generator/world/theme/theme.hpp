#pragma once
// A place as its theme file makes it: the scene, where one may stand, where walks begin. Immutable; any thread. No
// torch.

#include "generator/camera/walkable_map.hpp"
#include "generator/world/theme/description.hpp"

namespace wander {

struct Theme {
    std::string name;
    std::string title;
    std::vector<ThemeStart> starts; // at least one, on free ground
    scene::Scene scene;
    WalkableMap map;
    std::vector<std::string> map_rows; // the same as hexadecimal rows, as world.json has them

    // bad_input with file, key and what to do.
    static Result<Theme> read(const std::filesystem::path& file);
    static Result<Theme> build(const ThemeDescription& description);

    const ThemeStart* find_start(const std::string& start) const; // null: none of that name
    // "85 parts, 2 lights, 61 % of the ground is free": what a person checks after a change.
    std::string size_text() const;
    int free_percent() const; // of the ground, rounded
};

// Below this a walk is mostly walls, and there is little to learn from it: every known place but neon (48) has more.
inline constexpr int kEnoughFreePercent = 50;

// Cells of a walkable map a side.
inline constexpr int kWalkableCells = 128;

// Places everything. The same description gives the same scene, on every machine.
Result<scene::Scene> build_scene(const ThemeDescription& description);

// 128 rows z of 128 bits x in hexadecimal, most significant first; 1: the middle of the cell is outside of every pond
// and no nearer to a solid thing than that one wants.
std::vector<std::string> walkable_rows(const scene::Scene& scene);
// Share of the cells that are free, 0 to 1.
double free_share(const std::vector<std::string>& rows);
// Is this point free? Exact, without cells.
bool is_free(const scene::Scene& scene, double x, double z);

} // namespace wander
