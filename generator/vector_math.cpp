#include "generator/vector_math.hpp"

#include <ATen/ATen.h>

#include <array>

namespace wander {

namespace {

// Those that ATen/cpu/vml.h hands to MKL.
constexpr std::array kFunctions = {&at::acos,   &at::asin, &at::atan, &at::cos,  &at::erf,   &at::erfc,
                                   &at::erfinv, &at::exp,  &at::log,  &at::log2, &at::log10, &at::sin,
                                   &at::sqrt,   &at::tan,  &at::tanh, &at::trunc};

bool call_each() {
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
        const at::Tensor half = at::full({1}, 0.5, type);
        for (const auto function : kFunctions) function(half);
    }
    return true;
}

} // namespace

void settle_vector_math() { [[maybe_unused]] static const bool called = call_each(); }

} // namespace wander
