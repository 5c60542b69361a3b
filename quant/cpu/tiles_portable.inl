// Plain twins of the tile kernels, written so that a compiler can widen the innermost loops. Included once for each
// instruction set that is left to the compiler, inside a namespace of its own.

template <class In, class E>
void expand_keys(const KeyTile<In, E>& tile, const TileRotation<Accum<E>>& rotation) {
    using A = Accum<E>;
    const int dim = tile.head_dim;
    for (int t = 0; t < tile.tokens; ++t) {
        const In* row = tile.rows + t * tile.stride;
        if (tile.rope) {
            const A* space_cos = rotation.space_cos + static_cast<std::ptrdiff_t>(t) * dim;
            const A* space_sin = rotation.space_sin + static_cast<std::ptrdiff_t>(t) * dim;
            E* out = tile.rope + static_cast<std::ptrdiff_t>(t) * dim;
            for (int c = 0; c < dim; ++c) {
                const bool time = c < rotation.time_channels;
                const A cosine = time ? rotation.time_cos[c] : space_cos[c];
                const A sine = time ? rotation.time_sin[c] : space_sin[c];
                out[c] = narrow<E>(static_cast<A>(widen(row[c])) * cosine + static_cast<A>(widen(row[c ^ 1])) * sine);
            }
        }
        if (tile.prope) {
            E* out = tile.prope + static_cast<std::ptrdiff_t>(t) * dim;
            for (int c = 0; c < dim; ++c) {
                const A* matrix = rotation.matrix + (c & 3) * 4;
                const In* group = row + (c & ~3);
                A sum = 0;
                for (int i = 0; i < 4; ++i) {
                    sum += matrix[i] * static_cast<A>(widen(group[i]));
                }
                out[c] = narrow<E>(sum);
            }
        }
    }
}

template <class E>
E* value_slot(E* base, int token, int channel, int dim) {
    if constexpr (std::is_same_v<E, Bf16>) {
        return base + (static_cast<std::ptrdiff_t>(token / 2) * dim + channel) * 2 + (token & 1);
    } else {
        return base + static_cast<std::ptrdiff_t>(token) * dim + channel;
    }
}

template <class In, class E>
void expand_values(const ValueTile<In, E>& tile, const TileRotation<Accum<E>>& rotation) {
    using A = Accum<E>;
    const int dim = tile.head_dim;
    const int padded = std::is_same_v<E, Bf16> ? (tile.tokens + 1) / 2 * 2 : tile.tokens;
    for (int t = 0; t < padded; ++t) {
        const bool real = t < tile.tokens;
        const In* row = tile.rows + t * tile.stride;
        for (int c = 0; c < dim; ++c) {
            if (tile.plain) {
                *value_slot(tile.plain, t, c, dim) = real ? narrow<E>(static_cast<A>(widen(row[c]))) : E{};
            }
            if (tile.prope) {
                A sum = 0;
                for (int i = 0; real && i < 4; ++i) {
                    sum += rotation.matrix[(c & 3) * 4 + i] * static_cast<A>(widen(row[(c & ~3) + i]));
                }
                *value_slot(tile.prope, t, c, dim) = narrow<E>(sum);
            }
        }
    }
}

template <class E>
Accum<E> query_at(const E* queries, int channel, int column, int columns) {
    if constexpr (std::is_same_v<E, Bf16>) {
        return widen(queries[(static_cast<std::ptrdiff_t>(channel / 2) * columns + column) * 2 + (channel & 1)]);
    } else {
        return queries[static_cast<std::ptrdiff_t>(channel) * columns + column];
    }
}

template <class E>
void attend(const AttendTile<E>& tile) {
    using A = Accum<E>;
    const int columns = tile.columns;
    A peak[kMaxColumns];
    A shrink[kMaxColumns];
    for (int q = 0; q < columns; ++q) {
        peak[q] = tile.peak[q];
    }
    for (int t = 0; t < tile.tokens; ++t) {
        A* scores = tile.scores + static_cast<std::ptrdiff_t>(t) * columns;
        for (int q = 0; q < columns; ++q) {
            scores[q] = 0;
        }
        for (int c = 0; c < tile.head_dim; ++c) {
            const A key = static_cast<A>(widen(tile.keys[t * tile.key_stride + c]));
            for (int q = 0; q < columns; ++q) {
                scores[q] += key * query_at(tile.queries, c, q, columns);
            }
        }
        for (int q = 0; q < columns; ++q) {
            peak[q] = scores[q] > peak[q] ? scores[q] : peak[q];
        }
    }
    for (int q = 0; q < columns; ++q) {
        shrink[q] = std::exp2((tile.peak[q] - peak[q]) * tile.scale_log2);
        tile.peak[q] = peak[q];
        tile.weight[q] *= shrink[q];
    }
    for (int t = 0; t < tile.tokens; ++t) {
        A* scores = tile.scores + static_cast<std::ptrdiff_t>(t) * columns;
        for (int q = 0; q < columns; ++q) {
            scores[q] = std::exp2((scores[q] - peak[q]) * tile.scale_log2);
            tile.weight[q] += scores[q];
            if constexpr (std::is_same_v<E, Bf16>) {
                scores[q] = widen(narrow<Bf16>(scores[q]));
            }
        }
    }
    for (int c = 0; c < tile.head_dim; ++c) {
        A* out = tile.out + static_cast<std::ptrdiff_t>(c) * columns;
        for (int q = 0; q < columns; ++q) {
            out[q] *= shrink[q];
        }
        for (int t = 0; t < tile.tokens; ++t) {
            A value;
            if constexpr (std::is_same_v<E, Bf16>) {
                value = widen(tile.values[(t / 2) * tile.value_stride + c * 2 + (t & 1)]);
            } else {
                value = tile.values[t * tile.value_stride + c];
            }
            const A* scores = tile.scores + static_cast<std::ptrdiff_t>(t) * columns;
            for (int q = 0; q < columns; ++q) {
                out[q] += value * scores[q];
            }
        }
    }
}

template <class E>
constexpr TileKernels<E> kernels() {
    return {&expand_keys<E, E>, &expand_keys<float, E>, &expand_values<E, E>, &expand_values<float, E>, &attend<E>};
}
