#pragma once
// How a folder with a world, as assets/world is one and the trainer writes them, is recognised. Any thread.

#include <filesystem>
#include <optional>
#include <string>

namespace wander {

// The folder that holds world.json: the given one, the one that the given world.json lies in, or the folder world/ of a
// training. Nothing: it is no world.
std::optional<std::filesystem::path> find_world_folder(const std::filesystem::path& given);

// The model that --model names: "embedded" is the world in the assets, whatever else is given is itself.
std::filesystem::path model_path(const std::string& model, const std::filesystem::path& assets);

// What a world in a folder of the user's is called: its own name, or the folder's where it has none of its own.
std::string shown_world_name(const std::string& name, const std::filesystem::path& folder);

} // namespace wander
