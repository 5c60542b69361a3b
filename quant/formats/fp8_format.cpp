#include "quant/formats/fp8_format.hpp"

#include "quant/formats/scalar_format.hpp"

namespace wander::quant {

// The largest value of a head becomes 448: raw values reach several hundred, where e4m3 would saturate.
std::unique_ptr<PageFormat> make_fp8_format() {
    return make_scalar_format("fp8", "FP8 E4M3", {.code = scalar::ScalarCode::e4m3, .id = 1});
}

} // namespace wander::quant
