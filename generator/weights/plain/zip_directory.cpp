#include "generator/weights/zip_directory.hpp"

#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace wander {
namespace {

// Signatures and sizes of the records, PKWARE's APPNOTE 4.3.
constexpr std::uint32_t kLocal = 0x04034b50;
constexpr std::uint32_t kCentral = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50;
constexpr std::uint32_t kLocator64 = 0x07064b50;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kCentralBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kLocator64Bytes = 20;
constexpr std::size_t kMaxComment = 0xffff;
constexpr std::uint32_t kIn64 = 0xffffffff; // the number stands in the ZIP64 extra field
constexpr std::uint16_t kExtra64 = 0x0001;
// A checkpoint has one entry a tensor; the largest model we read has some 900.
constexpr std::uint64_t kMaxEntries = 1 << 18;

Error bad(std::string message) { return {ErrorCode::bad_input, "not a usable zip archive: " + std::move(message)}; }

using Bytes = std::span<const std::uint8_t>;

template <typename T>
T number(Bytes bytes, std::size_t at) {
    T value{};
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

struct Directory {
    std::uint64_t entries = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

std::optional<std::size_t> find_end(Bytes file) {
    if (file.size() < kEndBytes) return std::nullopt;
    const std::size_t last = file.size() - kEndBytes;
    for (std::size_t back = 0; back <= last && back <= kMaxComment; ++back) {
        const std::size_t at = last - back;
        if (number<std::uint32_t>(file, at) == kEnd && number<std::uint16_t>(file, at + 20) == back) return at;
    }
    return std::nullopt;
}

Result<Directory> find_directory(Bytes file) {
    const auto found = find_end(file);
    if (!found) return bad("its directory, which stands at the end, is missing: the file may be cut off");
    const std::size_t end = *found;
    Directory directory{.entries = number<std::uint16_t>(file, end + 10),
                        .begin = number<std::uint32_t>(file, end + 16),
                        .end = number<std::uint32_t>(file, end + 12)};
    std::uint64_t limit = end;
    if (end >= kLocator64Bytes && number<std::uint32_t>(file, end - kLocator64Bytes) == kLocator64) {
        const auto at = number<std::uint64_t>(file, end - kLocator64Bytes + 8);
        if (at > end - kLocator64Bytes || end - kLocator64Bytes - at < kEnd64Bytes ||
            number<std::uint32_t>(file, at) != kEnd64) {
            return bad(fmt::format("its ZIP64 record is not at byte {}, where it should be", at));
        }
        directory = {.entries = number<std::uint64_t>(file, at + 32),
                     .begin = number<std::uint64_t>(file, at + 48),
                     .end = number<std::uint64_t>(file, at + 40)};
        limit = at;
    }
    // `end` held the length until here.
    if (directory.begin > limit || directory.end > limit - directory.begin) {
        return bad(fmt::format("its directory of {} bytes at byte {} does not fit into the file's {}", directory.end,
                               directory.begin, file.size()));
    }
    directory.end += directory.begin;
    if (directory.entries > kMaxEntries || directory.entries > (directory.end - directory.begin) / kCentralBytes) {
        return bad(fmt::format("{} entries do not fit into its directory", directory.entries));
    }
    return directory;
}

struct Numbers {
    std::uint64_t whole = 0; // uncompressed bytes
    std::uint64_t packed = 0;
    std::uint64_t local = 0;
};

// APPNOTE 4.5.3: only those of the three that are all ones in the record stand in the extra field, in this order.
bool read_extra64(Bytes extra, Numbers& numbers) {
    const bool wanted = numbers.whole == kIn64 || numbers.packed == kIn64 || numbers.local == kIn64;
    for (std::size_t at = 0; wanted && at + 4 <= extra.size();) {
        const auto id = number<std::uint16_t>(extra, at);
        const std::size_t size = number<std::uint16_t>(extra, at + 2);
        at += 4;
        if (size > extra.size() - at) return false;
        if (id != kExtra64) {
            at += size;
            continue;
        }
        const std::size_t end = at + size;
        for (std::uint64_t* value : {&numbers.whole, &numbers.packed, &numbers.local}) {
            if (*value != kIn64) continue;
            if (end - at < 8) return false;
            *value = number<std::uint64_t>(extra, at);
            at += 8;
        }
        return true;
    }
    return !wanted;
}

// The payload's range of one entry. `limit`: where the directory begins; payloads lie before it.
Result<ZipEntry> locate(Bytes file, const std::string& name, const Numbers& numbers, bool stored, std::uint64_t limit) {
    if (numbers.local > limit || limit - numbers.local < kLocalBytes ||
        number<std::uint32_t>(file, numbers.local) != kLocal) {
        return bad(fmt::format("entry '{}' is not at byte {}, where it should be", name, numbers.local));
    }
    const std::uint64_t skipped = std::uint64_t{kLocalBytes} + number<std::uint16_t>(file, numbers.local + 26) +
                                  number<std::uint16_t>(file, numbers.local + 28);
    if (limit - numbers.local < skipped || limit - numbers.local - skipped < numbers.packed) {
        return bad(
            fmt::format("entry '{}' of {} bytes does not fit into the file: it may be damaged", name, numbers.packed));
    }
    ZipEntry entry;
    entry.begin = numbers.local + skipped;
    entry.end = entry.begin + numbers.packed;
    entry.stored = stored && numbers.whole == numbers.packed;
    return entry;
}

} // namespace

Result<std::map<std::string, ZipEntry>> read_zip_directory(Bytes file) {
    const auto directory = find_directory(file);
    if (!directory) return directory.error();
    std::map<std::string, ZipEntry> entries;
    std::uint64_t at = directory->begin;
    for (std::uint64_t i = 0; i < directory->entries; ++i) {
        if (directory->end - at < kCentralBytes || number<std::uint32_t>(file, at) != kCentral) {
            return bad(fmt::format("entry {} of its directory is damaged", i));
        }
        const auto flags = number<std::uint16_t>(file, at + 8);
        const auto method = number<std::uint16_t>(file, at + 10);
        Numbers numbers{.whole = number<std::uint32_t>(file, at + 24),
                        .packed = number<std::uint32_t>(file, at + 20),
                        .local = number<std::uint32_t>(file, at + 42)};
        const std::size_t name_bytes = number<std::uint16_t>(file, at + 28);
        const std::size_t extra_bytes = number<std::uint16_t>(file, at + 30);
        const std::size_t comment_bytes = number<std::uint16_t>(file, at + 32);
        at += kCentralBytes;
        if (directory->end - at < name_bytes + extra_bytes + comment_bytes) {
            return bad(fmt::format("entry {} of its directory is damaged", i));
        }
        const std::string name(reinterpret_cast<const char*>(file.data() + at), name_bytes);
        if (!read_extra64(file.subspan(at + name_bytes, extra_bytes), numbers)) {
            return bad(fmt::format("entry '{}' lacks its ZIP64 sizes", name));
        }
        at += name_bytes + extra_bytes + comment_bytes;
        auto entry = locate(file, name, numbers, method == 0 && (flags & 1) == 0, directory->begin);
        if (!entry) return entry.error();
        if (!entries.emplace(name, *entry).second) return bad(fmt::format("two entries are called '{}'", name));
    }
    return entries;
}

} // namespace wander
