#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace wander {
namespace {

at::ScalarType scalar_type(Dtype dtype) {
    switch (dtype) {
        case Dtype::f64: return at::kDouble;
        case Dtype::f32: return at::kFloat;
        case Dtype::f16: return at::kHalf;
        case Dtype::bf16: return at::kBFloat16;
        case Dtype::f8_e4m3: return at::kFloat8_e4m3fn;
        case Dtype::f8_e5m2: return at::kFloat8_e5m2;
        case Dtype::i64: return at::kLong;
        case Dtype::i32: return at::kInt;
        case Dtype::i16: return at::kShort;
        case Dtype::i8: return at::kChar;
        case Dtype::u8: return at::kByte;
        case Dtype::boolean: return at::kBool;
    }
    return at::kByte;
}

Error io_error(const std::filesystem::path& path, const char* what) {
    return {ErrorCode::io, fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno))};
}

} // namespace

struct Safetensors::Map {
    std::filesystem::path path;
    SafetensorsHeader header;
    std::uint8_t* bytes = nullptr;
    std::size_t size = 0;

    Map() = default;
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;
    ~Map() {
        if (bytes) ::munmap(bytes, size);
    }
};

Result<Safetensors> Safetensors::open(const std::filesystem::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        const bool missing = errno == ENOENT;
        Error error = io_error(path, "cannot be opened");
        if (missing) error.code = ErrorCode::bad_input;
        return error;
    }
    struct stat status{};
    if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 8) {
        ::close(file);
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: not a usable safetensors file: too short, or no file", path.string())};
    }
    auto map = std::make_shared<Map>();
    map->path = path;
    map->size = static_cast<std::size_t>(status.st_size);
    // Private and writable: at::Tensor has no read-only form, and a stray write must reach neither the file nor a
    // fault.
    void* bytes = ::mmap(nullptr, map->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
    const int mapping_error = errno;
    ::close(file);
    if (bytes == MAP_FAILED) {
        errno = mapping_error;
        return io_error(path, "cannot be mapped into memory");
    }
    map->bytes = static_cast<std::uint8_t*>(bytes);
    auto header = parse_safetensors_header({map->bytes, map->size}, map->size);
    if (!header) return Error{header.error().code, path.string() + ": " + header.error().message};
    map->header = std::move(*header);
    Safetensors opened;
    opened.map_ = std::move(map);
    return opened;
}

const SafetensorsHeader& Safetensors::header() const { return map_->header; }

bool Safetensors::contains(const std::string& name) const { return map_->header.tensors.contains(name); }

Result<at::Tensor> Safetensors::tensor(const std::string& name) const {
    const auto found = map_->header.tensors.find(name);
    if (found == map_->header.tensors.end()) {
        return Error{ErrorCode::bad_input, fmt::format("{}: tensor '{}' is missing", map_->path.string(), name)};
    }
    const TensorEntry& entry = found->second;
    const auto type = scalar_type(entry.dtype);
    std::uint8_t* data = map_->bytes + map_->header.data_offset + entry.begin;
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
                     fmt::format("{}: tensor '{}' has shape [{}], expected [{}]", map_->path.string(), name,
                                 fmt::join(found->sizes().vec(), ", "), fmt::join(shape, ", "))};
    }
    return found;
}

} // namespace wander
