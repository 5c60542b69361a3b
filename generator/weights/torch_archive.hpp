#pragma once
// Memory-mapped reader of files of torch.save (.pt, .pth). Tensors are views into the map (CPU, read only by
// convention) with the strides of the file, and keep it alive. Nothing of the file is ever executed.
//
// Names: torch_index.hpp. Errors are bad_input or io with the file's path, the tensor's name and what was found. Thread
// safe after opening.

#include "generator/weights/mapped_file.hpp"
#include "generator/weights/torch_index.hpp"

#include <memory>
#include <string>

namespace at {
class Tensor;
}

namespace wander {

class TorchArchive {
public:
    static Result<TorchArchive> open(const std::filesystem::path& path);

    const TorchIndex& index() const { return *index_; }
    const MappedFile& file() const { return *file_; }
    // Zero-copy view. bad_input if the name is absent, or belongs to an object that is no tensor.
    Result<at::Tensor> tensor(const std::string& name) const;

private:
    std::shared_ptr<const MappedFile> file_;
    std::shared_ptr<const TorchIndex> index_;
};

} // namespace wander
