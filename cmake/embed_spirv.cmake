# Turns glslc's list of numbers into a C++ header: cmake -D input=... -D output=... -D symbol=... -P embed_spirv.cmake
file(READ "${input}" numbers)
file(WRITE "${output}" "#pragma once\n\n#include <cstdint>\n\nnamespace wander::shaders {\ninline constexpr std::uint32_t ${symbol}[] = {\n${numbers}};\n}  // namespace wander::shaders\n")
