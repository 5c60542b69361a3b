#include "generator/weights/tensor_file.hpp"

#include "generator/json_fields.hpp"
#include "generator/plain/hash.hpp"
#include "generator/weights/safetensors.hpp"
#include "generator/weights/torch_archive.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <span>

namespace wander {
namespace {

constexpr std::size_t kMaxShards = 1000;
constexpr const char* kIndexEnd = ".safetensors.index.json";

std::span<const std::uint8_t> head_of(const Safetensors& file) {
    return file.file().bytes().first(file.header().data_offset);
}

} // namespace

struct TensorFile::State {
    std::filesystem::path path;
    Format format = Format::safetensors;
    std::vector<std::filesystem::path> files;
    std::map<std::string, TensorInfo> tensors;
    std::map<std::string, std::string> metadata;
    std::uint64_t hash = kFnvStart;
    std::vector<Safetensors> shards;          // one for a single file
    std::map<std::string, std::size_t> shard; // which one holds a tensor
    std::optional<TorchArchive> archive;

    Result<void> add(const std::filesystem::path& file_path) {
        auto file = Safetensors::open(file_path);
        if (!file) return file.error();
        for (const auto& [name, entry] : file->header().tensors) {
            if (!shard.emplace(name, shards.size()).second)
                return Error{ErrorCode::bad_input,
                             fmt::format("{}: tensor '{}' is in another shard as well", file_path.string(), name)};
            tensors[name] = {entry.dtype, entry.shape};
        }
        hash = fnv1a64(head_of(*file), hash);
        shards.push_back(std::move(*file));
        return {};
    }

    Result<void> open_shards() {
        auto index = read_json_file(path, std::size_t{64} << 20);
        if (!index) return index.error();
        const auto complain = [&](const std::string& what) {
            return Error{ErrorCode::bad_input, fmt::format("{}: {}", path.string(), what)};
        };
        const auto map = index->find("weight_map");
        if (!index->is_object() || map == index->end() || !map->is_object() || map->empty())
            return complain("has no \"weight_map\"");
        std::map<std::string, std::vector<std::string>> names; // of each shard
        for (const auto& [name, file] : map->items()) {
            const std::string text = file.is_string() ? file.get<std::string>() : "";
            // A shard lies beside its index; the file must not lead elsewhere.
            if (text.empty() || text.find('/') != std::string::npos || text[0] == '.')
                return complain(
                    fmt::format("tensor '{}' is in {}, which is no name of a file beside it", name, file.dump()));
            names[text].push_back(name);
        }
        if (names.size() > kMaxShards) return complain("names too many files");
        for (const auto& [file, wanted] : names) {
            const auto shard_path = path.parent_path() / file;
            if (!std::filesystem::exists(shard_path))
                return complain(fmt::format("{} is missing, which holds {} of its tensors", file, wanted.size()));
            files.push_back(shard_path);
            if (auto added = add(shard_path); !added) return added.error();
            for (const std::string& name : wanted) {
                if (!shards.back().contains(name))
                    return complain(fmt::format("tensor '{}' is not in {}, where it should be", name, file));
            }
            if (shards.back().header().tensors.size() != wanted.size())
                return complain(fmt::format("{} holds tensors that it does not list", file));
        }
        return {};
    }
};

std::uint64_t TensorInfo::elements() const {
    std::uint64_t count = 1;
    for (const std::int64_t size : shape) count *= static_cast<std::uint64_t>(size);
    return count;
}

bool TensorFile::has_known_name(const std::filesystem::path& path) {
    const std::string name = path.filename().string();
    return name.ends_with(kIndexEnd) || name.ends_with(".safetensors") || name.ends_with(".pt") ||
           name.ends_with(".pth");
}

Result<TensorFile> TensorFile::open(const std::filesystem::path& path) {
    if (!has_known_name(path))
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: is none of .safetensors, .safetensors.index.json, .pt, .pth", path.string())};
    auto state = std::make_shared<State>();
    state->path = path;
    state->files.push_back(path);
    if (path.filename().string().ends_with(kIndexEnd)) {
        state->format = Format::sharded;
        if (auto opened = state->open_shards(); !opened) return opened.error();
    } else if (path.extension() == ".safetensors") {
        if (auto added = state->add(path); !added) return added.error();
        state->metadata = state->shards[0].header().metadata;
    } else {
        state->format = Format::torch;
        auto archive = TorchArchive::open(path);
        if (!archive) return archive.error();
        const TorchIndex& index = archive->index();
        for (const auto& [name, entry] : index.tensors) state->tensors[name] = {entry.dtype, entry.shape};
        const auto pickle = archive->file().bytes().subspan(index.pickle_begin, index.pickle_end - index.pickle_begin);
        state->hash = fnv1a64(pickle, state->hash);
        state->archive = std::move(*archive);
    }
    TensorFile file;
    file.state_ = std::move(state);
    return file;
}

const std::filesystem::path& TensorFile::path() const { return state_->path; }
TensorFile::Format TensorFile::format() const { return state_->format; }
const std::vector<std::filesystem::path>& TensorFile::files() const { return state_->files; }
const std::map<std::string, TensorInfo>& TensorFile::tensors() const { return state_->tensors; }

const std::map<std::string, std::string>& TensorFile::unread() const {
    static const std::map<std::string, std::string> kNone;
    return state_->archive ? state_->archive->index().unread : kNone;
}

const std::map<std::string, std::string>& TensorFile::metadata() const { return state_->metadata; }
std::uint64_t TensorFile::head_hash() const { return state_->hash; }

const char* TensorFile::format_name() const {
    switch (state_->format) {
        case Format::safetensors: return "safetensors";
        case Format::sharded: return "sharded safetensors";
        case Format::torch: return "torch file";
    }
    return "";
}

Result<at::Tensor> TensorFile::tensor(const std::string& name) const {
    if (state_->archive) return state_->archive->tensor(name);
    const auto found = state_->shard.find(name);
    if (found == state_->shard.end())
        return Error{ErrorCode::bad_input, fmt::format("{}: tensor '{}' is missing", state_->path.string(), name)};
    return state_->shards[found->second].tensor(name);
}

Result<at::Tensor> TensorFile::tensor(const std::string& name, const std::vector<std::int64_t>& shape) const {
    auto found = tensor(name);
    if (found && found->sizes() != at::IntArrayRef(shape)) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: tensor '{}' has shape [{}], expected [{}]", state_->path.string(), name,
                                 fmt::join(found->sizes().vec(), ", "), fmt::join(shape, ", "))};
    }
    return found;
}

void TensorFile::release(const std::string& name) const {
    if (state_->archive) {
        const auto found = state_->archive->index().tensors.find(name);
        if (found != state_->archive->index().tensors.end())
            state_->archive->file().release(found->second.begin, found->second.end);
        return;
    }
    const auto found = state_->shard.find(name);
    if (found == state_->shard.end()) return;
    const Safetensors& file = state_->shards[found->second];
    const TensorEntry& entry = file.header().tensors.at(name);
    file.file().release(file.header().data_offset + entry.begin, file.header().data_offset + entry.end);
}

} // namespace wander
