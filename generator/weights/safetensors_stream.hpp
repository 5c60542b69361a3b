#pragma once
// Writes a safetensors file piece by piece, so that tensors need not be in memory together.
//
// Bytes go to PATH.part, which is renamed by finish(); without finish() it is removed. Room for the whole file is taken
// first where the file system can do that. Errors: io, or unavailable where another program is writing the same file.
// One thread.

#include "generator/plain/result.hpp"
#include "generator/weights/dtype.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wander {

struct StreamedTensor {
    std::string name;
    Dtype dtype = Dtype::f32;
    std::vector<std::int64_t> shape;
};

class SafetensorsStream {
public:
    // The bytes have to come in the order of `tensors`. Wide types first keeps everything aligned.
    static Result<SafetensorsStream> create(const std::filesystem::path& path,
                                            const std::vector<StreamedTensor>& tensors,
                                            const std::map<std::string, std::string>& metadata);

    Result<void> write(const void* bytes, std::size_t size);
    // wrong_use where the bytes are not as many as announced. Waits for the disk, unless `on_disk` is false: then a
    // power cut may leave a damaged file.
    Result<void> finish(bool on_disk = true);

private:
    struct Part;
    std::shared_ptr<Part> part_;
};

} // namespace wander
