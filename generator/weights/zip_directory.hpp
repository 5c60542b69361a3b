#pragma once
// Where the entries of a zip archive lie, ZIP64 included. Nothing is decompressed. Pure, any thread.
//
// Every offset and length is checked against the file; a truncated or overlapping directory is bad_input. The check
// sums are not computed: they would read gigabytes.

#include "generator/plain/result.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace wander {

struct ZipEntry {
    std::uint64_t begin = 0; // byte range of the payload in the file
    std::uint64_t end = 0;
    bool stored = true; // as it is; false: compressed or encrypted, so of no use when mapped
};

Result<std::map<std::string, ZipEntry>> read_zip_directory(std::span<const std::uint8_t> file);

} // namespace wander
