#pragma once
// KIVI (arXiv 2402.02750) for un-rotated video pages: keys in groups of up to 128 tokens of a channel, values in groups
// of up to 128 channels of a token, both asymmetric. K4V2: keys as in kivi4, values as in kivi2.

#include "quant/format.hpp"

#include <memory>

namespace wander::quant {

std::unique_ptr<PageFormat> make_kivi4_format();
std::unique_ptr<PageFormat> make_kivi2_format();
std::unique_ptr<PageFormat> make_k4v2_format();

} // namespace wander::quant
