#include "generator/plain/atomic_file.hpp"

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace wander {

namespace {

std::filesystem::path part_of(const std::filesystem::path& file) { return file.string() + ".part"; }

Error write_error(const std::filesystem::path& file, ErrorCode code, const std::string& reason) {
    return {code, "cannot write " + file.string() + ": " + reason};
}

bool write_all(int descriptor, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

} // namespace

Result<void> write_file_atomically(const std::filesystem::path& file, std::string_view bytes) {
    const std::filesystem::path part = part_of(file);
    const int descriptor = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor < 0) return write_error(file, ErrorCode::io, std::strerror(errno));
    const bool written = write_all(descriptor, bytes);
    int reason = errno;
    const bool closed = ::close(descriptor) == 0; // network file systems report a full disk here
    if (written && !closed) reason = errno;
    if (!written || !closed || ::rename(part.c_str(), file.c_str()) != 0) {
        if (written && closed) reason = errno;
        ::unlink(part.c_str());
        return write_error(file, ErrorCode::io, std::strerror(reason));
    }
    return {};
}

Result<void> check_writable(const std::filesystem::path& file) {
    std::error_code ignored;
    if (std::filesystem::is_directory(file, ignored))
        return write_error(file, ErrorCode::bad_input, "it is a folder; name a file");
    const std::filesystem::path part = part_of(file);
    const int descriptor = ::open(part.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) {
        const std::string hint = errno == ENOENT ? "; create the folder first" : "; choose a place you may write to";
        return write_error(file, ErrorCode::bad_input, std::strerror(errno) + hint);
    }
    ::close(descriptor);
    ::unlink(part.c_str());
    return {};
}

} // namespace wander
