#include "generator/weights/safetensors_stream.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace wander {

struct SafetensorsStream::Part {
    std::filesystem::path path;
    std::filesystem::path part_path;
    int file = -1;
    std::uint64_t expected = 0; // bytes of the tensors
    std::uint64_t written = 0;
    bool finished = false;

    Part() = default;
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
    ~Part() {
        if (file < 0) return;
        if (!finished) ::unlink(part_path.c_str());
        ::close(file);
    }

    Error error(const char* what) const {
        return {ErrorCode::io, fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno))};
    }

    // The lock goes with the file, so that two programs never write one part.
    Result<void> open() {
        const int opened = ::open(part_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (opened < 0) return error("cannot be written");
        struct stat mine{};
        struct stat named{};
        // It may have been renamed by its writer between the opening and the lock.
        if (::flock(opened, LOCK_EX | LOCK_NB) != 0 || ::fstat(opened, &mine) != 0 ||
            ::stat(part_path.c_str(), &named) != 0 || mine.st_ino != named.st_ino) {
            ::close(opened);
            return Error{ErrorCode::unavailable,
                         fmt::format("{}: another program is writing it just now", path.string())};
        }
        file = opened;
        if (::ftruncate(file, 0) != 0) return error("cannot be written");
        return {};
    }

    bool put(const void* data, std::size_t size) const {
        const char* bytes = static_cast<const char*>(data);
        while (size > 0) {
            const ssize_t done = ::write(file, bytes, size);
            if (done < 0 && errno == EINTR) continue;
            if (done <= 0) return false;
            bytes += done;
            size -= static_cast<std::size_t>(done);
        }
        return true;
    }
};

Result<SafetensorsStream> SafetensorsStream::create(const std::filesystem::path& path,
                                                    const std::vector<StreamedTensor>& tensors,
                                                    const std::map<std::string, std::string>& metadata) {
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    if (!metadata.empty()) header["__metadata__"] = metadata;
    std::uint64_t offset = 0;
    for (const StreamedTensor& tensor : tensors) {
        std::uint64_t end = dtype_bytes(tensor.dtype);
        for (const std::int64_t size : tensor.shape) end *= static_cast<std::uint64_t>(size);
        end += offset;
        header[tensor.name] = {
            {"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
        offset = end;
    }
    std::string text = header.dump();
    // Spaces up to a multiple of 8 keep the data aligned when the file is mapped.
    text.append((8 - text.size() % 8) % 8, ' ');

    auto part = std::make_shared<Part>();
    part->path = path;
    part->part_path = path;
    part->part_path += ".part";
    part->expected = offset;
    if (auto opened = part->open(); !opened) return opened.error();
    const std::uint64_t length = text.size();
    const auto whole = static_cast<off_t>(8 + length + offset);
    if (::fallocate(part->file, 0, 0, whole) != 0 && errno == ENOSPC) return part->error("cannot be written");
    if (!part->put(&length, sizeof length) || !part->put(text.data(), text.size()))
        return part->error("cannot be written");
    SafetensorsStream stream;
    stream.part_ = std::move(part);
    return stream;
}

Result<void> SafetensorsStream::write(const void* bytes, std::size_t size) {
    if (!part_->put(bytes, size)) return part_->error("cannot be written");
    part_->written += size;
    return {};
}

Result<void> SafetensorsStream::finish(bool on_disk) {
    if (part_->written != part_->expected)
        return Error{ErrorCode::wrong_use, fmt::format("{}: {} bytes were written of {} announced",
                                                       part_->path.string(), part_->written, part_->expected)};
    if ((on_disk && ::fsync(part_->file) != 0) || ::rename(part_->part_path.c_str(), part_->path.c_str()) != 0)
        return part_->error("cannot be written");
    part_->finished = true;
    return {};
}

} // namespace wander
