#include "generator/weights/safetensors.hpp"
#include "generator/weights/safetensors_stream.hpp"
#include "generator/weights/scalar_type.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace wander {

Result<void> write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                               const std::map<std::string, std::string>& metadata, bool on_disk) {
    std::vector<StreamedTensor> entries;
    for (const auto& [name, tensor] : tensors) {
        const auto dtype = stored_dtype(tensor.scalar_type());
        if (!dtype || name == "__metadata__") {
            return Error{ErrorCode::wrong_use, fmt::format("{}: tensor '{}' cannot be stored", path.string(), name)};
        }
        entries.push_back({name, *dtype, tensor.sizes().vec()});
    }
    auto stream = SafetensorsStream::create(path, entries, metadata);
    if (!stream) return stream.error();
    for (const auto& [name, tensor] : tensors) {
        const at::Tensor dense = tensor.detach().cpu().contiguous();
        if (auto written = stream->write(dense.const_data_ptr(), dense.nbytes()); !written) return written;
    }
    return stream->finish(on_disk);
}

} // namespace wander
