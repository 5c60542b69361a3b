#include "generator/train/portable_checkpoint.hpp"

#include "generator/json_fields.hpp"
#include "generator/train/replace_folder.hpp"
#include "generator/weights/safetensors.hpp"
#include "generator/weights/tensor_file.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <fstream>
#include <vector>

namespace wander::train {

namespace {

namespace fs = std::filesystem;

constexpr const char* kDit = "dit/";
constexpr const char* kVae = "vae/";
constexpr std::int64_t kHeaderRoom = 64 << 10; // of a shard's names and shapes

struct Shard {
    std::map<std::string, at::Tensor> tensors;
    std::int64_t bytes = kHeaderRoom;
};

Result<void> write_text(const fs::path& file, const std::string& text) {
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << text;
    out.close();
    if (!out) return Error{ErrorCode::io, fmt::format("{}: cannot be written", file.string())};
    return {};
}

} // namespace

bool PortableCheckpoint::looks_like_one(const fs::path& folder) {
    std::error_code failed;
    return fs::exists(folder / kPortableIndex, failed);
}

Result<void> PortableCheckpoint::write(const fs::path& folder) const {
    std::vector<Shard> shards(1);
    std::int64_t total = 0;
    const auto add = [&](const char* prefix, const std::map<std::string, at::Tensor>& tensors) {
        for (const auto& [name, tensor] : tensors) {
            const at::Tensor half = tensor.detach().to(at::kCPU, at::kHalf).contiguous();
            const auto bytes = static_cast<std::int64_t>(half.nbytes());
            if (shards.back().bytes + bytes > kShardBytes && !shards.back().tensors.empty()) shards.emplace_back();
            shards.back().tensors.emplace(prefix + name, half);
            shards.back().bytes += bytes;
            total += bytes;
        }
    };
    add(kDit, dit);
    add(kVae, vae);
    return replace_folder(folder, [&](const fs::path& part) -> Result<void> {
        nlohmann::json where = nlohmann::json::object();
        for (std::size_t i = 0; i < shards.size(); ++i) {
            const std::string name = fmt::format("weights-{:05}-of-{:05}.safetensors", i + 1, shards.size());
            for (const auto& [tensor, values] : shards[i].tensors) where[tensor] = name;
            if (auto written = write_safetensors(part / name, shards[i].tensors); !written) return written;
        }
        const nlohmann::json index = {{"metadata", {{"total_size", total}}}, {"weight_map", where}};
        if (auto written = write_text(part / kPortableIndex, index.dump(1) + "\n"); !written) return written;
        if (auto written = write_text(part / "world.json", world.dump(1) + "\n"); !written) return written;
        return write_text(part / "training.json", facts.dump(1) + "\n");
    });
}

Result<PortableCheckpoint> PortableCheckpoint::read(const fs::path& folder) {
    PortableCheckpoint checkpoint;
    auto world = read_json_file(folder / "world.json");
    if (!world) return world.error();
    checkpoint.world = std::move(*world);
    auto facts = read_json_file(folder / "training.json");
    if (!facts) return facts.error();
    checkpoint.facts = std::move(*facts);
    auto file = TensorFile::open(folder / kPortableIndex);
    if (!file) return file.error();
    for (const auto& [name, info] : file->tensors()) {
        auto tensor = file->tensor(name);
        if (!tensor) return tensor.error();
        if (name.starts_with(kDit)) {
            checkpoint.dit.emplace(name.substr(4), *tensor);
        } else if (name.starts_with(kVae)) {
            checkpoint.vae.emplace(name.substr(4), *tensor);
        }
    }
    if (checkpoint.dit.empty() || checkpoint.vae.empty())
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: holds no weights of a transformer and an autoencoder", folder.string())};
    return checkpoint;
}

} // namespace wander::train
