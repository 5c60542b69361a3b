#pragma once
// Files that may be part of a model, in a folder and below: people keep several downloads in folders of their own
// making. Any thread.

#include <filesystem>
#include <vector>

namespace wander {

// Tensor files (a shard is left out: the index beside it is the file) and those of tokenizers (tokenizer.json,
// vocab.json), five levels deep, what lies higher first. Hidden folders and our own conversions ("wander") are left
// out.
std::vector<std::filesystem::path> find_model_files(const std::filesystem::path& folder);

} // namespace wander
