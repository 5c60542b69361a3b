#pragma once
// Where the one-time conversion puts a part, and whether what lies there belongs to the file as it is now.
//
// A converted file carries a key in its metadata: size and time of every source file and a hash of their heads. When a
// source changes, the key no longer matches and the part is converted again. Any thread.

#include "generator/models/part_tensors.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace wander {

inline constexpr const char* kConvertedKey = "wander.source_key";
inline constexpr const char* kConvertedFrom = "wander.source";
inline constexpr const char* kConvertedEntry = "wander.source_entry"; // of a checkpoint with several; else empty

// MODEL/wander, then the user's cache folder for models that cannot be written to. None needs to exist.
std::vector<std::filesystem::path> converted_folders(const std::filesystem::path& model);

// The first of them that can be written to; not made. io where none can.
Result<std::filesystem::path> converted_target(const std::filesystem::path& model);

// "dit.safetensors"; empty for parts that are never converted. Families have names of their own where their networks
// differ, so one folder may hold two models.
std::string converted_name(PartKind kind, ModelFamily family);

// Of the file a part is read from. bad_input where it cannot be looked at.
Result<std::string> source_key(const TensorFile& source);

// The converted file of `kind` whose key is `key`.
std::optional<std::filesystem::path> find_converted(const std::filesystem::path& model, PartKind kind,
                                                    ModelFamily family, const std::string& key);

// What a tensor becomes: matrices bf16; vectors (biases, gains) and modulation float32; everything else stays.
Dtype converted_dtype(const std::string& native_name, const TensorInfo& info);

// Is a conversion worth it: does it hold matrices wider than bf16?
bool wants_conversion(const PartTensors& tensors);

} // namespace wander
