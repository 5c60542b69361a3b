// The inner product kernel of both halves of attention, 16 queries to a register: C[row][q] += sum_i a(i, row) * b[i][q].
//
// Lanes are 32 bits wide: one float, or a pair of Bf16 whose products are added by the hardware. Scores: i runs over
// channels, rows are tokens. Results: i runs over tokens, rows are channels. Strides count 32-bit lanes.
// Included inside a WANDER_SIMD region.

struct Panel {
    const float* a = nullptr;
    std::ptrdiff_t row_stride = 0;
    std::ptrdiff_t step_stride = 0;
    const float* b = nullptr; // [steps][columns]
    int columns = 0;
    int steps = 0;
    float* c = nullptr;       // [rows][columns]
    const float* shrink = nullptr; // results: C is multiplied by it first; scores: C starts at zero
    float* peak = nullptr;    // scores: takes the largest of each column
};

struct FloatProduct {
    static __m512 add(__m512 sum, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sum); }
    static __m256 add(__m256 sum, __m256 a, __m256 b) { return _mm256_fmadd_ps(a, b, sum); }
};

template <class Product, bool Scores, int Full, bool Tail, int Rows>
void panel_rows(const Panel& panel, int row) {
    __m512 sum[Rows][Full > 0 ? Full : 1];
    __m256 tail[Rows];
    float* c = panel.c + static_cast<std::ptrdiff_t>(row) * panel.columns;
    for (int r = 0; r < Rows; ++r) {
        for (int v = 0; v < Full; ++v) {
            sum[r][v] = Scores ? _mm512_setzero_ps()
                               : _mm512_mul_ps(_mm512_loadu_ps(c + r * panel.columns + 16 * v),
                                               _mm512_loadu_ps(panel.shrink + 16 * v));
        }
        if constexpr (Tail) {
            tail[r] = Scores ? _mm256_setzero_ps()
                             : _mm256_mul_ps(_mm256_loadu_ps(c + r * panel.columns + 16 * Full),
                                             _mm256_loadu_ps(panel.shrink + 16 * Full));
        }
    }
    const float* a = panel.a + row * panel.row_stride;
    const float* b = panel.b;
    const std::ptrdiff_t columns = panel.columns;
    for (int i = 0; i < panel.steps; ++i, a += panel.step_stride, b += columns) {
        __m512 wide[Full > 0 ? Full : 1];
        __m256 narrow_b;
        for (int v = 0; v < Full; ++v) {
            wide[v] = _mm512_loadu_ps(b + 16 * v);
        }
        if constexpr (Tail) {
            narrow_b = _mm256_loadu_ps(b + 16 * Full);
        }
        for (int r = 0; r < Rows; ++r) {
            const __m512 value = _mm512_set1_ps(a[r * panel.row_stride]);
            for (int v = 0; v < Full; ++v) {
                sum[r][v] = Product::add(sum[r][v], value, wide[v]);
            }
            if constexpr (Tail) {
                tail[r] = Product::add(tail[r], _mm512_castps512_ps256(value), narrow_b);
            }
        }
    }
    for (int v = 0; v < Full; ++v) {
        if constexpr (Scores) {
            __m512 peak = _mm512_loadu_ps(panel.peak + 16 * v);
            for (int r = 0; r < Rows; ++r) {
                peak = _mm512_max_ps(peak, sum[r][v]);
            }
            _mm512_storeu_ps(panel.peak + 16 * v, peak);
        }
        for (int r = 0; r < Rows; ++r) {
            _mm512_storeu_ps(c + r * panel.columns + 16 * v, sum[r][v]);
        }
    }
    if constexpr (Tail) {
        if constexpr (Scores) {
            __m256 peak = _mm256_loadu_ps(panel.peak + 16 * Full);
            for (int r = 0; r < Rows; ++r) {
                peak = _mm256_max_ps(peak, tail[r]);
            }
            _mm256_storeu_ps(panel.peak + 16 * Full, peak);
        }
        for (int r = 0; r < Rows; ++r) {
            _mm256_storeu_ps(c + r * panel.columns + 16 * Full, tail[r]);
        }
    }
}

template <class Product, bool Scores, int Full, bool Tail>
void panel_all(const Panel& panel, int rows) {
    int row = 0;
    for (; row + 4 <= rows; row += 4) {
        panel_rows<Product, Scores, Full, Tail, 4>(panel, row);
    }
    for (; row < rows; ++row) {
        panel_rows<Product, Scores, Full, Tail, 1>(panel, row);
    }
}

template <class Product, bool Scores>
void run_panel(const Panel& panel, int rows) {
    using Run = void (*)(const Panel&, int);
    static constexpr Run kRuns[] = {
        nullptr,
        panel_all<Product, Scores, 0, true>,
        panel_all<Product, Scores, 1, false>,
        panel_all<Product, Scores, 1, true>,
        panel_all<Product, Scores, 2, false>,
        panel_all<Product, Scores, 2, true>,
        panel_all<Product, Scores, 3, false>,
        panel_all<Product, Scores, 3, true>,
        panel_all<Product, Scores, 4, false>,
        panel_all<Product, Scores, 4, true>,
        panel_all<Product, Scores, 5, false>,
        panel_all<Product, Scores, 5, true>,
        panel_all<Product, Scores, 6, false>,
    };
    kRuns[panel.columns / 8](panel, rows);
}

// 2^x for x <= 0, by a minimax polynomial on [-1/2, 1/2]. Degree 5: 8e-8 relative; degree 4: 3e-6, far below what Bf16
// keeps.
inline constexpr float kExp2Degree5[] = {1.0000001192092896F,  0.6931469440460205F,   0.24022120237350464F,
                                         0.05550713092088699F, 0.009675540961325169F, 0.0013276472454890609F};
inline constexpr float kExp2Degree4[] = {0.9999992847442627F, 0.6931217908859253F, 0.240247443318367F, 0.05591785907745361F,
                                         0.009570102207362652F};

template <int Degree>
__m512 power_of_two(__m512 x) {
    const __m512 fraction = _mm512_reduce_ps(x, 0);
    const __m512 whole = _mm512_sub_ps(x, fraction);
    __m512 value;
    if constexpr (Degree == 5) {
        value = _mm512_set1_ps(kExp2Degree5[5]);
        for (int i = 4; i >= 0; --i) {
            value = _mm512_fmadd_ps(value, fraction, _mm512_set1_ps(kExp2Degree5[i]));
        }
    } else {
        value = _mm512_set1_ps(kExp2Degree4[4]);
        for (int i = 3; i >= 0; --i) {
            value = _mm512_fmadd_ps(value, fraction, _mm512_set1_ps(kExp2Degree4[i]));
        }
    }
    return _mm512_scalef_ps(value, whole);
}

inline __mmask16 lanes_of(int columns) {
    return columns >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1U << columns) - 1U);
}

// shrink = what sums relative to the old peak are worth relative to the new one; the old peak may be -infinity.
inline void update_peaks(float* old_peak, const float* new_peak, float* shrink, int columns, float scale_log2) {
    for (int column = 0; column < columns; column += 16) {
        const __mmask16 lanes = lanes_of(columns - column);
        const __m512 after = _mm512_maskz_loadu_ps(lanes, new_peak + column);
        const __m512 before = _mm512_maskz_loadu_ps(lanes, old_peak + column);
        const __m512 x = _mm512_mul_ps(_mm512_sub_ps(before, after), _mm512_set1_ps(scale_log2));
        _mm512_mask_storeu_ps(shrink + column, lanes, power_of_two<5>(_mm512_max_ps(x, _mm512_set1_ps(-200.0F))));
        _mm512_mask_storeu_ps(old_peak + column, lanes, after);
    }
}
