#include "quant/formats/quarot_format.hpp"

#include "quant/formats/scalar_format.hpp"

namespace wander::quant {

std::unique_ptr<PageFormat> make_quarot4_format() {
    return make_scalar_format("quarot4", "QuaRot INT4",
                              {.code = scalar::ScalarCode::four_bit,
                               .axis = scalar::GroupAxis::channel,
                               .parameters = scalar::GroupParameters::e4m3_pair,
                               .group = 64,
                               .rotated = true,
                               .id = 8});
}

// Two bits need short groups: 0.154 of the variance is lost with groups of 32, 0.203 with 64 (normal values).
std::unique_ptr<PageFormat> make_quarot2_format() {
    return make_scalar_format("quarot2", "QuaRot INT2",
                              {.code = scalar::ScalarCode::two_bit,
                               .axis = scalar::GroupAxis::channel,
                               .parameters = scalar::GroupParameters::e4m3_pair,
                               .group = 32,
                               .rotated = true,
                               .id = 9});
}

} // namespace wander::quant
