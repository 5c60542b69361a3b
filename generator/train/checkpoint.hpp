#pragma once
// Everything a training needs to go on as if nothing had happened: one safetensors file with tensors under
// "GROUP/NAME" and facts as text in its metadata. docs/formats.md, "Training checkpoints".
//
// Written to another name and renamed when whole, so that the one before is there until then. One thread.

#include "generator/plain/result.hpp"
#include "generator/train/parameters.hpp"

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <string>

namespace wander::train {

struct Checkpoint {
    // Group -> name -> tensor: "dit", "dit_mean", "dit_optimiser", "vae", "generators", ...
    std::map<std::string, std::map<std::string, at::Tensor>> groups;
    nlohmann::json facts = nlohmann::json::object(); // phase, step, seconds, what was trained

    // io: says what and where.
    Result<void> write(const std::filesystem::path& file) const;
    // Tensors are views into the mapped file. bad_input where the file is no checkpoint of ours.
    static Result<Checkpoint> read(const std::filesystem::path& file);

    // A group's tensors by name; reads from this object, which must stay. bad_input for one that is missing.
    TensorSource source(const std::string& group) const;
    // Empty where there is none.
    std::map<std::string, at::Tensor> group(const std::string& name) const;
};

} // namespace wander::train
