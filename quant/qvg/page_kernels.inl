// The inner loops in vectors of 16 lanes; the compiler cuts them into what the instruction set has. Included once for
// each instruction set, inside a namespace of its own.

typedef float Floats __attribute__((vector_size(64)));
typedef std::int32_t Ints __attribute__((vector_size(64)));
typedef float LooseFloats __attribute__((vector_size(64), aligned(4), may_alias));
typedef std::int32_t LooseInts __attribute__((vector_size(64), aligned(4), may_alias));

#define WANDER_LANES_INLINE static inline __attribute__((always_inline))

WANDER_LANES_INLINE Floats load(const float* from) { return *reinterpret_cast<const LooseFloats*>(from); }
WANDER_LANES_INLINE void store(float* to, Floats value) { *reinterpret_cast<LooseFloats*>(to) = value; }
WANDER_LANES_INLINE Floats splat(float value) { return Floats{} + value; }
WANDER_LANES_INLINE Ints splat_int(std::int32_t value) { return Ints{} + value; }

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

// kCount centroids at once, so that a channel is loaded once for all of them.
template <int kCount>
WANDER_LANES_INLINE void assign_some(const float* group, int dim, const float* centroids, const float* half_norms,
                                     int first, Floats& best, Ints& id) {
    Floats dot[kCount] = {};
    for (int c = 0; c < dim; ++c) {
        const Floats x = load(group + c * kLanes);
        for (int k = 0; k < kCount; ++k) {
            dot[k] += x * splat(centroids[static_cast<std::ptrdiff_t>(k) * dim + c]);
        }
    }
    for (int k = 0; k < kCount; ++k) {
        const Floats score = dot[k] - splat(half_norms[k]);
        const Ints closer = score > best;
        best = closer ? score : best;
        id = closer ? splat_int(first + k) : id;
    }
}

void assign(const float* lanes, int groups, int dim, const float* centroids, const float* half_norms, int count,
            std::int32_t* ids) {
    for (int g = 0; g < groups; ++g) {
        const float* group = lanes + static_cast<std::ptrdiff_t>(g) * dim * kLanes;
        Floats best = splat(-__builtin_inff());
        Ints id = {};
        int k = 0;
        for (; k + 4 <= count; k += 4) {
            assign_some<4>(group, dim, centroids + static_cast<std::ptrdiff_t>(k) * dim, half_norms + k, k, best, id);
        }
        for (; k < count; ++k) {
            assign_some<1>(group, dim, centroids + static_cast<std::ptrdiff_t>(k) * dim, half_norms + k, k, best, id);
        }
        *reinterpret_cast<LooseInts*>(ids + static_cast<std::ptrdiff_t>(g) * kLanes) = id;
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
    Floats power = {};
    for (int c = 0; c < block; ++c) {
        const Floats r = load(lanes + c * kLanes);
        power += r * r;
    }
    Floats start = power / static_cast<float>(block);
    for (int l = 0; l < kLanes; ++l) {
        start[l] = kStartScale * __builtin_sqrtf(start[l]);
    }
    const Ints middle = nearest_byte(start);
    Ints bytes[kScaleCandidates];
    Floats steps[kScaleCandidates];
    Floats errors[kScaleCandidates] = {};
    for (int i = 0; i < kScaleCandidates; ++i) {
        const Ints byte = middle + (i - kScaleCandidates / 2);
        bytes[i] = byte < 0 ? Ints{} : byte > 126 ? splat_int(126) : byte;
        steps[i] = scale_of(bytes[i]);
    }
    for (int c = 0; c < block; ++c) {
        const Floats r = load(lanes + c * kLanes);
        const Floats magnitude = r < 0.0F ? -r : r;
        for (int i = 0; i < kScaleCandidates; ++i) {
            const Floats level = (magnitude < steps[i] ? splat(0.5F) : splat(1.5F)) * steps[i];
            const Floats miss = magnitude - level;
            errors[i] += miss * miss;
        }
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
        Floats sum[kBasisRank] = {};
        for (int c = 0; c < dim; ++c) {
            const Floats x = load(group + c * kLanes);
            for (int k = 0; k < kBasisRank; ++k) {
                sum[k] += x * splat(basis[k * dim + c]);
            }
        }
        for (int k = 0; k < kBasisRank; ++k) {
            store(weights + static_cast<std::ptrdiff_t>(k * groups + g) * kLanes, sum[k]);
        }
    }
}

void add_weighted(const float* rows, int tokens, int dim, const float* weights, float* sums) {
    const int padded = (tokens + kLanes - 1) / kLanes * kLanes;
    for (int t = 0; t < tokens; ++t) {
        const float* row = rows + static_cast<std::ptrdiff_t>(t) * dim;
        float* part = sums + static_cast<std::ptrdiff_t>(t % kMeanParts) * kBasisRank * dim;
        for (int c = 0; c < dim; c += kLanes) {
            const Floats x = load(row + c);
            for (int k = 0; k < kBasisRank; ++k) {
                float* sum = part + k * dim + c;
                store(sum, load(sum) + x * splat(weights[k * padded + t]));
            }
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
