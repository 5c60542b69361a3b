#pragma once
// Text embeddings on disk: one safetensors file [L, dim] bf16 for each prompt, named after what it depends on.
//
// Files are written under another name and renamed, so a reader never sees half of one; several programs may share the
// folder. What cannot be read, has another shape or another checksum than it says is as good as absent, and removed.
// When the folder grows over its size the entries that were not used for longest go. Any thread.

#include "generator/plain/result.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace wander {

class PromptCache {
public:
    // An empty folder: nothing is found, nothing is stored.
    PromptCache(std::filesystem::path folder, std::int64_t max_bytes);

    // SHA-256 over the cache's version, the weights' key, how it is computed, and the ids.
    static std::string key(const std::string& weights_key, const std::string& computed_by, const std::vector<int>& ids);

    // How something is computed, for a key: another device or type rounds otherwise, and a walk must not depend on
    // which one came first.
    static std::string computed_by(at::Device device, at::ScalarType compute);

    // [tokens, dim] bf16 on the CPU.
    std::optional<at::Tensor> find(const std::string& key, std::int64_t tokens, std::int64_t dim) const;
    Result<void> store(const std::string& key, const at::Tensor& embedding) const;

private:
    std::filesystem::path file(const std::string& key) const { return folder_ / (key + ".safetensors"); }
    void evict() const;

    std::filesystem::path folder_;
    std::int64_t max_bytes_;
};

} // namespace wander
