#pragma once
// INT4, round to nearest. "int4": asymmetric, groups of 64 channels of a token, 4.25 bits. "int4-g16": the form of a
// published study (arXiv 2603.27469), symmetric, groups of 16 tokens of a channel with a float16 scale, 5 bits.

#include "quant/format.hpp"

#include <memory>

namespace wander::quant {

std::unique_ptr<PageFormat> make_int4_format();
std::unique_ptr<PageFormat> make_int4_g16_format();

} // namespace wander::quant
