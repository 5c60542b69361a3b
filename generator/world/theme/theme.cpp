#include "generator/world/theme/theme.hpp"

#include <fmt/format.h>

#include <cmath>

namespace wander {

Result<Theme> Theme::read(const std::filesystem::path& file) {
    auto description = read_theme_file(file);
    if (!description) return description.error();
    return build(*description);
}

Result<Theme> Theme::build(const ThemeDescription& description) {
    auto scene = build_scene(description);
    if (!scene) return scene.error();
    Theme theme;
    theme.name = description.name;
    theme.title = description.title;
    theme.starts = description.starts;
    theme.map_rows = walkable_rows(*scene);
    theme.scene = std::move(*scene);
    auto map = WalkableMap::from_hex(theme.map_rows, kWalkableCells, scene::kPeriod);
    if (!map) return map.error();
    theme.map = std::move(*map);
    for (const ThemeStart& start : theme.starts) {
        if (theme.map.free_at(start.pose.x, start.pose.z)) continue;
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: starts: {} at [{}, {}] is not on free ground; move it, or what stands there",
                                 description.where, start.name, start.pose.x, start.pose.z)};
    }
    return theme;
}

const ThemeStart* Theme::find_start(const std::string& start) const {
    for (const ThemeStart& candidate : starts) {
        if (candidate.name == start) return &candidate;
    }
    return nullptr;
}

int Theme::free_percent() const { return static_cast<int>(std::lround(free_share(map_rows) * 100)); }

std::string Theme::size_text() const {
    const std::size_t lights = scene.lights.size();
    const std::string lit = lights > 0 ? fmt::format(", {} light{}", lights, lights == 1 ? "" : "s") : "";
    return fmt::format("{} part{}{}, {} % of the ground is free", scene.primitives.size(),
                       scene.primitives.size() == 1 ? "" : "s", lit, free_percent());
}

} // namespace wander
