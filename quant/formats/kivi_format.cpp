#include "quant/formats/kivi_format.hpp"

#include "quant/formats/scalar_format.hpp"

namespace wander::quant {
namespace {

constexpr scalar::ScalarRule keys(scalar::ScalarCode code, std::uint8_t id) {
    return {.code = code,
            .axis = scalar::GroupAxis::token,
            .parameters = scalar::GroupParameters::e4m3_pair,
            .group = 128,
            .even_groups = true,
            .id = id};
}

constexpr scalar::ScalarRule values(scalar::ScalarCode code, std::uint8_t id) {
    return {.code = code,
            .axis = scalar::GroupAxis::channel,
            .parameters = scalar::GroupParameters::e4m3_pair,
            .group = 128,
            .id = id};
}

std::unique_ptr<PageFormat> make(std::string_view name, std::string_view label, scalar::ScalarCode key_code,
                                 scalar::ScalarCode value_code, std::uint8_t id) {
    return std::make_unique<ScalarFormat>(name, label, ScalarRules{keys(key_code, id), values(value_code, id)});
}

} // namespace

std::unique_ptr<PageFormat> make_kivi4_format() {
    return make("kivi4", "KIVI INT4", scalar::ScalarCode::four_bit, scalar::ScalarCode::four_bit, 5);
}

std::unique_ptr<PageFormat> make_kivi2_format() {
    return make("kivi2", "KIVI INT2", scalar::ScalarCode::two_bit, scalar::ScalarCode::two_bit, 6);
}

std::unique_ptr<PageFormat> make_k4v2_format() {
    return make("k4v2", "K4V2", scalar::ScalarCode::four_bit, scalar::ScalarCode::two_bit, 7);
}

} // namespace wander::quant
