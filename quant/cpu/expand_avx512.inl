// Rotation of rows, 16 channels to a register. Included inside a WANDER_SIMD region; the including file defines
// store16(E*, __m512) and portable_keys(), the plain twin for odd shapes.

inline __m512 load16(const float* source) { return _mm512_loadu_ps(source); }
inline __m512 load16(const Bf16* source) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

struct Columns {
    __m512 column[4]; // column j of the 4 x 4 matrix, four times
};

inline Columns load_columns(const float* matrix) {
    Columns columns;
    for (int j = 0; j < 4; ++j) {
        columns.column[j] = _mm512_broadcast_f32x4(_mm_setr_ps(matrix[j], matrix[4 + j], matrix[8 + j], matrix[12 + j]));
    }
    return columns;
}

inline __m512 turn16(const Columns& m, __m512 x) {
    __m512 sum = _mm512_mul_ps(m.column[0], _mm512_permute_ps(x, 0x00));
    sum = _mm512_fmadd_ps(m.column[1], _mm512_permute_ps(x, 0x55), sum);
    sum = _mm512_fmadd_ps(m.column[2], _mm512_permute_ps(x, 0xaa), sum);
    return _mm512_fmadd_ps(m.column[3], _mm512_permute_ps(x, 0xff), sum);
}

template <class In, class E>
void expand_keys(const KeyTile<In, E>& tile, const TileRotation<float>& rotation) {
    if (tile.head_dim % 16 != 0 || !tile.rope) {
        portable_keys(tile, rotation);
        return;
    }
    Columns columns{};
    if (tile.prope) {
        columns = load_columns(rotation.matrix);
    }
    // Channel blocks outside: the time part of a block and the matrix stay in registers for all tokens.
    for (int c = 0; c < tile.head_dim; c += 16) {
        const int time = rotation.time_channels - c < 0 ? 0 : (rotation.time_channels - c > 16 ? 16 : rotation.time_channels - c);
        const auto space = static_cast<__mmask16>(0xffffU << time);
        const __m512 time_cos = _mm512_loadu_ps(rotation.time_cos + c);
        const __m512 time_sin = _mm512_loadu_ps(rotation.time_sin + c);
        const In* row = tile.rows + c;
        std::ptrdiff_t dense = c;
        for (int t = 0; t < tile.tokens; ++t, row += tile.stride, dense += tile.head_dim) {
            const __m512 x = load16(row);
            const __m512 cosine = _mm512_mask_loadu_ps(time_cos, space, rotation.space_cos + dense);
            const __m512 sine = _mm512_mask_loadu_ps(time_sin, space, rotation.space_sin + dense);
            store16(tile.rope + dense, _mm512_fmadd_ps(x, cosine, _mm512_mul_ps(_mm512_permute_ps(x, 0xb1), sine)));
            if (tile.prope) {
                store16(tile.prope + dense, turn16(columns, x));
            }
        }
    }
}
