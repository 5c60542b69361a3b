// The inner loops in vectors of 16 channels; the compiler cuts them into what the instruction set has. Included once
// for each instruction set, inside a namespace of its own.

typedef float Floats __attribute__((vector_size(64)));
typedef std::int32_t Ints __attribute__((vector_size(64)));
typedef std::uint16_t Shorts __attribute__((vector_size(32)));
typedef std::uint8_t Bytes __attribute__((vector_size(16)));
typedef float LooseFloats __attribute__((vector_size(64), aligned(4), may_alias));

#define WANDER_SCALAR_INLINE static inline __attribute__((always_inline))

inline constexpr int kLanes = kScalarChannels;
inline constexpr int kMostVectors = kScalarMaxHeadDim / kLanes;

WANDER_SCALAR_INLINE Floats load(const float* from) { return *reinterpret_cast<const LooseFloats*>(from); }
WANDER_SCALAR_INLINE void store(float* to, Floats value) { *reinterpret_cast<LooseFloats*>(to) = value; }
WANDER_SCALAR_INLINE Floats splat(float value) { return Floats{} + value; }
WANDER_SCALAR_INLINE Ints splat_int(std::int32_t value) { return Ints{} + value; }
WANDER_SCALAR_INLINE Floats lesser(Floats a, Floats b) { return a < b ? a : b; }
WANDER_SCALAR_INLINE Floats greater(Floats a, Floats b) { return a > b ? a : b; }
WANDER_SCALAR_INLINE Floats magnitude_of(Floats a) {
    return reinterpret_cast<Floats>(reinterpret_cast<Ints>(a) & 0x7FFFFFFF);
}

WANDER_SCALAR_INLINE Floats e4m3_values(Ints byte) {
    const Ints magnitude = byte & 0x7F;
    const Floats normal = reinterpret_cast<Floats>((magnitude << 20) + (120 << 23));
    const Floats value = magnitude < 8 ? __builtin_convertvector(magnitude, Floats) * 0x1p-9F : normal;
    return reinterpret_cast<Floats>(reinterpret_cast<Ints>(value) | ((byte & 0x80) << 24));
}

WANDER_SCALAR_INLINE Ints e4m3_codes(Floats value) { // as float_to_e4m3
    const Ints bits = reinterpret_cast<Ints>(value);
    const Ints magnitude = bits & 0x7FFFFFFF;
    const Ints small = reinterpret_cast<Ints>(reinterpret_cast<Floats>(magnitude) + 0x1p14F) & 0xF;
    const Ints large = ((magnitude + 0x7FFFF + ((magnitude >> 20) & 1)) >> 20) - (120 << 3);
    const Ints code = magnitude < (121 << 23) ? small : large > 126 ? splat_int(126) : large;
    return code | ((bits >> 24) & 0x80);
}

// 16 codes from the packed row, as the numbers they stand for: 0, 1, ... or float8.
template <ScalarCode kCode>
WANDER_SCALAR_INLINE Floats code_values(const std::uint8_t* at) {
    if constexpr (kCode == ScalarCode::two_bit) {
        std::int32_t word;
        __builtin_memcpy(&word, at, sizeof word);
        const Ints shifts = {6, 4, 2, 0, 14, 12, 10, 8, 22, 20, 18, 16, 30, 28, 26, 24};
        return __builtin_convertvector((splat_int(word) >> shifts) & 3, Floats);
    } else if constexpr (kCode == ScalarCode::four_bit) {
        std::int32_t words[2];
        __builtin_memcpy(words, at, sizeof words);
        const Ints shifts = {4, 0, 12, 8, 20, 16, 28, 24, 4, 0, 12, 8, 20, 16, 28, 24};
        const Ints upper = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1};
        const Ints both = upper < 0 ? splat_int(words[1]) : splat_int(words[0]);
        return __builtin_convertvector((both >> shifts) & 15, Floats);
    } else {
        Bytes bytes;
        __builtin_memcpy(&bytes, at, sizeof bytes);
        const Ints wide = __builtin_convertvector(bytes, Ints);
        return kCode == ScalarCode::e4m3 ? e4m3_values(wide) : __builtin_convertvector(wide, Floats);
    }
}

// Bytes of one code each to packed ones, the first in the highest bits.
WANDER_SCALAR_INLINE std::uint64_t pairs(std::uint64_t codes, int bits) {
    return (codes << bits | codes >> 8) & (bits == 4 ? 0x00FF00FF00FF00FFULL : 0x000F000F000F000FULL);
}
template <ScalarCode kCode>
WANDER_SCALAR_INLINE void put_codes(Ints codes, std::uint8_t* to) {
    const Bytes bytes = __builtin_convertvector(codes, Bytes);
    if constexpr (code_bits(kCode) == 8) {
        __builtin_memcpy(to, &bytes, sizeof bytes);
    } else {
        std::uint64_t halves[2];
        __builtin_memcpy(halves, &bytes, sizeof halves);
        for (int i = 0; i < 2; ++i) {
            if constexpr (kCode == ScalarCode::four_bit) {
                std::uint64_t x = pairs(halves[i], 4); // a byte in every 16 bits
                x = (x | x >> 8) & 0x0000FFFF0000FFFFULL;
                const auto word = static_cast<std::uint32_t>(x | x >> 16);
                __builtin_memcpy(to + 4 * i, &word, sizeof word);
            } else {
                std::uint64_t x = pairs(halves[i], 2);                  // 4 bits in every 16
                x = (x << 4 | x >> 16) & 0x000000FF000000FFULL;         // 8 in every 32
                const auto word = static_cast<std::uint16_t>(x | x >> 24);
                __builtin_memcpy(to + 2 * i, &word, sizeof word);
            }
        }
    }
}

template <ScalarCode kCode>
WANDER_SCALAR_INLINE Ints nearest_codes(Floats x, Floats base, Floats reciprocal, float top) {
    if constexpr (kCode == ScalarCode::e4m3) {
        return e4m3_codes(x * reciprocal);
    }
    const Floats y = (x - base) * reciprocal;
    const Floats positive = y > 0.0F ? y : Floats{}; // not a number: 0
    return __builtin_convertvector((positive > top ? splat(top) : positive) + 0.5F, Ints);
}

WANDER_SCALAR_INLINE float least_lane(Floats value) {
    float least = value[0];
    for (int l = 1; l < kLanes; ++l) {
        least = value[l] < least ? value[l] : least;
    }
    return least;
}
WANDER_SCALAR_INLINE float greatest_lane(Floats value) { return -least_lane(-value); }

// The transform's stages in the order 1, 2, 4, ... apart, then the norm. Both members of a pair add the same two
// numbers.
template <int kApart>
WANDER_SCALAR_INLINE Floats butterfly(Floats value) {
    constexpr int s = kApart;
    const Floats swapped = __builtin_shufflevector(value, value, 0 ^ s, 1 ^ s, 2 ^ s, 3 ^ s, 4 ^ s, 5 ^ s, 6 ^ s, 7 ^ s,
                                                   8 ^ s, 9 ^ s, 10 ^ s, 11 ^ s, 12 ^ s, 13 ^ s, 14 ^ s, 15 ^ s);
    const Ints lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const Ints sign = (lane & s) != 0 ? splat_int(INT32_MIN) : Ints{};
    return reinterpret_cast<Floats>(reinterpret_cast<Ints>(value) ^ sign) + swapped;
}

template <int kVectors>
WANDER_SCALAR_INLINE void rotate_rows(float* rows, int tokens, Floats norm) {
    for (int t = 0; t < tokens; ++t, rows += kVectors * kLanes) {
        Floats v[kVectors];
        for (int i = 0; i < kVectors; ++i) {
            v[i] = butterfly<8>(butterfly<4>(butterfly<2>(butterfly<1>(load(rows + i * kLanes)))));
        }
        for (int apart = 1; apart < kVectors; apart *= 2) {
            for (int i = 0; i < kVectors; ++i) {
                if ((i & apart) == 0) {
                    const Floats sum = v[i] + v[i + apart];
                    v[i + apart] = v[i] - v[i + apart];
                    v[i] = sum;
                }
            }
        }
        for (int i = 0; i < kVectors; ++i) {
            store(rows + i * kLanes, v[i] * norm);
        }
    }
}

void rotate(float* rows, int tokens, int dim) {
    const Floats norm = splat(hadamard_norm(dim));
    switch (dim / kLanes) {
        case 1: rotate_rows<1>(rows, tokens, norm); break;
        case 2: rotate_rows<2>(rows, tokens, norm); break;
        case 4: rotate_rows<4>(rows, tokens, norm); break;
        case 8: rotate_rows<8>(rows, tokens, norm); break;
        default: rotate_rows<16>(rows, tokens, norm); break;
    }
}

// Least and greatest of the groups of tokens [t0, t1), channel by channel.
WANDER_SCALAR_INLINE void token_range(const float* rows, int dim, int t0, int t1, int channel, Floats& low,
                                      Floats& high) {
    const float* row = rows + static_cast<std::ptrdiff_t>(t0) * dim + channel;
    low = high = load(row);
    for (int t = t0 + 1; t < t1; ++t) {
        row += dim;
        low = lesser(load(row), low);
        high = greater(load(row), high);
    }
}

WANDER_SCALAR_INLINE void channel_range(const float* row, int group, float& least, float& most) {
    Floats low = load(row);
    Floats high = low;
    for (int c = kLanes; c < group; c += kLanes) {
        low = lesser(load(row + c), low);
        high = greater(load(row + c), high);
    }
    least = least_lane(low);
    most = greatest_lane(high);
}

WANDER_SCALAR_INLINE void note_reach(float low, float high, float top, float* reach) {
    const float step = step_reach(low, high, top);
    const float minimum = minimum_reach(low);
    reach[0] = step > reach[0] ? step : reach[0];
    reach[1] = minimum > reach[1] ? minimum : reach[1];
}

void reach(const float* rows, const ScalarPageLayout& layout, float* reach) {
    const float top = top_code(layout.rule.code, layout.rule.parameters);
    const int dim = layout.head_dim;
    reach[0] = reach[1] = 0;
    if (layout.rule.axis == GroupAxis::channel) {
        for (int t = 0; t < layout.tokens; ++t) {
            for (int c = 0; c < dim; c += layout.group) {
                float low;
                float high;
                channel_range(rows + static_cast<std::ptrdiff_t>(t) * dim + c, layout.group, low, high);
                note_reach(low, high, top, reach);
            }
        }
        return;
    }
    for (int g = 0; g < layout.groups; ++g) {
        for (int c = 0; c < dim; c += kLanes) {
            Floats low;
            Floats high;
            token_range(rows, dim, g * layout.group, layout.group_end(g), c, low, high);
            for (int l = 0; l < kLanes; ++l) {
                note_reach(low[l], high[l], top, reach);
            }
        }
    }
}

WANDER_SCALAR_INLINE HeadUnits head_units(const ScalarPageLayout& layout, int head, const std::uint8_t* page) {
    HeadUnits units;
    if (layout.pair()) {
        float reach[2];
        __builtin_memcpy(reach, page + layout.reach_at + static_cast<std::ptrdiff_t>(head) * 8, sizeof reach);
        units = {reach_unit(reach[0]), reach_unit(reach[1])};
    }
    return units;
}

WANDER_SCALAR_INLINE GroupGrid grid_of(const ScalarPageLayout& layout, HeadUnits units, float low, float high) {
    return layout.pair() ? asymmetric_grid(low, high, top_code(layout.rule.code, layout.rule.parameters), units)
                         : symmetric_grid(layout.rule.code, -low > high ? -low : high);
}

WANDER_SCALAR_INLINE void put_grid(const GroupGrid& grid, const ScalarPageLayout& layout, std::int64_t entry,
                                   std::uint8_t* page) {
    if (layout.pair()) {
        page[layout.scales_at + entry] = static_cast<std::uint8_t>(grid.scale);
        page[layout.minima_at + entry] = grid.minimum;
    } else {
        __builtin_memcpy(page + layout.scales_at + 2 * entry, &grid.scale, sizeof grid.scale);
    }
}

template <ScalarCode kCode>
WANDER_SCALAR_INLINE void encode_channels(const float* rows, const ScalarPageLayout& layout, int head,
                                          std::uint8_t* page) {
    const HeadUnits units = head_units(layout, head, page);
    const float top = top_code(kCode, layout.rule.parameters);
    for (int t = 0; t < layout.tokens; ++t) {
        const float* row = rows + static_cast<std::ptrdiff_t>(t) * layout.head_dim;
        std::uint8_t* codes = page + layout.code_row(0, head, t);
        for (int first = 0; first < layout.head_dim; first += layout.group) {
            float low;
            float high;
            channel_range(row + first, layout.group, low, high);
            const GroupGrid grid = grid_of(layout, units, low, high);
            put_grid(grid, layout, layout.entry(0, head, t, first), page);
            for (int c = first; c < first + layout.group; c += kLanes) {
                put_codes<kCode>(nearest_codes<kCode>(load(row + c), splat(grid.base), splat(grid.reciprocal), top),
                                 codes + c * code_bits(kCode) / 8);
            }
        }
    }
}

template <ScalarCode kCode>
WANDER_SCALAR_INLINE void encode_tokens(float* rows, const ScalarPageLayout& layout, int head, std::uint8_t* page) {
    const HeadUnits units = head_units(layout, head, page);
    const float top = top_code(kCode, layout.rule.parameters);
    const int dim = layout.head_dim;
    for (int stage = 0; stage < layout.rule.stages; ++stage) {
        for (int g = 0; g < layout.groups; ++g) {
            const int first = g * layout.group;
            for (int c = 0; c < dim; c += kLanes) {
                Floats low;
                Floats high;
                token_range(rows, dim, first, layout.group_end(g), c, low, high);
                Floats step;
                Floats base;
                Floats reciprocal;
                for (int l = 0; l < kLanes; ++l) {
                    const GroupGrid grid = grid_of(layout, units, low[l], high[l]);
                    put_grid(grid, layout, layout.entry(stage, head, first, c + l), page);
                    step[l] = grid.step;
                    base[l] = grid.base;
                    reciprocal[l] = grid.reciprocal;
                }
                for (int t = first; t < layout.group_end(g); ++t) {
                    float* at = rows + static_cast<std::ptrdiff_t>(t) * dim + c;
                    const Ints codes = nearest_codes<kCode>(load(at), base, reciprocal, top);
                    put_codes<kCode>(codes, page + layout.code_row(stage, head, t) + c * code_bits(kCode) / 8);
                    if (stage + 1 < layout.rule.stages) {
                        store(at, load(at) - (__builtin_convertvector(codes, Floats) * step + base));
                    }
                }
            }
        }
    }
}

void encode(float* rows, const ScalarPageLayout& layout, int head, std::uint8_t* page) {
    const bool tokens = layout.rule.axis == GroupAxis::token;
    switch (layout.rule.code) {
        case ScalarCode::two_bit:
            tokens ? encode_tokens<ScalarCode::two_bit>(rows, layout, head, page)
                   : encode_channels<ScalarCode::two_bit>(rows, layout, head, page);
            break;
        case ScalarCode::four_bit:
            tokens ? encode_tokens<ScalarCode::four_bit>(rows, layout, head, page)
                   : encode_channels<ScalarCode::four_bit>(rows, layout, head, page);
            break;
        case ScalarCode::eight_bit: encode_channels<ScalarCode::eight_bit>(rows, layout, head, page); break;
        case ScalarCode::e4m3: encode_channels<ScalarCode::e4m3>(rows, layout, head, page); break;
    }
}

struct StepBase {
    float step;
    float base;
};

template <ScalarCode kCode>
WANDER_SCALAR_INLINE StepBase stored_grid(const std::uint8_t* page, const ScalarPageLayout& layout, HeadUnits units,
                                          std::int64_t entry) {
    if (layout.pair()) {
        return {e4m3_to_float(page[layout.scales_at + entry]) * units.step,
                e4m3_to_float(page[layout.minima_at + entry]) * units.minimum};
    }
    std::uint16_t half;
    __builtin_memcpy(&half, page + layout.scales_at + 2 * entry, sizeof half);
    const float step = half_to_float(half) * half_unit(kCode);
    return {step, 0.0F - middle_code(kCode) * step};
}

template <ScalarCode kCode>
WANDER_SCALAR_INLINE void decode_channels(const std::uint8_t* page, const ScalarPageLayout& layout, int head, int t0,
                                          int t1, float* out) {
    const HeadUnits units = head_units(layout, head, page);
    const int dim = layout.head_dim;
    const int group = layout.group;
    const std::uint8_t* codes = page + layout.code_row(0, head, t0);
    std::int64_t entry = layout.entry(0, head, t0, 0);
    for (int t = t0; t < t1; ++t) {
        for (int first = 0; first < dim; first += group, ++entry) {
            const StepBase grid = stored_grid<kCode>(page, layout, units, entry);
            for (int c = 0; c < group; c += kLanes) {
                store(out + c, code_values<kCode>(codes) * splat(grid.step) + splat(grid.base));
                codes += kLanes * code_bits(kCode) / 8;
            }
            out += group;
        }
    }
}

// Steps and bases of one group of tokens, all channels.
template <ScalarCode kCode>
WANDER_SCALAR_INLINE void stored_grids(const std::uint8_t* page, const ScalarPageLayout& layout, HeadUnits units,
                                       std::int64_t entry, Floats* steps, Floats* bases) {
    for (int v = 0; v < layout.head_dim / kLanes; ++v, entry += kLanes) {
        if (layout.pair()) {
            Bytes scales;
            Bytes minima;
            __builtin_memcpy(&scales, page + layout.scales_at + entry, sizeof scales);
            __builtin_memcpy(&minima, page + layout.minima_at + entry, sizeof minima);
            steps[v] = e4m3_values(__builtin_convertvector(scales, Ints)) * splat(units.step);
            bases[v] = e4m3_values(__builtin_convertvector(minima, Ints)) * splat(units.minimum);
        } else {
            Shorts halves; // never negative
            __builtin_memcpy(&halves, page + layout.scales_at + 2 * entry, sizeof halves);
            const Ints bits = __builtin_convertvector(halves, Ints);
            const Floats normal = reinterpret_cast<Floats>((bits << 13) + (112 << 23));
            const Floats value = bits < 0x400 ? __builtin_convertvector(bits, Floats) * 0x1p-24F : normal;
            steps[v] = value * half_unit(kCode);
            bases[v] = 0.0F - middle_code(kCode) * steps[v];
        }
    }
}

template <ScalarCode kCode>
WANDER_SCALAR_INLINE void decode_tokens(const std::uint8_t* page, const ScalarPageLayout& layout, int head, int t0,
                                        int t1, float* out) {
    const HeadUnits units = head_units(layout, head, page);
    const int dim = layout.head_dim;
    Floats steps[kMostVectors];
    Floats bases[kMostVectors];
    for (int stage = 0; stage < layout.rule.stages; ++stage) {
        for (int t = t0; t < t1;) {
            const int g = t / layout.group;
            const int end = layout.group_end(g) < t1 ? layout.group_end(g) : t1;
            stored_grids<kCode>(page, layout, units, layout.entry(stage, head, t, 0), steps, bases);
            for (; t < end; ++t) {
                const std::uint8_t* codes = page + layout.code_row(stage, head, t);
                float* row = out + static_cast<std::ptrdiff_t>(t - t0) * dim;
                for (int v = 0; v < dim / kLanes; ++v) {
                    Floats value = code_values<kCode>(codes + v * kLanes * code_bits(kCode) / 8) * steps[v] + bases[v];
                    if (stage > 0) {
                        value = load(row + v * kLanes) + value;
                    }
                    store(row + v * kLanes, value);
                }
            }
        }
    }
}

void decode(const std::uint8_t* page, const ScalarPageLayout& layout, int head, int t0, int t1, float* out) {
    const bool tokens = layout.rule.axis == GroupAxis::token;
    switch (layout.rule.code) {
        case ScalarCode::two_bit:
            tokens ? decode_tokens<ScalarCode::two_bit>(page, layout, head, t0, t1, out)
                   : decode_channels<ScalarCode::two_bit>(page, layout, head, t0, t1, out);
            break;
        case ScalarCode::four_bit:
            tokens ? decode_tokens<ScalarCode::four_bit>(page, layout, head, t0, t1, out)
                   : decode_channels<ScalarCode::four_bit>(page, layout, head, t0, t1, out);
            break;
        case ScalarCode::eight_bit: decode_channels<ScalarCode::eight_bit>(page, layout, head, t0, t1, out); break;
        case ScalarCode::e4m3: decode_channels<ScalarCode::e4m3>(page, layout, head, t0, t1, out); break;
    }
    if (layout.rule.rotated) {
        rotate(out, t1 - t0, layout.head_dim);
    }
}
