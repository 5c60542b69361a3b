#pragma once
// The card of an open world for the window's panel, out of its world.json. Any thread.

#include "gui/plain/ui_model.hpp"

#include <filesystem>
#include <optional>

namespace wander {

// Nothing where the folder holds no world. A card shows what is there: missing or foreign figures are left out.
std::optional<gui::WorldCard> read_world_card(const std::filesystem::path& folder);

} // namespace wander
