#include "generator/weights/safetensors.hpp"

#include "generator/weights/scalar_type.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

namespace wander {

struct Safetensors::Map {
    std::shared_ptr<const MappedFile> file;
    SafetensorsHeader header;
};

Result<Safetensors> Safetensors::open(const std::filesystem::path& path) {
    auto file = MappedFile::open(path);
    if (!file) return file.error();
    const auto bytes = (*file)->bytes();
    auto header = parse_safetensors_header(bytes, bytes.size());
    if (!header) return Error{header.error().code, path.string() + ": " + header.error().message};
    auto map = std::make_shared<Map>();
    map->file = std::move(*file);
    map->header = std::move(*header);
    Safetensors opened;
    opened.map_ = std::move(map);
    return opened;
}

const SafetensorsHeader& Safetensors::header() const { return map_->header; }

const MappedFile& Safetensors::file() const { return *map_->file; }

bool Safetensors::contains(const std::string& name) const { return map_->header.tensors.contains(name); }

Result<at::Tensor> Safetensors::tensor(const std::string& name) const {
    const auto found = map_->header.tensors.find(name);
    if (found == map_->header.tensors.end()) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: tensor '{}' is missing", map_->file->path().string(), name)};
    }
    const TensorEntry& entry = found->second;
    const auto type = scalar_type(entry.dtype);
    std::uint8_t* data = map_->file->data() + map_->header.data_offset + entry.begin;
    // A header whose length is no multiple of 8 leaves the data unaligned; then they are copied once.
    if (reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(type) != 0) {
        at::Tensor copy = at::empty(entry.shape, type);
        if (entry.end > entry.begin) std::memcpy(copy.data_ptr(), data, entry.end - entry.begin); // empty: no address
        return copy;
    }
    return at::from_blob(data, entry.shape, [map = map_](void*) {}, at::TensorOptions().dtype(type));
}

Result<at::Tensor> Safetensors::tensor(const std::string& name, const std::vector<std::int64_t>& shape) const {
    auto found = tensor(name);
    if (found && found->sizes() != at::IntArrayRef(shape)) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: tensor '{}' has shape [{}], expected [{}]", map_->file->path().string(), name,
                                 fmt::join(found->sizes().vec(), ", "), fmt::join(shape, ", "))};
    }
    return found;
}

} // namespace wander
