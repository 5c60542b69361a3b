#pragma once
// The sections of a theme file, each into what theme_reader.cpp puts together. A wrong one is told through `top`.

#include "generator/world/theme/theme_fields.hpp"

namespace wander {

// theme_surroundings.cpp: sun, ambient, sky, fog, ground, ponds.
void read_surroundings(ThemeFields& top, ThemeDescription& theme);
// theme_things.cpp: materials, objects, and what is placed where.
void read_things(ThemeFields& top, ThemeDescription& theme);

} // namespace wander
