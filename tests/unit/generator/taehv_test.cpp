// The tiny autoencoder without any checkpoint: the slips that give a plausible but wrong picture, each with a test that
// fails when it is made; calls of any size; names.

#include "generator/wan/taehv.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

namespace wander {
namespace {

TaehvConfig small() {
    TaehvConfig config;
    config.decoder_channels = {12, 8, 6, 6};
    config.encoder_channels = 6;
    config.memory_blocks = 2;
    return config;
}

using Tensors = std::map<std::string, at::Tensor>;

Tensors random_tensors(const TaehvConfig& config) {
    at::manual_seed(3);
    Tensors tensors;
    for (const auto& [name, shape] : config.tensor_shapes(true, true)) {
        const at::Tensor r = at::rand(shape, at::kDouble) * 2 - 1;
        const double fan_in = static_cast<double>(r.numel()) / static_cast<double>(shape[0]);
        tensors[name] = r * (name.ends_with("bias") ? 0.1 : std::sqrt(3.0 / fan_in));
    }
    return tensors;
}

Result<Taehv> load(const TaehvConfig& config, const Tensors& tensors) {
    return Taehv::load(
        config,
        [&tensors](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
            const auto found = tensors.find(name);
            if (found == tensors.end()) return Error{ErrorCode::bad_input, "no tensor " + name};
            if (found->second.sizes() != at::IntArrayRef(shape))
                return Error{ErrorCode::bad_input, name + " has another shape"};
            return found->second;
        },
        at::kCPU, at::kDouble, true, true);
}

double difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

// The published list of modules, word by word, over a whole clip at once.
at::Tensor plain_decode(const TaehvConfig& config, const Tensors& tensors, at::Tensor x) {
    const auto conv = [&tensors](const std::string& name, const at::Tensor& in) {
        const at::Tensor& weight = tensors.at(name + ".weight");
        const auto bias = tensors.find(name + ".bias");
        return at::conv2d(in, weight, bias == tensors.end() ? at::Tensor() : bias->second, 1, weight.size(-1) / 2);
    };
    const auto rectify = [&config](const at::Tensor& in) {
        return config.leak > 0 ? at::leaky_relu(in, config.leak) : in.relu();
    };
    int index = 0;
    const auto next = [&index] { return "decoder." + std::to_string(index++); };
    next();
    for (std::size_t i = 0; i < config.latent_mean.size(); ++i)
        x.select(1, static_cast<std::int64_t>(i)).mul_(config.latent_std[i]).add_(config.latent_mean[i]);
    x = at::tanh(x / 3) * 3;
    x = rectify(conv(next(), x));
    next();
    for (const bool doubles : config.decoder_time_upscale) {
        for (int block = 0; block < config.memory_blocks; ++block) {
            const std::string name = next() + ".conv.";
            const at::Tensor before = at::cat({at::zeros_like(x.narrow(0, 0, 1)), x.narrow(0, 0, x.size(0) - 1)});
            at::Tensor h = rectify(conv(name + "0", at::cat({x, before}, 1)));
            h = rectify(conv(name + "2", h));
            x = rectify(conv(name + "4", h) + x);
        }
        next();
        x = at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});
        x = conv(next() + ".conv", x);
        if (doubles) x = x.reshape({2 * x.size(0), x.size(1) / 2, x.size(2), x.size(3)});
        x = conv(next(), x);
    }
    next();
    x = conv(next(), rectify(x));
    // Of a square of pixels: colour, then row, then column.
    const int patch = config.patch;
    return x.reshape({x.size(0), 3, patch, patch, x.size(2), x.size(3)})
        .permute({0, 1, 4, 2, 5, 3})
        .reshape({x.size(0), 3, patch * x.size(2), patch * x.size(3)});
}

// Pixels in squares, LeakyReLU and latents of the VAE's own scale, as of LightX2V's for HunyuanVideo 1.5.
TaehvConfig other_conventions() {
    TaehvConfig config = small();
    config.z = 8;
    config.patch = 2;
    config.leak = 0.2;
    for (int i = 0; i < config.z; ++i) {
        config.latent_mean.push_back(0.1 * i - 0.3);
        config.latent_std.push_back(0.5 + 0.1 * i);
    }
    config.range = {-1, 1};
    return config;
}

TEST(Taehv, EqualsTheListOfModulesAndDropsTheStartOnce) {
    for (const TaehvConfig& config : {small(), other_conventions()}) {
        const Tensors tensors = random_tensors(config);
        const Taehv taehv = *load(config, tensors);
        EXPECT_EQ(taehv.range().black, config.range.black);
        const at::Tensor latents = at::randn({5, config.z, 2, 3}, at::kDouble) * 2;
        const at::Tensor want = plain_decode(config, tensors, latents.clone());
        ASSERT_EQ(want.sizes(), (std::vector<std::int64_t>{20, 3, 16 * config.patch, 24 * config.patch}));
        auto stream = taehv.decode_stream();
        const at::Tensor whole = stream.decode(latents);
        ASSERT_EQ(whole.size(0), 17); // three frames less, once
        EXPECT_LE(difference(whole, want.narrow(0, 3, 17)), 1e-12);
        stream.reset();
        std::vector<at::Tensor> parts;
        for (const auto& [begin, count] : {std::pair<int, int>{0, 1}, {1, 3}, {4, 1}}) {
            parts.push_back(stream.decode(latents.narrow(0, begin, count)));
            EXPECT_EQ(parts.back().size(0), taehv.frames_of(count, begin == 0));
        }
        EXPECT_LE(difference(at::cat(parts), want.narrow(0, 3, 17)), 1e-12);
    }
}

TEST(Taehv, ARestoredStreamGivesTheSameBits) {
    const TaehvConfig config = other_conventions();
    const Taehv taehv = *load(config, random_tensors(config));
    const at::Tensor latents = at::randn({5, config.z, 2, 3}, at::kDouble);
    auto stream = taehv.decode_stream();
    EXPECT_TRUE(stream.save().empty());
    stream.decode(latents.narrow(0, 0, 3));
    const auto saved = stream.save();
    EXPECT_EQ(saved.size(), 6U);
    const at::Tensor went_on = stream.decode(latents.narrow(0, 3, 2));
    ASSERT_EQ(went_on.size(0), 8);
    auto other = taehv.decode_stream();
    ASSERT_TRUE(other.restore(saved));
    EXPECT_TRUE(at::equal(other.decode(latents.narrow(0, 3, 2)), went_on));
    // Not its state: a block missing, one of other sizes, one too many. Nothing changes then.
    ASSERT_TRUE(other.restore(saved));
    auto wrong = saved;
    wrong.erase("decoder.4");
    EXPECT_FALSE(other.restore(wrong));
    wrong["decoder.4"] = at::zeros({1, 12, 2, 4}, at::kDouble);
    EXPECT_FALSE(other.restore(wrong));
    wrong = saved;
    wrong["decoder.99"] = saved.at("decoder.4");
    EXPECT_FALSE(other.restore(wrong));
    auto larger = taehv.decode_stream();
    larger.decode(at::randn({1, config.z, 3, 3}, at::kDouble));
    EXPECT_FALSE(larger.restore(saved)) << "of another picture size";
    EXPECT_TRUE(at::equal(other.decode(latents.narrow(0, 3, 2)), went_on));
    ASSERT_TRUE(other.restore({}));
    EXPECT_EQ(other.decode(latents.narrow(0, 0, 1)).size(0), 1) << "a new video";
}

// Memory blocks remember one step each: what was eight latents ago is forgotten, so whoever begins anew with sixteen
// that lead it there has the same state.
TEST(Taehv, NineLatentsLeadAFreshStreamToTheSameState) {
    TaehvConfig config = small();
    config.memory_blocks = 3; // as published
    const Taehv taehv = *load(config, random_tensors(config));
    const at::Tensor latents = at::randn({14, 16, 2, 3}, at::kDouble);
    auto whole = taehv.decode_stream();
    const at::Tensor all = whole.decode(latents);
    auto led = taehv.decode_stream();
    led.decode(latents.narrow(0, 3, 9));
    EXPECT_LE(difference(led.decode(latents.narrow(0, 12, 2)), all.narrow(0, all.size(0) - 8, 8)), 1e-12);
}

TEST(Taehv, EncodesPixelsInSquares) {
    TaehvConfig config = other_conventions();
    const Taehv taehv = *load(config, random_tensors(config));
    const at::Tensor frames = at::rand({4, 3, 32, 48}, at::kDouble);
    auto stream = taehv.encode_stream();
    EXPECT_EQ(stream.encode(frames).sizes(), (std::vector<std::int64_t>{1, 8, 2, 3}));
    EXPECT_EQ(taehv.encode_stream().encode(frames.narrow(0, 0, 2)).sizes(), (std::vector<std::int64_t>{0, 8, 2, 3}));
}

TEST(Taehv, TakesLatentsAsTheSamplerMakesThemAndGivesZeroToOne) {
    // A network that only passes on: with latents of the VAE's own scale, or with [-1, 1] for pictures, the grey
    // of zero latents would be another one.
    const TaehvConfig config = small();
    Tensors tensors = random_tensors(config);
    const Taehv taehv = *load(config, tensors);
    EXPECT_EQ(taehv.range().black, 0.0f);
    EXPECT_EQ(taehv.range().white, 1.0f);
    EXPECT_EQ(taehv.name(), "tiny");
    const at::Tensor latents = at::randn({2, 16, 2, 3}, at::kDouble);
    auto stream = taehv.decode_stream();
    const at::Tensor got = stream.decode(latents);
    EXPECT_LE(difference(got, plain_decode(config, tensors, latents).narrow(0, 3, 5)), 1e-12);
    const at::Tensor scaled = plain_decode(config, tensors, latents * 2.3 - 0.7).narrow(0, 3, 5);
    EXPECT_GT(difference(got, scaled), 1e-3);
}

TEST(Taehv, TheTimeChangesOfStrideOneAreConvolutions) {
    const TaehvConfig config = small();
    Tensors tensors = random_tensors(config);
    const at::Tensor latents = at::randn({2, 16, 2, 3}, at::kDouble);
    const at::Tensor frames = at::rand({4, 3, 16, 24}, at::kDouble);
    const at::Tensor decoded = load(config, tensors)->decode_stream().decode(latents);
    const at::Tensor encoded = load(config, tensors)->encode_stream().encode(frames);
    tensors.at("decoder.6.conv.weight").mul_(-1); // behind two memory blocks
    tensors.at("encoder.10.conv.weight").mul_(-1);
    EXPECT_GT(difference(load(config, tensors)->decode_stream().decode(latents), decoded), 1e-3);
    EXPECT_GT(difference(load(config, tensors)->encode_stream().encode(frames), encoded), 1e-3);
}

TEST(Taehv, OfMoreChannelsThanWantedTheLastOnesCount) {
    TaehvConfig preview = small();
    preview.decoder_time_upscale = {false, false, false};
    const Tensors tensors = random_tensors(preview);
    TaehvConfig cut = preview;
    cut.stored_time_upscale = {false, false, false};
    Tensors last = tensors;
    const auto keep_last = [&last](const std::string& name, std::int64_t rows) {
        last[name] = last[name].narrow(0, last[name].size(0) - rows, rows).contiguous();
    };
    keep_last("decoder.11.conv.weight", 8);
    keep_last("decoder.16.conv.weight", 6);
    const at::Tensor latents = at::randn({3, 16, 2, 3}, at::kDouble);
    const at::Tensor got = load(preview, tensors)->decode_stream().decode(latents);
    EXPECT_EQ(got.size(0), 3); // one frame a latent, none dropped
    EXPECT_LE(difference(got, load(cut, last)->decode_stream().decode(latents)), 1e-12);

    TaehvConfig greedy = small();
    greedy.stored_time_upscale = {false, false, false};
    const auto refused = load(greedy, last);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("decoder.11.conv"), std::string::npos) << refused.error().message;
}

TEST(Taehv, EncodesInGroupsOfFourAndFillsTheLastWithItsLastFrame) {
    const TaehvConfig config = small();
    const Taehv taehv = *load(config, random_tensors(config));
    const at::Tensor frames = at::rand({10, 3, 16, 24}, at::kDouble);
    auto stream = taehv.encode_stream();
    const at::Tensor padded = at::cat({frames, frames.narrow(0, 9, 1), frames.narrow(0, 9, 1)});
    const at::Tensor want = stream.encode(padded);
    ASSERT_EQ(want.sizes(), (std::vector<std::int64_t>{3, 16, 2, 3}));
    EXPECT_EQ(stream.finish().size(0), 0);
    std::vector<at::Tensor> parts;
    std::int64_t begin = 0;
    for (const std::int64_t count : {1, 5, 3, 1}) {
        parts.push_back(stream.encode(frames.narrow(0, begin, count)));
        begin += count;
    }
    parts.push_back(stream.finish());
    EXPECT_LE(difference(at::cat(parts), want), 1e-12);
    EXPECT_EQ(taehv.encode_stream().encode(frames.narrow(0, 0, 2)).size(0), 0);
}

TEST(Taehv, SaysWhichTensorsItNeeds) {
    const TaehvConfig published;
    const auto shapes = published.tensor_shapes(true, true);
    EXPECT_EQ(shapes.size(), 128u);
    EXPECT_EQ(shapes.at("decoder.7.conv.weight"), (std::vector<std::int64_t>{256, 256, 1, 1}));
    EXPECT_EQ(shapes.at("decoder.19.conv.weight"), (std::vector<std::int64_t>{128, 64, 1, 1}));
    EXPECT_EQ(shapes.at("encoder.12.conv.weight"), (std::vector<std::int64_t>{64, 64, 1, 1}));
    const auto missing = load(published, {});
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("no tensor"), std::string::npos);
}

} // namespace
} // namespace wander
