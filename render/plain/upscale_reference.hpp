#pragma once
// The picture scaling of the shaders, written once more as plain loops: the twin that the tests compare with.
//
// `limit` as in UpscaleLimit of the upscaler: the filtered modes work at most at limit times the source size and the
// rest is bilinear; 0 = no limit.

#include "render/plain/draw_request.hpp"
#include "render/plain/pixels.hpp"

namespace wander::render {

Pixels upscale_reference(PixelView source, PixelSize target, UpscaleMode mode, int limit = 0);

// Peak signal-to-noise ratio of RGB in dB (alpha ignored), 99 for equal pictures; sizes must agree.
double psnr_db(PixelView a, PixelView b);

} // namespace wander::render
