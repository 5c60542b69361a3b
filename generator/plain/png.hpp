#pragma once
// RGB8 pictures as PNG bytes. No torch. Any thread.

#include "generator/plain/result.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace wander {

// rgb: height rows of width * 3 bytes. Facts become iTXt chunks (PNG 1.2, 4.2.3.3): keys 1..79 bytes of ASCII, values
// UTF-8. out_of_memory is the only error.
Result<std::string> png_bytes(std::span<const std::uint8_t> rgb, int width, int height,
                              const std::map<std::string, std::string>& facts = {});

} // namespace wander
