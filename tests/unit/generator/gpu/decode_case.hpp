#pragma once
// What tests of decoders on a GPU share: random pictures and weights, and how far two results are apart.

#include "generator/device.hpp"
#include "generator/plain/result.hpp"
#include "generator/wan/video_decoder.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace wander {

inline constexpr auto kLast = at::MemoryFormat::ChannelsLast;

class DecoderOnGpu : public ::testing::Test {
protected:
    void SetUp() override {
        const auto device = pick_device("cuda", "bf16", 0);
        ASSERT_TRUE(device) << device.error().message;
        at::manual_seed(5);
    }
    static at::Tensor pictures(std::vector<std::int64_t> shape) {
        return (at::randn(shape) * 2).to(at::kCUDA, at::kBFloat16).contiguous(kLast);
    }
    static at::Tensor floats(std::int64_t count) { return at::randn({count}).to(at::kCUDA); }

    c10::InferenceMode inference_;
};

inline double difference(const at::Tensor& a, const at::Tensor& b) {
    return (a.to(at::kCPU, at::kDouble) - b.to(at::kCPU, at::kDouble)).abs().max().item<double>();
}
inline double largest(const at::Tensor& a) { return a.to(at::kCPU, at::kDouble).abs().max().item<double>(); }

// At most one step of bf16 apart, value by value (8 bits of mantissa), and near zero by 1e-6 of the largest.
inline void expect_one_step(const at::Tensor& got, const at::Tensor& want, const std::string& what) {
    const at::Tensor g = got.to(at::kCPU, at::kDouble), w = want.to(at::kCPU, at::kDouble);
    const at::Tensor allowed = w.abs() / 128 + 1e-6 * largest(want);
    EXPECT_TRUE(((g - w).abs() <= allowed).all().item<bool>()) << what << ": off by " << difference(g, w);
}

inline Result<at::Tensor> random_tensor(const std::string& name, const std::vector<std::int64_t>& shape) {
    const at::Tensor r = at::rand(shape) * 2 - 1;
    if (name.ends_with("gamma")) return at::Tensor(r * 0.2 + 1);
    if (name.ends_with("bias")) return at::Tensor(r * 0.1);
    return at::Tensor(r * std::sqrt(3.0 * static_cast<double>(shape[0]) / static_cast<double>(r.numel())));
}

inline at::Tensor in_calls(VideoDecodeStream& stream, const at::Tensor& latents,
                           const std::vector<std::int64_t>& calls) {
    stream.reset();
    std::vector<at::Tensor> parts;
    std::int64_t done = 0;
    for (const std::int64_t count : calls) {
        parts.push_back(stream.decode(latents.narrow(0, done, count)));
        done += count;
    }
    return at::cat(parts);
}

inline double relative_norm(const at::Tensor& got, const at::Tensor& want) {
    const at::Tensor w = want.to(at::kCPU, at::kDouble);
    return (got.to(at::kCPU, at::kDouble) - w).norm().item<double>() / w.norm().item<double>();
}

} // namespace wander
