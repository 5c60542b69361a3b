#pragma once
// Where the parts of a model lie in a folder, and where they come from. File names only; pure but for looking whether a
// file exists.

#include "generator/models/part_tensors.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace wander {

struct FoundPart {
    std::filesystem::path path;
    enum class Layout { wander, downloaded, diffusers } layout = Layout::downloaded;
    bool base_model = false; // the base model's own transformer, not a few-step one
};

// The first place of the part's list that exists.
std::optional<FoundPart> find_part(const std::filesystem::path& folder, PartKind kind);

struct PartOrigin {
    PartKind kind;
    const char* site;       // "Hugging Face"
    const char* repository; // there
    const char* file;       // in it
    std::uint64_t bytes;    // 0: small
    const char* place;      // in a model folder
};
const PartOrigin& origin_of(PartKind kind);

inline constexpr PartKind kPartKinds[] = {PartKind::transformer,  PartKind::vae,       PartKind::tiny_vae,
                                          PartKind::text_encoder, PartKind::tokenizer, PartKind::text_embedding};

} // namespace wander
