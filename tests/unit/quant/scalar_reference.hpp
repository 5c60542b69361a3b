#pragma once
// Slow obvious twins of the scalar page codec: one value at a time, straight from the description of the layout.
#include "quant/scalar/group_grid.hpp"
#include "quant/scalar/page_codec.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace wander::quant::scalar {

struct NamedRule {
    const char* name;
    ScalarRule rule;
};

// Every combination of code, axis, parameters and transform that the registry has.
inline const std::vector<NamedRule>& all_rules() {
    using enum ScalarCode;
    using enum GroupAxis;
    using enum GroupParameters;
    static const std::vector<NamedRule> rules = {
        {"fp8", {.code = e4m3, .axis = channel, .parameters = half_scale, .id = 1}},
        {"int8", {.code = eight_bit, .axis = channel, .parameters = half_scale, .id = 2}},
        {"int4", {.code = four_bit, .axis = channel, .parameters = e4m3_pair, .group = 64, .id = 3}},
        {"int4-g16", {.code = four_bit, .axis = token, .parameters = half_scale, .group = 16, .id = 4}},
        {"kivi4 keys",
         {.code = four_bit, .axis = token, .parameters = e4m3_pair, .group = 128, .even_groups = true, .id = 5}},
        {"kivi4 values", {.code = four_bit, .axis = channel, .parameters = e4m3_pair, .group = 128, .id = 5}},
        {"kivi2 keys",
         {.code = two_bit, .axis = token, .parameters = e4m3_pair, .group = 128, .even_groups = true, .id = 6}},
        {"kivi2 values", {.code = two_bit, .axis = channel, .parameters = e4m3_pair, .group = 128, .id = 6}},
        {"quarot4",
         {.code = four_bit, .axis = channel, .parameters = e4m3_pair, .group = 64, .rotated = true, .id = 8}},
        {"quarot2", {.code = two_bit, .axis = channel, .parameters = e4m3_pair, .group = 32, .rotated = true, .id = 9}},
        {"prq4", {.code = four_bit, .axis = token, .parameters = half_scale, .group = 16, .stages = 2, .id = 10}},
    };
    return rules;
}

inline const ScalarRule& rule_named(const char* name) {
    return std::find_if(all_rules().begin(), all_rules().end(),
                        [&](const NamedRule& named) { return std::strcmp(named.name, name) == 0; })
        ->rule;
}

inline bool power_of_two(int number) { return (number & (number - 1)) == 0; }

// Code of one value, bit by bit: the first channel has the highest bits of the first byte.
inline unsigned stored_code(const std::uint8_t* row, int channel, int bits) {
    unsigned code = 0;
    for (int i = 0; i < bits; ++i) {
        const int at = channel * bits + i;
        code = code * 2 + ((static_cast<unsigned>(row[at / 8]) >> (7 - at % 8)) & 1U);
    }
    return code;
}

inline void store_code(std::uint8_t* row, int channel, int bits, unsigned code) {
    for (int i = 0; i < bits; ++i) {
        const int at = channel * bits + i;
        const unsigned bit = (code >> (bits - 1 - i)) & 1U;
        row[at / 8] = static_cast<std::uint8_t>(row[at / 8] | (bit << (7 - at % 8)));
    }
}

inline float stored_float(const std::uint8_t* at) {
    float value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// Before the transform back.
inline float stored_value(const std::uint8_t* page, const ScalarPageLayout& layout, int head, int token, int channel) {
    float value = 0;
    for (int stage = 0; stage < layout.rule.stages; ++stage) {
        const unsigned code =
            stored_code(page + layout.code_row(stage, head, token), channel, code_bits(layout.rule.code));
        const std::int64_t entry = layout.entry(stage, head, token, channel);
        float step;
        float base = 0;
        if (layout.pair()) {
            const std::uint8_t* reach = page + layout.reach_at + std::ptrdiff_t{8} * head;
            const auto unit = [&](int i) { return std::exp2(std::floor(std::log2(stored_float(reach + 4 * i))) - 7); };
            const bool empty = stored_float(reach) == 0;
            const bool at_zero = stored_float(reach + 4) == 0;
            step = empty ? 0.0F : e4m3_to_float(page[layout.scales_at + entry]) * static_cast<float>(unit(0));
            base = at_zero ? 0.0F : e4m3_to_float(page[layout.minima_at + entry]) * static_cast<float>(unit(1));
        } else {
            std::uint16_t half;
            std::memcpy(&half, page + layout.scales_at + 2 * entry, sizeof half);
            const ScalarCode kind = layout.rule.code;
            step = half_to_float(half) / (kind == ScalarCode::e4m3        ? 256.0F
                                          : kind == ScalarCode::eight_bit ? 128.0F
                                                                          : 8.0F);
            base = -middle_code(layout.rule.code) * step;
        }
        value += layout.rule.code == ScalarCode::e4m3 ? e4m3_to_float(static_cast<std::uint8_t>(code)) * step
                                                      : static_cast<float>(code) * step + base;
    }
    return value;
}

// Entry (row, column) of the Walsh-Hadamard matrix in natural order, orthonormal.
inline double hadamard(int row, int column, int dim) {
    return (__builtin_popcount(static_cast<unsigned>(row & column)) % 2 == 0 ? 1.0 : -1.0) / std::sqrt(dim);
}

// [tokens][head_dim] of one head.
inline std::vector<float> reference_decode(const std::uint8_t* page, const ScalarPageLayout& layout, int head) {
    std::vector<float> out;
    for (int t = 0; t < layout.tokens; ++t) {
        for (int c = 0; c < layout.head_dim; ++c) {
            double value = 0;
            if (!layout.rule.rotated) {
                value = static_cast<double>(stored_value(page, layout, head, t, c));
            }
            for (int k = 0; layout.rule.rotated && k < layout.head_dim; ++k) {
                value += hadamard(c, k, layout.head_dim) * static_cast<double>(stored_value(page, layout, head, t, k));
            }
            out.push_back(static_cast<float>(value));
        }
    }
    return out;
}

// The page of rows [tokens][heads][head_dim], without the transform: `rows` are transformed already where the rule asks
// for it.
inline std::vector<std::uint8_t> reference_encode(std::vector<float> rows, const ScalarPageLayout& layout,
                                                  bool is_key) {
    std::vector<std::uint8_t> page(static_cast<std::size_t>(layout.total_bytes));
    const ScalarPageHeader header = page_header(layout, is_key);
    std::memcpy(page.data(), &header, sizeof header);
    const float top = top_code(layout.rule.code, layout.rule.parameters);
    const auto at = [&](int token, int head, int channel) -> float& {
        return rows[(static_cast<std::size_t>(token) * static_cast<std::size_t>(layout.heads) +
                     static_cast<std::size_t>(head)) *
                        static_cast<std::size_t>(layout.head_dim) +
                    static_cast<std::size_t>(channel)];
    };
    struct Range {
        float low = INFINITY;
        float high = -INFINITY;
    };
    for (int head = 0; head < layout.heads; ++head) {
        for (int stage = 0; stage < layout.rule.stages; ++stage) {
            std::vector<Range> ranges(static_cast<std::size_t>(layout.entries()));
            for (int t = 0; t < layout.tokens; ++t) {
                for (int c = 0; c < layout.head_dim; ++c) {
                    Range& range = ranges[static_cast<std::size_t>(layout.entry(stage, head, t, c))];
                    range.low = std::min(range.low, at(t, head, c));
                    range.high = std::max(range.high, at(t, head, c));
                }
            }
            HeadUnits units;
            if (layout.pair()) {
                float reach[2] = {};
                for (const Range& range : ranges) {
                    if (range.low > range.high) {
                        continue; // another head's
                    }
                    reach[0] = std::max(reach[0], step_reach(range.low, range.high, top));
                    reach[1] = std::max(reach[1], minimum_reach(range.low));
                }
                std::memcpy(page.data() + layout.reach_at + std::ptrdiff_t{8} * head, reach, sizeof reach);
                units = {reach_unit(reach[0]), reach_unit(reach[1])};
            }
            for (int t = 0; t < layout.tokens; ++t) {
                for (int c = 0; c < layout.head_dim; ++c) {
                    const std::int64_t entry = layout.entry(stage, head, t, c);
                    const Range& range = ranges[static_cast<std::size_t>(entry)];
                    const GroupGrid grid = layout.pair()
                                               ? asymmetric_grid(range.low, range.high, top, units)
                                               : symmetric_grid(layout.rule.code, std::max(-range.low, range.high));
                    std::uint8_t* scale = page.data() + layout.scales_at + entry * layout.scale_size();
                    std::memcpy(scale, &grid.scale, static_cast<std::size_t>(layout.scale_size()));
                    if (layout.pair()) {
                        page[static_cast<std::size_t>(layout.minima_at + entry)] = grid.minimum;
                    }
                    float& value = at(t, head, c);
                    unsigned code;
                    if (layout.rule.code == ScalarCode::e4m3) {
                        code = float_to_e4m3(value * grid.reciprocal);
                    } else {
                        const float nearest = (value - grid.base) * grid.reciprocal;
                        code = static_cast<unsigned>(std::floor(std::clamp(nearest, 0.0F, top) + 0.5F));
                    }
                    store_code(page.data() + layout.code_row(stage, head, t), c, code_bits(layout.rule.code), code);
                    if (layout.rule.stages > 1) {
                        const float product = static_cast<float>(code) * grid.step;
                        value -= product + grid.base;
                    }
                }
            }
        }
    }
    return page;
}

inline std::vector<float> normal_rows(int tokens, int heads, int head_dim, float mean, float deviation, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> rows(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(heads) *
                            static_cast<std::size_t>(head_dim));
    for (float& value : rows) {
        value = normal(generator);
    }
    return rows;
}

} // namespace wander::quant::scalar
