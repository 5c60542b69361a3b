// Feeds arbitrary bytes to the safetensors header parser. What it accepts must lie inside the file.

#include "generator/weights/safetensors.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto header = wander::parse_safetensors_header({data, size}, size);
    if (!header) return header.error().message.empty() ? (std::abort(), 0) : 0;
    for (const auto& [name, entry] : header->tensors) {
        if (entry.begin > entry.end || entry.end > size - header->data_offset) std::abort();
    }
    return 0;
}
