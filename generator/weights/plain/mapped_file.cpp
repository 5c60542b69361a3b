#include "generator/weights/mapped_file.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace wander {
namespace {

Error io_error(const std::filesystem::path& path, const char* what) {
    return {ErrorCode::io, fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno))};
}

} // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        const bool missing = errno == ENOENT;
        Error error = io_error(path, "cannot be opened");
        if (missing) error.code = ErrorCode::bad_input;
        return error;
    }
    struct stat status{};
    if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 1) {
        ::close(file);
        return Error{ErrorCode::bad_input, fmt::format("{}: is empty, or no file", path.string())};
    }
    std::shared_ptr<MappedFile> map(new MappedFile());
    map->path_ = path;
    map->size_ = static_cast<std::size_t>(status.st_size);
    // Private and writable: at::Tensor has no read-only form.
    void* bytes = ::mmap(nullptr, map->size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
    const int mapping_error = errno;
    ::close(file);
    if (bytes == MAP_FAILED) {
        errno = mapping_error;
        return io_error(path, "cannot be mapped into memory");
    }
    map->bytes_ = static_cast<std::uint8_t*>(bytes);
    return std::shared_ptr<const MappedFile>(std::move(map));
}

MappedFile::~MappedFile() {
    if (bytes_) ::munmap(bytes_, size_);
}

void MappedFile::release(std::size_t begin, std::size_t end) const {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    begin = (begin + page - 1) / page * page;
    end = end / page * page;
    if (end > size_ || begin >= end) return;
    ::madvise(bytes_ + begin, end - begin, MADV_DONTNEED);
}

} // namespace wander
