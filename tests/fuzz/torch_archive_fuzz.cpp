// Feeds arbitrary bytes to the reader of torch files: once as the whole file, once as the pickle of a sound archive, so
// that its tensors are reached without guessing a zip. What it accepts must lie inside the file.

#include "generator/weights/torch_index.hpp"
#include "tests/support/torch_archive_writer.hpp"

#include <cstdlib>

namespace {

void check(std::span<const std::uint8_t> file) {
    const auto index = wander::parse_torch_archive(file);
    if (!index) {
        if (index.error().message.empty()) std::abort();
        return;
    }
    for (const auto& [name, entry] : index->tensors) {
        if (entry.begin > entry.end || entry.end > file.size()) std::abort();
        if (entry.shape.size() != entry.stride.size()) std::abort();
        // The strides stay inside begin..end; sizes are checked, so this cannot overflow.
        std::uint64_t last = 0;
        bool empty = false;
        for (std::size_t i = 0; i < entry.shape.size(); ++i) {
            if (entry.shape[i] < 0 || entry.stride[i] < 0) std::abort();
            empty |= entry.shape[i] == 0;
        }
        for (std::size_t i = 0; !empty && i < entry.shape.size(); ++i)
            last += static_cast<std::uint64_t>(entry.shape[i] - 1) * static_cast<std::uint64_t>(entry.stride[i]);
        if (!empty && (last + 1) * wander::dtype_bytes(entry.dtype) > entry.end - entry.begin) std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check({data, size});
    std::string file;
    wander::test::ZipWriter zip(
        [&file](const void* bytes, std::size_t count) { file.append(static_cast<const char*>(bytes), count); });
    zip.entry("a/data.pkl", std::string(reinterpret_cast<const char*>(data), size));
    zip.entry("a/data/0", std::string(64, 'x'));
    zip.entry("a/data/1", std::string(7, 'y'));
    zip.finish();
    check({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()});
    return 0;
}
