#pragma once
// Where the parts of a HY-WorldPlay model lie. Files are told apart by the tensors in them; names only help where a
// file is damaged or two would do. Any thread.

#include "generator/models/part_places.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace wander {

struct WorldPlayFile {
    std::filesystem::path path;
    bool distilled = false;       // a transformer whose weights are the few-step ones, as far as the file tells
    std::optional<Error> problem; // it cannot be opened; then its name says what it is
};

// Files that can serve as each part of one model, the best first.
struct WorldPlayFiles {
    std::map<PartKind, std::vector<WorldPlayFile>> parts;
    // The base model's transformer: it knows neither keys nor cameras and is of no use.
    std::vector<std::filesystem::path> base_transformer;

    const std::vector<WorldPlayFile>& of(PartKind kind) const;
};

// What a folder and those below hold, by model; no file belongs to two parts.
std::map<ModelFamily, WorldPlayFiles> scan_worldplay(const std::filesystem::path& folder);

// Does the name of a file or of a folder above it say that the weights are few-step ones?
bool is_distilled_name(const std::filesystem::path& path);

// The parts that a model has, in the order of PartKind, with the places of what is missing below the model's folder.
struct WorldPlayPart {
    PartOrigin origin;
    const char* key;    // in wander-model.json
    bool needed = true; // nothing runs without it
};
std::span<const WorldPlayPart> worldplay_parts(ModelFamily family);

} // namespace wander
