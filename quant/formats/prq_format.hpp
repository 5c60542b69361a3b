#pragma once
// The two-stage scalar format that a published study (arXiv 2603.27469) calls PRQ INT4: two 4-bit codes a value, groups
// of 16 tokens of a channel with a float16 scale each, 10 bits. For comparison; INT8 is smaller.

#include "quant/format.hpp"

#include <memory>

namespace wander::quant {

std::unique_ptr<PageFormat> make_prq4_format();

} // namespace wander::quant
