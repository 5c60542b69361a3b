#pragma once
// INT8: symmetric, one float16 scale for each token and head. 8.125 bits a value with heads of 128.

#include "quant/format.hpp"

#include <memory>

namespace wander::quant {

std::unique_ptr<PageFormat> make_int8_format();

} // namespace wander::quant
