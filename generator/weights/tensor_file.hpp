#pragma once
// One front for every file that tensors come in: .safetensors, .safetensors.index.json with its shards, .pt and .pth.
//
// Opening maps the files and reads their heads only. Tensors are views into the maps (CPU, read only by convention) and
// keep them alive. Names are those of the file; nested dicts of a torch file are joined with '/'. Errors are bad_input
// or io and name file and tensor. A TensorFile is a cheap handle. Thread safe after opening.

#include "generator/plain/result.hpp"
#include "generator/weights/dtype.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace at {
class Tensor;
}

namespace wander {

struct TensorInfo {
    Dtype dtype = Dtype::f32;
    std::vector<std::int64_t> shape;

    std::uint64_t elements() const;
    std::uint64_t bytes() const { return elements() * dtype_bytes(dtype); }
};

class TensorFile {
public:
    enum class Format { safetensors, sharded, torch };

    // By the name's end; the parser then checks the content.
    static Result<TensorFile> open(const std::filesystem::path& path);
    static bool has_known_name(const std::filesystem::path& path);

    const std::filesystem::path& path() const;
    Format format() const;
    const char* format_name() const; // for a person: "torch file"
    // Every file that is read, `path` first.
    const std::vector<std::filesystem::path>& files() const;
    const std::map<std::string, TensorInfo>& tensors() const;
    // Entries of a torch file that are no tensors -> what they are; asking for one is an error that says so.
    const std::map<std::string, std::string>& unread() const;
    // __metadata__ of a single safetensors file; empty otherwise.
    const std::map<std::string, std::string>& metadata() const;

    // Zero-copy view. bad_input if the name is absent.
    Result<at::Tensor> tensor(const std::string& name) const;
    // As above, but also demands this shape.
    Result<at::Tensor> tensor(const std::string& name, const std::vector<std::int64_t>& shape) const;
    // This tensor's pages are not needed soon and may leave memory; reading it again brings them back from the file.
    void release(const std::string& name) const;

    // 64-bit FNV-1a of the heads (names, types, shapes, places) of all files: changes with any of them, not with
    // values.
    std::uint64_t head_hash() const;

private:
    struct State;
    std::shared_ptr<const State> state_;
};

} // namespace wander
