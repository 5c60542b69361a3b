#pragma once
// Small folders of HY-WorldPlay WAN-5B for tests, and what is in them.

#include "generator/models/worldplay_folder.hpp"
#include "tests/support/worldplay_folder_writer.hpp"
#include "tests/unit/models/opened_folder.hpp"

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <string>

namespace wander::test {

namespace fs = std::filesystem;

inline constexpr const char* kBase = "Wan2.2-TI2V-5B-Diffusers";

inline const fs::path& made(WorldPlayRecipe::Layout layout) {
    WorldPlayRecipe recipe;
    recipe.layout = layout;
    recipe.small = true;
    recipe.scaffolding = true;
    return shared_folder<write_worldplay_folder>(recipe);
}

class WorldPlayFolderTest : public CopiedFolder {
protected:
    fs::path copy() const { return copy_of(made(WorldPlayRecipe::Layout::diffusers)); }
};

inline WorldPlayFolder open(const fs::path& path) { return opened<WorldPlayFolder>(path); }

inline std::map<std::string, at::Tensor> tensors_of(const WorldPlayFolder& model, PartKind kind) {
    std::map<std::string, at::Tensor> tensors;
    const PartTensors& from = *model.part(kind)->tensors;
    for (const auto& [name, shape] : from.shapes()) tensors[name] = *from.tensor(name, shape);
    return tensors;
}

} // namespace wander::test
