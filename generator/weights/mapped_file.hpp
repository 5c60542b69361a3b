#pragma once
// A whole file in the address space. Read only by convention; a stray write reaches neither the file nor a fault.
//
// bad_input where the path is no file or absent, io where the system refuses. Any thread.

#include "generator/plain/result.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace wander {

class MappedFile {
public:
    static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::span<const std::uint8_t> bytes() const { return {bytes_, size_}; }
    // For at::from_blob, which knows no read-only memory.
    std::uint8_t* data() const { return bytes_; }

    // These bytes are not needed soon: their pages leave memory and come back from the file when they are read again.
    void release(std::size_t begin, std::size_t end) const;

private:
    MappedFile() = default;

    std::filesystem::path path_;
    std::uint8_t* bytes_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace wander
