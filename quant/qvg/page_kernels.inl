// The inner loops in vectors of 16 lanes; the compiler cuts them into what the instruction set has. Included once for
// each instruction set, inside a namespace of its own.

typedef float Floats __attribute__((vector_size(64)));
typedef std::int32_t Ints __attribute__((vector_size(64)));
typedef float LooseFloats __attribute__((vector_size(64), aligned(4), may_alias));
typedef std::int32_t LooseInts __attribute__((vector_size(64), aligned(4), may_alias));

typedef std::int16_t Shorts __attribute__((vector_size(32)));
typedef std::int16_t LooseShorts __attribute__((vector_size(32), aligned(2), may_alias));

#define WANDER_LANES_INLINE static inline __attribute__((always_inline))

WANDER_LANES_INLINE Floats load(const float* from) { return *reinterpret_cast<const LooseFloats*>(from); }
WANDER_LANES_INLINE void store(float* to, Floats value) { *reinterpret_cast<LooseFloats*>(to) = value; }
WANDER_LANES_INLINE Floats splat(float value) { return Floats{} + value; }
WANDER_LANES_INLINE Ints load_ints(const std::int32_t* from) { return *reinterpret_cast<const LooseInts*>(from); }
WANDER_LANES_INLINE Ints splat_int(std::int32_t value) { return Ints{} + value; }

// Of the two 16-bit numbers in each lane the products, added.
#if defined(WANDER_LANES_AVX512)
WANDER_LANES_INLINE Ints add_products(Ints a, Ints b) {
    return reinterpret_cast<Ints>(_mm512_madd_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
}
#elif defined(WANDER_LANES_AVX2)
WANDER_LANES_INLINE Ints add_products(Ints a, Ints b) {
    __m256i x[2];
    __m256i y[2];
    __builtin_memcpy(x, &a, sizeof x);
    __builtin_memcpy(y, &b, sizeof y);
    x[0] = _mm256_madd_epi16(x[0], y[0]);
    x[1] = _mm256_madd_epi16(x[1], y[1]);
    __builtin_memcpy(&a, x, sizeof x);
    return a;
}
#else
WANDER_LANES_INLINE Ints add_products(Ints a, Ints b) {
    return ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
}
#endif

void to_lanes(const float* rows, int tokens, int dim, const float* base, const std::int32_t* ids, float* lanes) {
    const int groups = (tokens + kLanes - 1) / kLanes;
    for (int g = 0; g < groups; ++g) {
        float* group = lanes + static_cast<std::ptrdiff_t>(g) * dim * kLanes;
        for (int l = 0; l < kLanes; ++l) {
            const int t = g * kLanes + l;
            if (t >= tokens) {
                for (int c = 0; c < dim; ++c) {
                    group[c * kLanes + l] = 0;
                }
                continue;
            }
            const float* row = rows + static_cast<std::ptrdiff_t>(t) * dim;
            const float* minus = base + static_cast<std::ptrdiff_t>(ids ? ids[t] : 0) * dim;
            for (int c = 0; c < dim; ++c) {
                group[c * kLanes + l] = row[c] - minus[c];
            }
        }
    }
}

float peak(const float* rows, int tokens, int dim, const float* offset) {
    Floats most = {};
    for (int t = 0; t < tokens; ++t) {
        const float* row = rows + static_cast<std::ptrdiff_t>(t) * dim;
        for (int c = 0; c < dim; c += kLanes) {
            const Floats value = load(row + c) - load(offset + c);
            const Floats magnitude = value < 0.0F ? -value : value;
            most = magnitude > most ? magnitude : most;
        }
    }
    float out = 0;
    for (int l = 0; l < kLanes; ++l) {
        out = most[l] > out ? most[l] : out;
    }
    return out;
}

void to_fine(const float* rows, int tokens, int dim, const float* offset, float inverse, std::int16_t* fine) {
    for (int t = 0; t < tokens; ++t) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(t) * dim;
        for (int c = 0; c < dim; c += kLanes) {
            const Floats value = (load(rows + at + c) - load(offset + c)) * splat(inverse) + splat(kRounder);
            const Shorts whole = __builtin_convertvector(reinterpret_cast<Ints>(value), Shorts);
            *reinterpret_cast<LooseShorts*>(fine + at + c) = whole;
        }
    }
}

void to_pairs(const std::int16_t* fine, int tokens, int dim, std::int32_t* pairs) {
    const int groups = (tokens + kLanes - 1) / kLanes;
    for (int g = 0; g < groups; ++g) {
        std::int32_t* group = pairs + static_cast<std::ptrdiff_t>(g) * dim / 2 * kLanes;
        for (int l = 0; l < kLanes; ++l) {
            const int t = g * kLanes + l;
            const std::int16_t* row = fine + static_cast<std::ptrdiff_t>(t) * dim;
            for (int c = 0; c < dim; c += 2) {
                const int low = t < tokens ? (row[c] + 128) >> 8 : 0;
                const int high = t < tokens ? (row[c + 1] + 128) >> 8 : 0;
                group[c / 2 * kLanes + l] = (low & 0xFFFF) | (high * 65536);
            }
        }
    }
}

// kCount centroids at once, so that a pair of channels is loaded once for all of them.
template <int kCount>
WANDER_LANES_INLINE void assign_some(const std::int32_t* group, int words, const std::int32_t* centroids,
                                     const std::int32_t* norms, int first, Ints& best, Ints& id) {
    Ints dot[kCount] = {};
    for (int w = 0; w < words; ++w) {
        const Ints x = load_ints(group + w * kLanes);
        for (int k = 0; k < kCount; ++k) {
            dot[k] += add_products(x, splat_int(centroids[static_cast<std::ptrdiff_t>(k) * words + w]));
        }
    }
    for (int k = 0; k < kCount; ++k) {
        const Ints score = dot[k] * 2 - splat_int(norms[k]);
        const Ints closer = score > best;
        best = closer ? score : best;
        id = closer ? splat_int(first + k) : id;
    }
}

void assign(const std::int32_t* pairs, int groups, int dim, const std::int32_t* centroids, const std::int32_t* norms,
            int count, std::int32_t* ids) {
    const int words = dim / 2;
    for (int g = 0; g < groups; ++g) {
        const std::int32_t* group = pairs + static_cast<std::ptrdiff_t>(g) * words * kLanes;
        Ints best = splat_int(INT32_MIN);
        Ints id = {};
        int k = 0;
        for (; k + 4 <= count; k += 4) {
            assign_some<4>(group, words, centroids + static_cast<std::ptrdiff_t>(k) * words, norms + k, k, best, id);
        }
        for (; k < count; ++k) {
            assign_some<1>(group, words, centroids + static_cast<std::ptrdiff_t>(k) * words, norms + k, k, best, id);
        }
        *reinterpret_cast<LooseInts*>(ids + static_cast<std::ptrdiff_t>(g) * kLanes) = id;
    }
}

void add_fine(const std::int16_t* fine, int tokens, int dim, const std::int32_t* ids, std::int32_t* sums) {
    for (int t = 0; t < tokens; ++t) {
        const std::int16_t* row = fine + static_cast<std::ptrdiff_t>(t) * dim;
        std::int32_t* sum = sums + static_cast<std::ptrdiff_t>(ids[t]) * dim;
        for (int c = 0; c < dim; c += kLanes) {
            const Shorts whole = *reinterpret_cast<const LooseShorts*>(row + c);
            *reinterpret_cast<LooseInts*>(sum + c) = load_ints(sum + c) + __builtin_convertvector(whole, Ints);
        }
    }
}

void add_squares(const std::int32_t* pairs, int count, int dim, std::int32_t* sums) {
    for (int i = 0; i < dim; i += 4) {
        for (int c = 0; c < dim; c += kLanes) {
            Ints sum[4] = {};
            for (int n = 0; n < count; ++n) {
                const std::int32_t* row = pairs + static_cast<std::ptrdiff_t>(n) * dim;
                const Ints x = load_ints(row + c);
                for (int k = 0; k < 4; ++k) {
                    sum[k] += add_products(splat_int(row[i + k]), x);
                }
            }
            for (int k = 0; k < 4; ++k) {
                *reinterpret_cast<LooseInts*>(sums + static_cast<std::ptrdiff_t>(i + k) * dim + c) = sum[k];
            }
        }
    }
}

void add_rows(const float* rows, int tokens, int dim, const std::int32_t* ids, float* sums) {
    const int whole = dim / kLanes * kLanes;
    for (int t = 0; t < tokens; ++t) {
        const float* row = rows + static_cast<std::ptrdiff_t>(t) * dim;
        float* sum = sums + static_cast<std::ptrdiff_t>(ids ? ids[t] : 0) * dim;
        for (int c = 0; c < whole; c += kLanes) {
            store(sum + c, load(sum + c) + load(row + c));
        }
        for (int c = whole; c < dim; ++c) {
            sum[c] += row[c];
        }
    }
}

WANDER_LANES_INLINE Floats in_pairs(const Floats (&parts)[kSumParts]) {
    return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

WANDER_LANES_INLINE Floats scale_of(Ints byte) { // e4m3 bytes 0..126 to floats
    const Ints normal = (byte << 20) + (120 << 23);
    return byte < 8 ? __builtin_convertvector(byte, Floats) * 0x1p-9F : reinterpret_cast<Floats>(normal);
}

WANDER_LANES_INLINE Ints nearest_byte(Floats scale) { // as float_to_e4m3, for positive numbers
    const Floats shifted = scale + 0x1p14F;
    const Ints small = reinterpret_cast<Ints>(shifted) & 0xF;
    const Ints bits = reinterpret_cast<Ints>(scale);
    const Ints large = ((bits + 0x7FFFF + ((bits >> 20) & 1)) >> 20) - (120 << 3);
    const Ints byte = scale < 0x1p-6F ? small : large;
    return byte > 126 ? splat_int(126) : byte;
}

void quantise(const float* lanes, int block, std::uint8_t* scales, std::uint32_t* words) {
    Floats power[kSumParts] = {};
    for (int c = 0; c < block; ++c) {
        const Floats r = load(lanes + c * kLanes);
        power[c / kSumStretch % kSumParts] += r * r;
    }
    Floats start = in_pairs(power) / static_cast<float>(block);
    for (int l = 0; l < kLanes; ++l) {
        start[l] = kStartScale * __builtin_sqrtf(start[l]);
    }
    const Ints middle = nearest_byte(start);
    Ints bytes[kScaleCandidates];
    Floats steps[kScaleCandidates];
    Floats errors[kScaleCandidates];
    for (int i = 0; i < kScaleCandidates; ++i) {
        const Ints byte = middle + (i - kScaleCandidates / 2);
        bytes[i] = byte < 0 ? Ints{} : byte > 126 ? splat_int(126) : byte;
        steps[i] = scale_of(bytes[i]);
    }
    Floats magnitudes[kSumParts] = {};
    Floats parts[kScaleCandidates][kSumParts] = {};
    for (int first = 0; first < block; first += kSumStretch) {
        const int part = first / kSumStretch % kSumParts;
        Floats sums[kScaleCandidates];
        for (int i = 0; i < kScaleCandidates; ++i) {
            sums[i] = parts[i][part];
        }
        for (int c = first; c < first + kSumStretch; ++c) {
            const Floats r = load(lanes + c * kLanes);
            const Floats magnitude = r < 0.0F ? -r : r;
            magnitudes[part] += magnitude;
            for (int i = 0; i < kScaleCandidates; ++i) {
                sums[i] += magnitude > steps[i] ? magnitude : steps[i];
            }
        }
        for (int i = 0; i < kScaleCandidates; ++i) {
            parts[i][part] = sums[i];
        }
    }
    const Floats magnitude = in_pairs(magnitudes);
    const Floats square = splat(2.25F * static_cast<float>(block));
    for (int i = 0; i < kScaleCandidates; ++i) {
        const Floats reached = magnitude + in_pairs(parts[i]) * 2.0F;
        errors[i] = square * steps[i] * steps[i] - steps[i] * reached;
    }
    Ints byte = bytes[0];
    Floats least = errors[0];
    for (int i = 1; i < kScaleCandidates; ++i) {
        const Ints better = errors[i] < least;
        least = better ? errors[i] : least;
        byte = better ? bytes[i] : byte;
    }
    for (int l = 0; l < kLanes; ++l) {
        scales[l] = static_cast<std::uint8_t>(byte[l]);
    }
    const Floats step = scale_of(byte);
    for (int w = 0; w < block / 16; ++w) {
        Ints word = {};
        for (int c = 0; c < 16; ++c) {
            const Floats r = load(lanes + (w * 16 + c) * kLanes);
            // A comparison that holds is -1.
            const Ints code = -((r >= -step) + (r >= 0.0F) + (r >= step));
            word |= code << (c / 4 * 8 + 6 - 2 * (c % 4));
        }
        *reinterpret_cast<LooseInts*>(words + static_cast<std::ptrdiff_t>(w) * kLanes) = word;
    }
}

void decode_row(const std::uint8_t* codes, const std::uint8_t* scales, const std::uint16_t* centroid, int dim,
                int block, float middle, float* out) {
    for (int c = 0; c < dim; c += 4) {
        const float scale = e4m3_to_float(scales[c / block]);
        const int byte = codes[c / 4];
        for (int i = 0; i < 4; ++i) {
            const auto code = static_cast<float>((byte >> (6 - 2 * i)) & 3);
            out[c + i] = (code - middle) * scale + bf16_to_float(centroid[c + i]);
        }
    }
}

void add_centroid(const std::uint16_t* centroid, int dim, float* out) {
    for (int c = 0; c < dim; ++c) {
        out[c] += __builtin_bit_cast(float, static_cast<std::uint32_t>(centroid[c]) << 16);
    }
}

void project(const float* lanes, int groups, int dim, const float* basis, float* weights) {
    for (int g = 0; g < groups; ++g) {
        const float* group = lanes + static_cast<std::ptrdiff_t>(g) * dim * kLanes;
        Floats sum[kBasisRank][kSumParts] = {};
        for (int first = 0; first < dim; first += kSumStretch) {
            const int part = first / kSumStretch % kSumParts;
            for (int c = first; c < first + kSumStretch; ++c) {
                const Floats x = load(group + c * kLanes);
                for (int k = 0; k < kBasisRank; ++k) {
                    sum[k][part] += x * splat(basis[k * dim + c]);
                }
            }
        }
        for (int k = 0; k < kBasisRank; ++k) {
            store(weights + static_cast<std::ptrdiff_t>(k * groups + g) * kLanes, in_pairs(sum[k]));
        }
    }
}

void add_basis(const float* weights, const std::uint16_t* basis, int dim, float* out) {
    for (int k = 0; k < kBasisRank; ++k) {
        const float weight = weights[k];
        const std::uint16_t* row = basis + static_cast<std::ptrdiff_t>(k) * dim;
        for (int c = 0; c < dim; ++c) {
            out[c] += weight * __builtin_bit_cast(float, static_cast<std::uint32_t>(row[c]) << 16);
        }
    }
}
