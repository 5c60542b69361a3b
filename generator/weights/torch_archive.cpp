#include "generator/weights/torch_archive.hpp"

#include "generator/weights/scalar_type.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstring>

namespace wander {

Result<TorchArchive> TorchArchive::open(const std::filesystem::path& path) {
    auto file = MappedFile::open(path);
    if (!file) return file.error();
    auto index = parse_torch_archive((*file)->bytes());
    if (!index) return Error{index.error().code, path.string() + ": " + index.error().message};
    TorchArchive archive;
    archive.file_ = std::move(*file);
    archive.index_ = std::make_shared<const TorchIndex>(std::move(*index));
    return archive;
}

Result<at::Tensor> TorchArchive::tensor(const std::string& name) const {
    const std::string path = file_->path().string();
    const auto found = index_->tensors.find(name);
    if (found == index_->tensors.end()) {
        // What stands in its way may be the entry itself or one above it.
        for (std::string above = name; !above.empty();) {
            const auto unread = index_->unread.find(above);
            if (unread != index_->unread.end())
                return Error{ErrorCode::bad_input,
                             fmt::format("{}: tensor '{}': '{}' is {}", path, name, above, unread->second)};
            const auto slash = above.rfind('/');
            above.resize(slash == std::string::npos ? 0 : slash);
        }
        return Error{ErrorCode::bad_input, fmt::format("{}: tensor '{}' is missing", path, name)};
    }
    const TorchTensorEntry& entry = found->second;
    const auto type = scalar_type(entry.dtype);
    std::uint8_t* data = file_->data() + entry.begin;
    const auto options = at::TensorOptions().dtype(type);
    const bool aligned = reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(type) == 0;
    if (aligned) return at::from_blob(data, entry.shape, entry.stride, [map = file_](void*) {}, options);
    // torch.save aligns to 64 bytes; a file from elsewhere may not, and is copied once.
    at::Tensor bytes = at::empty({static_cast<std::int64_t>(entry.end - entry.begin)}, at::kByte);
    if (entry.end > entry.begin) std::memcpy(bytes.data_ptr(), data, entry.end - entry.begin); // empty: no address
    void* copied = bytes.data_ptr();
    return at::from_blob(copied, entry.shape, entry.stride, [keep = bytes](void*) {}, options);
}

} // namespace wander
