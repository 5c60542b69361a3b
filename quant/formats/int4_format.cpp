#include "quant/formats/int4_format.hpp"

#include "quant/formats/scalar_format.hpp"

namespace wander::quant {

std::unique_ptr<PageFormat> make_int4_format() {
    return make_scalar_format("int4", "INT4",
                              {.code = scalar::ScalarCode::four_bit,
                               .axis = scalar::GroupAxis::channel,
                               .parameters = scalar::GroupParameters::e4m3_pair,
                               .group = 64,
                               .id = 3});
}

std::unique_ptr<PageFormat> make_int4_g16_format() {
    return make_scalar_format("int4-g16", "INT4 G16 (study)",
                              {.code = scalar::ScalarCode::four_bit,
                               .axis = scalar::GroupAxis::token,
                               .parameters = scalar::GroupParameters::half_scale,
                               .group = 16,
                               .id = 4});
}

} // namespace wander::quant
