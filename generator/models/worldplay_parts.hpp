#pragma once
// Where the parts of a HY-WorldPlay model lie. People keep several downloads in folders of their own making, so files
// are told apart by the tensors in them; names only help where a file is damaged or two would do. Any thread.

#include "generator/models/part_places.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace wander {

struct WorldPlayFile {
    std::filesystem::path path;
    bool distilled = false;       // a transformer whose weights are the few-step ones, as far as the file tells
    std::optional<Error> problem; // it cannot be opened; then its name says what it is
};

// Files that can serve as each part, the best first. No file belongs to two kinds.
struct WorldPlayFiles {
    std::vector<WorldPlayFile> transformer;
    std::vector<WorldPlayFile> vae;
    std::vector<WorldPlayFile> text_encoder;
    std::vector<WorldPlayFile> tokenizer;
    // The base model's transformer: without labels and the second branch it is of no use.
    std::vector<std::filesystem::path> base_transformer;

    const std::vector<WorldPlayFile>& of(PartKind kind) const;
};

// Looks through the folder and a few levels below it; hidden folders and our own conversions are left out.
WorldPlayFiles scan_worldplay(const std::filesystem::path& folder);

// Does the name of a file or of a folder above it say that the weights are few-step ones?
bool is_distilled_name(const std::filesystem::path& path);

// Of WAN-5B. The places are below a model's folder.
const PartOrigin& worldplay_origin(PartKind kind);

} // namespace wander
