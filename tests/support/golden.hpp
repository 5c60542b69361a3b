#pragma once
// A case of tests/data/goldens, or of the folder WANDER_GOLDENS: sizes, synthetic tensors and expected outputs.
//
// Element i of tensor NAME in a case with seed S comes from splitmix64(fnv1a64(NAME) ^ S + i); the whole formula is in
// tests/data/goldens/README.md. Sizes are always data of the case, so cases of other sizes run through the same tests.
// Functions lie in golden.cpp: with them in here every test of this kind took seconds more to compile.

#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace wander::testing {

// Uniform in offset +- scale, or Gaussian with that deviation; rounded once to float32.
at::Tensor synthetic_tensor(const std::string& name, std::uint64_t seed, const nlohmann::json& manifest);

std::filesystem::path goldens_folder();

// Cases called `name` or `name`-something; a test that finds none fails.
std::vector<std::filesystem::path> golden_folders(const std::string& name);

class GoldenCase {
public:
    explicit GoldenCase(const std::filesystem::path& folder);

    const std::string& folder() const { return folder_; }
    const nlohmann::json& config() const;
    bool has_output(const std::string& name) const { return outputs_.contains(name); }
    at::Tensor output(const std::string& name) const;
    const std::map<std::string, TensorEntry>& outputs() const { return outputs_.header().tensors; }

    // A synthetic weight or input.
    at::Tensor tensor(const std::string& name) const;
    const nlohmann::json& weights() const;

    // For WanDit::load and WanVae::load; rename maps our name to the case's.
    using Source = std::function<Result<at::Tensor>(const std::string&, const std::vector<std::int64_t>&)>;
    Source source(std::function<std::string(const std::string&)> rename = {}) const;

    double tolerance() const;

    // Where every output has its own.
    double tolerance_of(const std::string& output) const;

    void expect(const std::string& name, const at::Tensor& got) const { expect(name, got, tolerance()); }
    void expect(const std::string& name, const at::Tensor& got, double tolerance) const;
    double worst() const { return worst_; }
    int compared() const { return compared_; }

private:
    std::string folder_;
    Safetensors outputs_;
    nlohmann::json json_;
    mutable double worst_ = 0;
    mutable int compared_ = 0;
};

template <typename T>
T unwrap(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
}

} // namespace wander::testing
