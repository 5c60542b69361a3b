#include "generator/nn/plain/gemm_cpu.hpp"

#include <bit>
#include <cassert>

namespace wander::nn::cpu {
namespace {

constexpr std::int64_t panels(std::int64_t out) { return (out + kPanel - 1) / kPanel; }

template <class T>
std::vector<T> pack(const T* weight, std::int64_t out, std::int64_t in, std::int64_t group) {
    std::vector<T> packed(static_cast<std::size_t>(panels(out) * in * kPanel), T{});
    for (std::int64_t o = 0; o < out; ++o) {
        T* panel = packed.data() + o / kPanel * in * kPanel;
        for (std::int64_t i = 0; i < in; ++i) {
            panel[(i / group * kPanel + o % kPanel) * group + i % group] = weight[o * in + i];
        }
    }
    return packed;
}

double value(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
double value(float v) { return v; }
std::uint16_t to_bf16(float v) {
    const auto bits = std::bit_cast<std::uint32_t>(v);
    return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

template <class T>
void reference(const Gemm& task, std::int64_t group) {
    for (std::int64_t row = 0; row < task.rows; ++row) {
        const T* x = static_cast<const T*>(task.x) + row * task.x_stride;
        for (std::int64_t o = 0; o < task.out; ++o) {
            const T* panel = static_cast<const T*>(task.packed) + o / kPanel * task.in * kPanel;
            double sum = task.bias ? static_cast<double>(task.bias[o]) : 0.0;
            for (std::int64_t i = 0; i < task.in; ++i) {
                sum += value(x[i]) * value(panel[(i / group * kPanel + o % kPanel) * group + i % group]);
            }
            const std::ptrdiff_t at = row * task.y_stride + o;
            if (task.narrow) {
                static_cast<std::uint16_t*>(task.y)[at] = to_bf16(static_cast<float>(sum));
                continue;
            }
            static_cast<float*>(task.y)[at] = static_cast<float>(sum);
        }
    }
}

} // namespace

std::vector<float> pack_weight(const float* weight, std::int64_t out, std::int64_t in) {
    return pack(weight, out, in, 1);
}

std::vector<std::uint16_t> pack_weight(const std::uint16_t* weight, std::int64_t out, std::int64_t in) {
    assert(in % 2 == 0);
    return pack(weight, out, in, 2);
}

void gemm_reference(GemmKernel kernel, const Gemm& task) {
    if (kernel == GemmKernel::bf16_avx512)
        reference<std::uint16_t>(task, 2);
    else
        reference<float>(task, 1);
}

} // namespace wander::nn::cpu
