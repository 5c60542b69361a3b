#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>

namespace wander {
namespace {

const char* dtype_name(at::ScalarType type) {
    switch (type) {
        case at::kDouble: return "F64";
        case at::kFloat: return "F32";
        case at::kHalf: return "F16";
        case at::kBFloat16: return "BF16";
        case at::kFloat8_e4m3fn: return "F8_E4M3";
        case at::kFloat8_e5m2: return "F8_E5M2";
        case at::kLong: return "I64";
        case at::kInt: return "I32";
        case at::kShort: return "I16";
        case at::kChar: return "I8";
        case at::kByte: return "U8";
        case at::kBool: return "BOOL";
        default: return nullptr;
    }
}

class File {
public:
    explicit File(const std::filesystem::path& path)
        : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {}
    ~File() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    bool write(const void* data, std::size_t size) const {
        const char* bytes = static_cast<const char*>(data);
        while (descriptor_ >= 0 && size > 0) {
            const ssize_t done = ::write(descriptor_, bytes, size);
            if (done < 0 && errno == EINTR) continue;
            if (done <= 0) return false;
            bytes += done;
            size -= static_cast<std::size_t>(done);
        }
        return descriptor_ >= 0;
    }
    bool sync() const { return descriptor_ >= 0 && ::fsync(descriptor_) == 0; }

private:
    int descriptor_;
};

bool write_all(const std::filesystem::path& path, const std::string& header,
               const std::map<std::string, at::Tensor>& tensors) {
    const File file(path);
    const std::uint64_t length = header.size();
    if (!file.write(&length, sizeof length) || !file.write(header.data(), header.size())) return false;
    for (const auto& [name, tensor] : tensors) {
        const at::Tensor dense = tensor.detach().cpu().contiguous();
        if (!file.write(dense.const_data_ptr(), dense.nbytes())) return false;
    }
    return file.sync();
}

} // namespace

Result<void> write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                               const std::map<std::string, std::string>& metadata) {
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    if (!metadata.empty()) header["__metadata__"] = metadata;
    std::size_t offset = 0;
    for (const auto& [name, tensor] : tensors) {
        const char* dtype = dtype_name(tensor.scalar_type());
        if (!dtype || name == "__metadata__") {
            return Error{ErrorCode::wrong_use, fmt::format("{}: tensor '{}' cannot be stored", path.string(), name)};
        }
        const std::size_t end = offset + tensor.nbytes();
        header[name] = {{"dtype", dtype}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
        offset = end;
    }
    std::string text = header.dump();
    // Spaces up to a multiple of 8 keep the data aligned when the file is mapped.
    text.append((8 - text.size() % 8) % 8, ' ');

    std::filesystem::path part = path;
    part += ".part";
    if (!write_all(part, text, tensors) || ::rename(part.c_str(), path.c_str()) != 0) {
        const Error error{ErrorCode::io, fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno))};
        ::unlink(part.c_str());
        return error;
    }
    return {};
}

} // namespace wander
