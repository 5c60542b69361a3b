#include "generator/train/checkpoint.hpp"

#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace wander::train {

namespace {
constexpr const char* kFactsKey = "wander_training";
} // namespace

Result<void> Checkpoint::write(const std::filesystem::path& file) const {
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [group, named] : groups) {
        for (const auto& [name, tensor] : named) tensors.emplace(fmt::format("{}/{}", group, name), tensor);
    }
    return write_safetensors(file, tensors, {{kFactsKey, facts.dump()}});
}

Result<Checkpoint> Checkpoint::read(const std::filesystem::path& path) {
    auto file = Safetensors::open(path);
    if (!file) return file.error();
    const auto& header = file->header();
    const auto foreign = [&](const char* why) {
        return Error{ErrorCode::bad_input, fmt::format("{}: is no training checkpoint ({})", path.string(), why)};
    };
    const auto facts = header.metadata.find(kFactsKey);
    if (facts == header.metadata.end()) return foreign("its metadata says nothing about a training");
    Checkpoint checkpoint;
    checkpoint.facts = nlohmann::json::parse(facts->second, nullptr, false);
    if (!checkpoint.facts.is_object()) return foreign("its metadata is damaged");
    for (const auto& [name, entry] : header.tensors) {
        const auto slash = name.find('/');
        if (slash == std::string::npos) return foreign("a tensor belongs to no group");
        auto tensor = file->tensor(name);
        if (!tensor) return tensor.error();
        checkpoint.groups[name.substr(0, slash)].emplace(name.substr(slash + 1), *tensor);
    }
    return checkpoint;
}

TensorSource Checkpoint::source(const std::string& group) const {
    return [this, group](const std::string& name, const std::vector<std::int64_t>&) -> Result<at::Tensor> {
        const auto tensors = groups.find(group);
        if (tensors != groups.end()) {
            const auto found = tensors->second.find(name);
            if (found != tensors->second.end()) return found->second;
        }
        return Error{ErrorCode::bad_input, fmt::format("the checkpoint lacks {}/{}", group, name)};
    };
}

std::map<std::string, at::Tensor> Checkpoint::group(const std::string& name) const {
    const auto found = groups.find(name);
    return found == groups.end() ? std::map<std::string, at::Tensor>{} : found->second;
}

} // namespace wander::train
