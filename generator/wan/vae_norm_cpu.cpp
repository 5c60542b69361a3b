#include "generator/wan/vae_norm_cpu.hpp"

#include "generator/nn/plain/simd_loops.hpp"

#include <cmath>

namespace wander {

namespace {

using nn::cpu::narrow;
using nn::cpu::quick_exp;
using nn::cpu::widen;

constexpr int kLanes = 16;
constexpr std::int64_t kMaxRow = 1024;

template <class T>
WANDER_INLINE void run(const RmsSilu& task, const T* in, T* out) {
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
