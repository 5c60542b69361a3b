#pragma once
// What tests of decoders on a GPU share: random pictures and weights, how far two results are apart, and what every
// full VAE must keep to.

#include "generator/device.hpp"
#include "generator/plain/result.hpp"
#include "generator/wan/video_decoder.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
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

// load(compute type, tuning): the same random VAE each time. Its fused decoder against its plain one in float32: bf16
// activations through some forty layers, 3 % of the norm; the plain bf16 path is no nearer.
template <class Load>
void expect_fused_follows(const Load& load, const at::Tensor& latents) {
    DecodeTuning plain;
    plain.plain = true;
    auto exact = load(at::kFloat, plain).decode_stream();
    auto twin = load(at::kBFloat16, plain).decode_stream();
    auto fused = load(at::kBFloat16, DecodeTuning()).decode_stream();
    const at::Tensor want = in_calls(exact, latents, {7});
    const at::Tensor got = in_calls(fused, latents, {1, 2, 4});
    ASSERT_EQ(got.sizes(), want.sizes());
    const double error = relative_norm(got, want);
    EXPECT_LE(error, 0.03);
    EXPECT_LE(error, 1.2 * relative_norm(in_calls(twin, latents, {7}), want));
    DecodeTuning narrow;
    narrow.pixels_per_pass = 1;
    auto sliced = load(at::kBFloat16, narrow).decode_stream();
    EXPECT_LE(relative_norm(in_calls(sliced, latents, {1, 1, 2, 3}), got), 0.01);
    EXPECT_LE(relative_norm(in_calls(fused, latents, {7}), got), 0.01);
    EXPECT_TRUE(at::equal(in_calls(fused, latents, {1, 2, 4}), got)) << "something is left of the first video";
}

// Of the same VAE: restored behind the third of five latents, another stream gives the same bits, and the plain one
// goes on as the fused one would.
template <class Load>
void expect_restored_goes_on(const Load& load, const at::Tensor& latents) {
    const auto vae = load(at::kBFloat16, DecodeTuning());
    auto stream = vae.decode_stream();
    stream.decode(latents.narrow(0, 0, 3));
    const auto saved = stream.save();
    const at::Tensor went_on = stream.decode(latents.narrow(0, 3, 2));
    std::map<std::string, at::Tensor> on_disk; // as contiguous tensors of the host
    for (const auto& [name, frames] : saved) on_disk[name] = frames.cpu().contiguous();
    auto other = vae.decode_stream();
    for (const auto& state : {saved, on_disk}) {
        EXPECT_TRUE(other.restore(state));
        EXPECT_TRUE(at::equal(other.decode(latents.narrow(0, 3, 2)), went_on));
    }
    // The plain path keeps the same frames under the same names.
    DecodeTuning tuning;
    tuning.plain = true;
    auto plain = load(at::kBFloat16, tuning).decode_stream();
    plain.decode(latents.narrow(0, 0, 3));
    const auto plain_saved = plain.save();
    ASSERT_EQ(plain_saved.size(), saved.size());
    for (const auto& [name, frames] : plain_saved) {
        ASSERT_TRUE(saved.contains(name)) << name;
        ASSERT_EQ(saved.at(name).sizes(), frames.sizes()) << name;
        EXPECT_LE(relative_norm(saved.at(name), frames), 0.03) << name;
    }
    EXPECT_TRUE(plain.restore(saved));
    EXPECT_LE(relative_norm(plain.decode(latents.narrow(0, 3, 2)), went_on), 0.03);
}

} // namespace wander
