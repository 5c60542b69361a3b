#include "quant/formats/int8_format.hpp"

#include "quant/formats/scalar_format.hpp"

namespace wander::quant {

std::unique_ptr<PageFormat> make_int8_format() {
    return make_scalar_format("int8", "INT8", {.code = scalar::ScalarCode::eight_bit, .id = 2});
}

} // namespace wander::quant
