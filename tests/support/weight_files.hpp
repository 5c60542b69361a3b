#pragma once
// Files of weights as they are published, with random values: torch archives and safetensors of any size. Several
// threads write at their own places of one file, so that a disk and not a processor is what it waits for; memory stays
// below some 300 MB.

#include "generator/models/part_sizes.hpp"
#include "generator/plain/result.hpp"
#include "tests/support/random_weights.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace wander::test {

struct WeightTensor {
    std::string native; // decides its values
    std::string name;   // in the file
    Dtype dtype = Dtype::f32;
    std::vector<std::int64_t> shape{};
};

// All of one type, named by `name_of(native)`.
std::vector<WeightTensor> named_tensors(const ShapeTable& shapes, Dtype dtype,
                                        const std::function<std::string(const std::string&)>& name_of = {});

// Everything goes below one folder. After the first failure nothing is written any more, and error() says why.
class WeightFiles {
public:
    WeightFiles(const std::filesystem::path& folder, std::uint64_t seed,
                std::function<void(const std::string& line)> say);

    bool text(const std::string& name, const std::string& text);
    // torch.save({outer: {...}}), or of the plain dict where `outer` is empty. with_others: beside the outer entry are
    // others, as training leaves them.
    bool torch(const std::string& name, const std::string& outer, const std::vector<WeightTensor>& tensors,
               bool with_others = false);
    bool safetensors(const std::string& name, const std::vector<WeightTensor>& tensors);
    // STEM-00001-of-0000N.safetensors and STEM.safetensors.index.json, as large models are published.
    bool shards(const std::string& stem, std::size_t count, const std::vector<WeightTensor>& tensors);

    Result<void> done() const;

private:
    bool begin(const std::string& name);
    bool fail(const std::string& name);

    const std::filesystem::path folder_;
    const std::function<void(const std::string& line)> say_;
    const RandomWeights weights_;
    std::optional<Error> error_;
};

} // namespace wander::test
