#pragma once
// Cases of the published codec: inputs made by formula, stored outputs as bytes. No torch.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace wander::testing {

using Bytes = std::vector<std::uint8_t>;
using Bf16s = std::vector<std::uint16_t>;

std::uint64_t fnv1a64(const void* data, std::size_t bytes);

class QvgCase {
public:
    // `name` is a folder of WANDER_GOLDENS, or of tests/data/goldens. Throws std::runtime_error where something is
    // missing.
    explicit QvgCase(const std::string& name);

    const nlohmann::json& json() const { return json_; }
    bool has(const std::string& tensor) const { return outputs_.count(tensor) != 0; }
    const Bytes& bytes(const std::string& tensor) const; // as stored
    Bf16s bf16(const std::string& tensor) const;

    // Inputs of one part, by the kind that its description names; indices, ids, codes and scales as integers.
    Bf16s bf16_input(const nlohmann::json& part, const std::string& tensor) const;
    std::vector<std::uint32_t> integer_input(const nlohmann::json& part, const std::string& tensor) const;
    Bytes byte_input(const nlohmann::json& part, const std::string& tensor) const;

private:
    std::vector<std::uint32_t> draws(const std::string& tensor, std::size_t count) const; // 24 bits each

    nlohmann::json json_;
    std::map<std::string, Bytes> outputs_;
};

} // namespace wander::testing
