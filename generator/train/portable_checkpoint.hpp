#pragma once
// A checkpoint small enough to carry around: the averaged weights in half precision, in safetensors shards of at most
// 12 MiB with an index, about 30 MB in all, beside the world.json that says what they are. A later run begins with them
// and some warm-up steps. docs/formats.md, "Training checkpoints".

#include "generator/plain/result.hpp"

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace wander::train {

inline constexpr std::int64_t kShardBytes = 12 << 20;
inline constexpr const char* kPortableIndex = "weights.safetensors.index.json";

struct PortableCheckpoint {
    std::map<std::string, at::Tensor> dit; // any floating type; float16 in the file
    std::map<std::string, at::Tensor> vae;
    nlohmann::json world = nlohmann::json::object(); // world.json
    nlohmann::json facts = nlohmann::json::object(); // steps so far, seconds, ...

    // The folder appears when it is whole, in place of an earlier one. io: says what and where.
    Result<void> write(const std::filesystem::path& folder) const;
    // bad_input: says what lacks.
    static Result<PortableCheckpoint> read(const std::filesystem::path& folder);
    static bool looks_like_one(const std::filesystem::path& folder);
};

} // namespace wander::train
