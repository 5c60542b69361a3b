#include "generator/wan/vae_norm_cpu.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

// Run-time dispatch by the loader; sanitizers run before the resolvers can, so they get the plain version.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WANDER_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WANDER_CLONES
#endif

namespace wander {

namespace {

constexpr int kLanes = 16;
constexpr std::int64_t kMaxRow = 1024;

// exp(x) to 2 ulp for |x| <= 87: 2^n * 2^f with f in [-0.5, 0.5]. Branch free, so that loops over it become SIMD.
inline float quick_exp(float x) {
    x = x < -87.0f ? -87.0f : (x > 87.0f ? 87.0f : x);
    const float t = x * 1.44269504088896f;
    const float n = static_cast<float>(static_cast<std::int32_t>(t + (t < 0 ? -0.5f : 0.5f)));
    const float f = t - n;
    float p = 1.5403530e-4f;
    p = p * f + 1.3333558e-3f;
    p = p * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    return p * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}

inline float widen(float v) { return v; }
inline float widen(std::uint16_t v) { return std::bit_cast<float>(static_cast<std::uint32_t>(v) << 16); }
inline void narrow(float v, float& out) { out = v; }
inline void narrow(float v, std::uint16_t& out) {
    const auto bits = std::bit_cast<std::uint32_t>(v);
    out = static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

template <class T>
inline __attribute__((always_inline)) void run(const RmsSilu& task, const T* in, T* out) {
    const std::int64_t channels = task.channels;
    float row[kMaxRow];
    for (std::int64_t pixel = 0; pixel < task.pixels; ++pixel, in += channels, out += channels) {
        float sums[kLanes] = {};
        std::int64_t c = 0;
        for (; c + kLanes <= channels; c += kLanes) {
            for (int j = 0; j < kLanes; ++j) {
                const float v = widen(in[c + j]);
                row[c + j] = v;
                sums[j] += v * v;
            }
        }
        float sum = 0;
        for (float s : sums) sum += s;
        for (; c < channels; ++c) {
            row[c] = widen(in[c]);
            sum += row[c] * row[c];
        }
        const float scale = 1.0f / std::sqrt(sum / static_cast<float>(channels) + task.eps);
        if (task.silu) {
            for (c = 0; c < channels; ++c) {
                const float v = row[c] * scale * task.gamma[c];
                narrow(v / (1.0f + quick_exp(-v)), out[c]);
            }
        } else {
            for (c = 0; c < channels; ++c) narrow(row[c] * scale * task.gamma[c], out[c]);
        }
    }
}

} // namespace

WANDER_CLONES void rms_silu(const RmsSilu& task, const float* in, float* out) { run(task, in, out); }

WANDER_CLONES void rms_silu_bf16(const RmsSilu& task, const std::uint16_t* in, std::uint16_t* out) {
    run(task, in, out);
}

void rms_silu_reference(const RmsSilu& task, const float* in, float* out) {
    for (std::int64_t pixel = 0; pixel < task.pixels; ++pixel) {
        const float* x = in + pixel * task.channels;
        double sum = 0;
        for (std::int64_t c = 0; c < task.channels; ++c) sum += static_cast<double>(x[c]) * x[c];
        const double scale = 1.0 / std::sqrt(sum / static_cast<double>(task.channels) + static_cast<double>(task.eps));
        for (std::int64_t c = 0; c < task.channels; ++c) {
            const double v = x[c] * scale * task.gamma[c];
            out[pixel * task.channels + c] = static_cast<float>(task.silu ? v / (1.0 + std::exp(-v)) : v);
        }
    }
}

} // namespace wander
