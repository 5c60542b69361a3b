#pragma once
// What the checks of every kind of model folder have in common: an error with its file before it, what a description
// says of a Wan transformer, and the umT5 encoder. Any thread.

#include "generator/models/description.hpp"
#include "generator/models/model_files.hpp"

#include <filesystem>

namespace wander {

Error at_path(const std::filesystem::path& path, const Error& error);

// Channels of one head: by the description, else `otherwise`; bad_input unless they are a multiple of `step` up to
// 1024.
Result<int> described_head_dim(const Description& said, int otherwise, int step);
// Sizes that the description has must be those that the tensors of `weights` gave `dit`; the text's length, which no
// tensor tells, is taken from it.
Result<void> take_description(const Description& said, const std::filesystem::path& weights, DitConfig& dit);

// Sizes of an umT5 encoder from its tensors, and every name and shape of them. transformer: who reads what it gives;
// null where there is none.
Result<void> check_umt5(const ModelPart& part, const DitConfig* transformer, Umt5Config& text);

} // namespace wander
