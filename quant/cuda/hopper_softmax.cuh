#pragma once
// What a warpgroup of Hopper's attention (hopper_worker.cuh) does between its products: scores become probabilities
// against peaks that follow at a distance, and sums fade where those grow. Device code for sm_90a alone. (Members of
// the worker and no struct of their own: with one, ptxas makes E4M3's products wait for each other.)

#include "quant/cuda/hopper_scores_again.cuh"
#include "quant/cuda/hopper_worker.cuh"

namespace wander::quant::cuda::hopper {

template <class T>
__device__ inline void Worker<T>::mask(int valid) {
    if (valid >= T::kKeys) [[likely]] {
        return;
    }
#pragma unroll
    for (int i = 0; i < kScores; ++i) {
        if (i / 4 * 8 + thread % 4 * 2 + i % 2 >= valid) {
            scores[i] = -INFINITY;
        }
    }
}

template <class T>
__device__ inline void Worker<T>::find_largest(float (&largest)[2]) const {
    if (below_zero) {
        float chains[4] = {scores[0], scores[1], scores[2], scores[3]}; // two a row
#pragma unroll
        for (int i = 4; i < kScores; ++i) {
            chains[i % 4] = fmaxf(chains[i % 4], scores[i]);
        }
        largest[0] = fmaxf(chains[0], chains[1]);
        largest[1] = fmaxf(chains[2], chains[3]);
    } else {
        const auto bits = [&](int i) { return __float_as_int(scores[i]); };
        int chains[4] = {bits(0), bits(1), bits(2), bits(3)};
#pragma unroll
        for (int i = 4; i < kScores - 4; i += 8) {
#pragma unroll
            for (int chain = 0; chain < 4; ++chain) {
                chains[chain] = __vimax3_s32(chains[chain], bits(i + chain), bits(i + 4 + chain));
            }
        }
#pragma unroll
        for (int chain = 0; chain < 4; ++chain) {
            chains[chain] = max(chains[chain], bits(kScores - 4 + chain));
        }
        largest[0] = __int_as_float(max(chains[0], chains[1]));
        largest[1] = __int_as_float(max(chains[2], chains[3]));
    }
}

template <class T>
__device__ inline void Worker<T>::share_largest(float (&largest)[2]) {
#pragma unroll
    for (int by = 1; by < 4; by *= 2) {
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            largest[row] = fmaxf(largest[row], __shfl_xor_sync(0xffffffffU, largest[row], by));
        }
    }
}

template <class T>
__device__ inline float Worker<T>::shift_of(float peak) const {
    return T::kE4m3 ? fmaf(-peak, steps_scale, kLargestStep) : -peak * rows.scale_log2;
}

template <class T>
__device__ inline bool Worker<T>::outgrows(float score, int row) const {
    return fmaf(score, rows.scale_log2, shift_of(rows.peak[row])) > kMostLog2;
}

template <class T>
template <bool kFirst>
__device__ inline void Worker<T>::follow(float (&largest)[2]) {
    share_largest(largest);
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        if constexpr (kFirst) {
            fade[row] = 0;
            rows.total[row] = 0;
            rows.peak[row] = largest[row];
        } else {
            const float before = rows.peak[row];
            const bool grows = before < 0 ? largest[row] > before : outgrows(largest[row], row);
            rows.peak[row] = grows ? largest[row] : before;
            fade[row] = exp2_fast((before - rows.peak[row]) * rows.scale_log2);
            rows.total[row] *= fade[row];
        }
        if constexpr (T::kE4m3) {
            shift[row] = shift_of(rows.peak[row]);
        }
    }
    below_zero = __any_sync(0xffffffffU, rows.peak[0] < 0 || rows.peak[1] < 0);
}

template <class T>
template <bool kFirst>
__device__ inline void Worker<T>::soften() {
    fade[0] = fade[1] = 1;
    followed = kFirst;
    if constexpr (kFirst || !T::kE4m3) {
        float largest[2];
        find_largest(largest);
        if constexpr (!kFirst) { // no branch for each condition
            const bool either = outgrows(largest[0], 0) | outgrows(largest[1], 1);
            followed = __any_sync(0xffffffffU, either | below_zero);
        }
        if (followed) [[unlikely]] {
            follow<kFirst>(largest);
        }
    }
    if constexpr (!T::kE4m3) {
        shift[0] = shift_of(rows.peak[0]);
        shift[1] = shift_of(rows.peak[1]);
    }
#pragma unroll
    for (int i = 0; i < kScores; i += 2) {
        const int row = i / 2 % 2;
        if constexpr (T::kE4m3) {
            pairs[i / 2] =
                two_whole(fmaf(scores[i], steps_scale, shift[row]), fmaf(scores[i + 1], steps_scale, shift[row]));
        } else {
            scores[i] = exp2_fast(fmaf(scores[i], rows.scale_log2, shift[row]));
            scores[i + 1] = exp2_fast(fmaf(scores[i + 1], rows.scale_log2, shift[row]));
            rows.total[row] += scores[i];
            rows.total[row] += scores[i + 1];
        }
    }
    if constexpr (!kFirst && T::kE4m3) {
        follow_steps();
    }
}

template <class T>
__device__ inline void Worker<T>::follow_steps() {
    std::uint32_t most[2] = {pairs[0], pairs[1]}; // of a row
#pragma unroll
    for (int i = 2; i < kScores / 2; ++i) {
        if (i % 4 >= 2) {
            const int other = i + 2 < kScores / 2 ? i + 2 : i;
            most[i % 2] = __vimax3_s16x2(most[i % 2], pairs[i], pairs[other]);
        }
    }
    followed = __any_sync(0xffffffffU, any_above(most[0], kMostStep) | any_above(most[1], kMostStep));
    if (!followed) [[likely]] {
        return;
    }
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        std::uint32_t largest = max(most[row] & 0xFFFFU, most[row] >> 16U);
        largest = max(largest, __shfl_xor_sync(0xffffffffU, largest, 1));
        largest = max(largest, __shfl_xor_sync(0xffffffffU, largest, 2));
        fade[row] = whole_of(largest);
    }
    leapt = __any_sync(0xffffffffU, fmaxf(fade[0], fade[1]) > kMostExact);
    if (leapt) [[unlikely]] {
        return; // leap() is told by `fade`, which it sets: there is no register to spare
    }
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        const float off = steps_off(fade[row]);
        fade[row] = exp2_fast(-off * (1 / kE4m3Steps));
        shift[row] -= off;
#pragma unroll
        for (int i = row; i < kScores / 2; i += 2) {
            pairs[i] = less_whole(pairs[i], off);
        }
    }
}

template <class T>
__device__ inline void Worker<T>::leap(std::uint32_t keys) {
    const float steps[2] = {fade[0], fade[1]}; // of the largest in a row
    float largest[2] = {-INFINITY, -INFINITY}, again[4];
#pragma unroll 1
    for (bool known = false;; known = true) { // the largest
#pragma unroll 1
        for (int key = 0; key < T::kKeys; key += 8) {
            scores_again(again, address_of(q_matrix), address_of(keys), key, thread);
            if (!known) {
                largest[0] = fmaxf(largest[0], fmaxf(again[0], again[1]));
                largest[1] = fmaxf(largest[1], fmaxf(again[2], again[3]));
                continue;
            }
            std::uint32_t two[2];
#pragma unroll
            for (int row = 0; row < 2; ++row) {
                two[row] = two_whole(fmaf(again[2 * row], steps_scale, shift[row]),
                                     fmaf(again[2 * row + 1], steps_scale, shift[row]));
                two[row] = at_most_whole(two[row], kMostStep); // other sums than before could round up
            }
#pragma unroll
            for (int i = 0; i < kScores / 2; ++i) { // registers have no index
                pairs[i] = i / 2 * 8 == key ? two[i % 2] : pairs[i];
            }
        }
        if (known) {
            return;
        }
        share_largest(largest);
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            const float before = shift[row];
            shift[row] = steps[row] > kMostExact ? shift_of(largest[row]) : before - steps_off(steps[row]);
            fade[row] = exp2_fast((shift[row] - before) * (1 / kE4m3Steps));
        }
    }
}

template <class T>
__device__ inline void Worker<T>::pack() {
    if constexpr (T::kE4m3) {
        // Keys stand in the order that makes these the operand's values: see place_of_row() in expand_rows.cuh.
        const auto four = [&](int low, int high) { return __byte_perm(pairs[low], pairs[high], 0x6420); };
#pragma unroll
        for (int i = 0; i < kWeights / 2; ++i) {
            weights[2 * i] = four(4 * i, 4 * i + 2);
            weights[2 * i + 1] = four(4 * i + 1, 4 * i + 3);
        }
    } else {
#pragma unroll
        for (int i = 0; i < kWeights; ++i) {
            weights[i] = two_bf16(scores[2 * i], scores[2 * i + 1]);
        }
    }
}

template <class T>
__device__ inline void Worker<T>::join(const float (&shrink)[2]) {
#pragma unroll
    for (int i = 0; i < 64; ++i) {
        rows.sums[i] = fmaf(rows.sums[i], shrink[i / 2 % 2], fresh[i]);
    }
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        rows.total[row] = fmaf(rows.total[row], shrink[row], fresh[64 + 2 * row]);
    }
}

template <class T>
template <int kCount>
__device__ inline void Worker<T>::fade_values(float (&values)[kCount]) const {
    if (followed) { // seldom
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            values[i] *= fade[i / 2 % 2];
        }
    }
}

template <class T>
template <bool kFirstOfTwo>
__device__ inline void Worker<T>::fade_sums() {
    if constexpr (!T::kE4m3) {
        fade_values(rows.sums);
    } else if constexpr (kFirstOfTwo) {
        pending[0] = earlier[0] * fade[0];
        pending[1] = earlier[1] * fade[1];
        fade_values(fresh);
    } else {
        join(pending);
    }
}

} // namespace wander::quant::cuda::hopper
