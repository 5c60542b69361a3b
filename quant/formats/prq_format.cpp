#include "quant/formats/prq_format.hpp"

#include "quant/formats/scalar_format.hpp"

namespace wander::quant {

std::unique_ptr<PageFormat> make_prq4_format() {
    return make_scalar_format("prq4", "PRQ INT4 (10 bit)",
                              {.code = scalar::ScalarCode::four_bit,
                               .axis = scalar::GroupAxis::token,
                               .parameters = scalar::GroupParameters::half_scale,
                               .group = 16,
                               .stages = 2,
                               .id = 10});
}

} // namespace wander::quant
