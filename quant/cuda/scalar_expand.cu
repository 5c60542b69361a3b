// Pages of the scalar formats as a source of the expansion. Twin: decode() of quant/scalar/page_kernels.inl, bit for
// bit.
#include "quant/cuda/expand_rows.cuh"
#include "quant/cuda/scalar_encode.hpp"
#include "quant/cuda/scalar_rows.cuh"

namespace wander::quant::cuda {
namespace {

template <ScalarCode kCode, GroupAxis kAxis>
struct ScalarRowsSource {
    const std::uint8_t* page;
    ScalarPageLayout layout;

    __device__ Eight stage_values(int stage, int row, int head, int channel, HeadUnits units) const {
        Eight value =
            load_codes<kCode>(page + layout.code_row(stage, head, row) + channel * scalar::code_bits(kCode) / 8);
        const std::int64_t entry = layout.entry(stage, head, row, channel);
        if constexpr (kAxis == GroupAxis::channel) {
            float step;
            float base;
            if (layout.pair()) {
                step = __fmul_rn(scalar::e4m3_to_float(page[layout.scales_at + entry]), units.step);
                base = __fmul_rn(scalar::e4m3_to_float(page[layout.minima_at + entry]), units.minimum);
            } else {
                const auto* scales = reinterpret_cast<const std::uint16_t*>(page + layout.scales_at);
                step = __fmul_rn(scalar::half_to_float(scales[entry]), scalar::half_unit(kCode));
                base = __fsub_rn(0.0F, __fmul_rn(scalar::middle_code(kCode), step));
            }
#pragma unroll
            for (int c = 0; c < 8; ++c) {
                value.x[c] = __fadd_rn(__fmul_rn(value.x[c], step), base);
            }
        } else if (layout.pair()) {
            const Eight steps = load_codes<ScalarCode::e4m3>(page + layout.scales_at + entry);
            const Eight bases = load_codes<ScalarCode::e4m3>(page + layout.minima_at + entry);
#pragma unroll
            for (int c = 0; c < 8; ++c) {
                value.x[c] = __fadd_rn(__fmul_rn(value.x[c], __fmul_rn(steps.x[c], units.step)),
                                       __fmul_rn(bases.x[c], units.minimum));
            }
        } else {
            const uint4 halves = *reinterpret_cast<const uint4*>(page + layout.scales_at + 2 * entry);
            const unsigned words[4] = {halves.x, halves.y, halves.z, halves.w};
#pragma unroll
            for (int c = 0; c < 8; ++c) {
                const float step =
                    __fmul_rn(scalar::half_to_float(static_cast<std::uint16_t>(words[c / 2] >> (c % 2 * 16))),
                              scalar::half_unit(kCode));
                const float base = __fsub_rn(0.0F, __fmul_rn(scalar::middle_code(kCode), step));
                value.x[c] = __fadd_rn(__fmul_rn(value.x[c], step), base);
            }
        }
        return value;
    }

    __device__ Eight load(int row, int head, int channel) const {
        const HeadUnits units = head_units(layout, head, page);
        Eight value = stage_values(0, row, head, channel, units);
        if constexpr (kAxis == GroupAxis::token) {
            for (int stage = 1; stage < layout.rule.stages; ++stage) {
                const Eight more = stage_values(stage, row, head, channel, units);
#pragma unroll
                for (int c = 0; c < 8; ++c) {
                    value.x[c] = __fadd_rn(value.x[c], more.x[c]);
                }
            }
        } else if (layout.rule.rotated) {
            const int lanes = layout.head_dim / 8;
            rotate_eight(value, lanes, lane_group_mask(lanes));
        }
        return value;
    }
};

template <ScalarCode kCode, GroupAxis kAxis>
bool expand_as(const ExpandJob& job, const ScalarPageLayout& layout, Stream stream) {
    return expand_source(ScalarRowsSource<kCode, kAxis>{nullptr, layout}, job, stream);
}

} // namespace

bool expand_scalar(const ExpandJob& job, const ScalarPageLayout& layout, Stream stream) {
    if (layout.rule.axis == GroupAxis::token) {
        switch (layout.rule.code) {
            case ScalarCode::two_bit: return expand_as<ScalarCode::two_bit, GroupAxis::token>(job, layout, stream);
            case ScalarCode::four_bit: return expand_as<ScalarCode::four_bit, GroupAxis::token>(job, layout, stream);
            default: return false;
        }
    }
    switch (layout.rule.code) {
        case ScalarCode::two_bit: return expand_as<ScalarCode::two_bit, GroupAxis::channel>(job, layout, stream);
        case ScalarCode::four_bit: return expand_as<ScalarCode::four_bit, GroupAxis::channel>(job, layout, stream);
        case ScalarCode::eight_bit: return expand_as<ScalarCode::eight_bit, GroupAxis::channel>(job, layout, stream);
        case ScalarCode::e4m3: return expand_as<ScalarCode::e4m3, GroupAxis::channel>(job, layout, stream);
    }
    return false;
}

} // namespace wander::quant::cuda
