#pragma once
// Memory-mapped safetensors reader. Checks every length, offset, dtype and shape before use.
//
// Tensors are views into the map (CPU, read only by convention) and keep it alive. Errors are bad_input or io with
// the file's path, the tensor's name and what was found. Thread safe after opening. Format: 8-byte little-endian
// header length, JSON, data; see docs/formats.md.

#include "generator/plain/result.hpp"
#include "generator/weights/dtype.hpp"
#include "generator/weights/mapped_file.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace at {
class Tensor;
}

namespace wander {

struct TensorEntry {
    Dtype dtype = Dtype::f32;
    std::vector<std::int64_t> shape;
    std::size_t begin = 0; // byte offsets relative to the data section
    std::size_t end = 0;
};

struct SafetensorsHeader {
    std::map<std::string, TensorEntry> tensors;
    std::map<std::string, std::string> metadata;
    std::size_t data_offset = 0; // of the data section in the file
};

// The pure part (fuzzed): parses and validates the head of a file of `file_bytes` bytes.
Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::uint8_t> head, std::size_t file_bytes);

class Safetensors {
public:
    static Result<Safetensors> open(const std::filesystem::path& path);

    const SafetensorsHeader& header() const;
    const MappedFile& file() const;
    bool contains(const std::string& name) const;
    // Zero-copy view. bad_input if the name is absent.
    Result<at::Tensor> tensor(const std::string& name) const;
    // As above, but also demands this shape.
    Result<at::Tensor> tensor(const std::string& name, const std::vector<std::int64_t>& shape) const;

private:
    struct Map;
    std::shared_ptr<Map> map_;
};

// Writes tensors (any dtype of the list above) atomically: to a temporary name, then renamed.
Result<void> write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                               const std::map<std::string, std::string>& metadata = {}, bool on_disk = true);

} // namespace wander
