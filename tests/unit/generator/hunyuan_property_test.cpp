// In float64, on random weights: what must not change the 8B transformer's result does not (hy-worldplay.md 12).

#include "generator/camera/latent_camera.hpp"
#include "generator/hunyuan/hunyuan_dit_weights.hpp"
#include "tests/unit/generator/small_hunyuan.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace wander {
namespace {

using test::good;
using test::kCols;
using test::kRows;
using test::kTokens;

class HunyuanProperties : public testing::Test {
protected:
    HunyuanProperties()
        : dit_(good(HunyuanDit::load(test::small_hunyuan(), test::random_hunyuan_weight, at::kCPU, at::kDouble))),
          side_(
              good(HunyuanTextSide::load(test::small_hunyuan(), test::random_hunyuan_weight, at::kCPU, at::kDouble))) {
        at::set_num_threads(1); // these tensors are so small that torch's threads would only wait for each other
        cache_ = test::small_hunyuan_cache();
        prompt_.text = gaussian_tensor(1, {5, 12});
        prompt_.vision = gaussian_tensor(2, {7, 10});
        prompt_.glyph = gaussian_tensor(3, {3, 6});
        for (int i = 0; i < 8; ++i) {
            cameras_.push_back(moved(i == 0 ? Matrix4{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1} : cameras_.back(),
                                     {.forward = 0.3, .right = 0.1 * i, .yaw = 0.2, .pitch = 0.05 * i}));
        }
    }

    quant::ReadView view(const std::vector<int>& history, const std::vector<int>& chunk) const {
        quant::ReadView view;
        dit_.fill_rope(view, kRows, kCols);
        view.prope = true;
        view.first_latent = std::ssize(history);
        view.latents = static_cast<int>(chunk.size());
        for (const int latent : history) view.history_positions.push_back(static_cast<float>(latent));
        for (const int latent : chunk) view.new_positions.push_back(static_cast<float>(latent));
        const auto stacked = [&](const std::vector<int>& latents, bool inverse) {
            std::vector<at::Tensor> matrices = {at::empty({0, 4, 4})};
            for (const int latent : latents) {
                PropeMatrices pair =
                    prope_matrices(rigid_inverse(cameras_[static_cast<std::size_t>(latent)]), kDefaultFocal);
                Matrix4& m = inverse ? pair.inverse : pair.projection;
                matrices.push_back(at::from_blob(m.data(), {1, 4, 4}, at::kDouble).to(at::kFloat));
            }
            return at::cat(matrices);
        };
        view.history_inverse = stacked(history, true);
        view.new_inverse = stacked(chunk, true);
        view.new_projection = stacked(chunk, false);
        return view;
    }

    WorldPlayPass pass(const std::vector<int>& latents, double timestep, bool context) const {
        WorldPlayPass pass;
        std::vector<at::Tensor> rows;
        for (const int latent : latents) {
            rows.push_back(gaussian_tensor(static_cast<std::uint64_t>(100 + latent), {4, kRows, kCols}));
            pass.labels.push_back(latent * 9 % 81);
        }
        pass.latents = at::stack(rows);
        pass.timesteps.assign(latents.size(), timestep);
        pass.context = context;
        return pass;
    }

    // Latents 4..7 after a context of the given ones, in this order.
    at::Tensor velocity(const std::vector<int>& context) {
        cache_->clear();
        cache_->begin_chunk(view({}, context));
        dit_.forward(pass(context, 14, true), *cache_);
        cache_->commit();
        cache_->begin_chunk(view(context, {4, 5, 6, 7}));
        return dit_.forward(pass({4, 5, 6, 7}, 937.5, false), *cache_);
    }

    static double relative(const at::Tensor& a, const at::Tensor& b) {
        return ((a - b).abs().max() / b.abs().max()).item<double>();
    }

    c10::InferenceMode inference_;
    HunyuanDit dit_;
    HunyuanTextSide side_;
    std::unique_ptr<quant::KvCache> cache_;
    HunyuanPrompt prompt_;
    std::vector<Matrix4> cameras_; // camera to world
};

TEST_F(HunyuanProperties, OrderOfTheContextHasNoMeaning) {
    cache_->set_text(side_.encode(prompt_).layers);
    const at::Tensor plain = velocity({0, 1, 2, 3});
    EXPECT_LT(relative(velocity({2, 0, 3, 1}), plain), 1e-12); // positions and cameras move along
    EXPECT_GT(relative(velocity({0, 1, 2}), plain), 1e-4) << "the context has no influence here";
}

// Without text only relative poses count; the text's keys are not turned, so with it absolute ones do.
TEST_F(HunyuanProperties, AWorldTransformIsSeenThroughTheTextAlone) {
    const auto moved_world = [&] {
        const Matrix4 motion = moved(cameras_[3], {.forward = 2, .right = 1, .yaw = 1, .pitch = 0.3});
        for (Matrix4& camera : cameras_) camera = multiply(motion, camera);
    };
    const auto kept = cameras_;
    const at::Tensor alone = velocity({0, 1, 2, 3});
    moved_world();
    EXPECT_LT(relative(velocity({0, 1, 2, 3}), alone), 1e-5); // matrices are float32
    cache_->set_text(side_.encode(prompt_).layers);
    const at::Tensor with_text = velocity({0, 1, 2, 3});
    cameras_ = kept;
    EXPECT_GT(relative(velocity({0, 1, 2, 3}), with_text), 1e-3);
}

// Identity cameras and lenses: the second branch is attention without any position.
TEST_F(HunyuanProperties, IdentityCamerasTurnNothing) {
    const HunyuanTextCache text = side_.encode(prompt_);
    cache_->set_text(text.layers);
    quant::ReadView identity = view({}, {0, 1, 2, 3});
    identity.new_inverse = at::eye(4, at::kFloat).expand({4, 4, 4}).contiguous();
    identity.new_projection = identity.new_inverse;
    cache_->begin_chunk(identity);
    const auto rows = [](std::uint64_t seed) { return gaussian_tensor(seed, {4 * kTokens, 2, 32}).to(at::kDouble); };
    const at::Tensor q = rows(11), k = rows(12), v = rows(13);
    const at::Tensor got = cache_->attend(1, q, k, v)[1];
    const at::Tensor keys = at::cat({text.layers[1].keys, k}), values = at::cat({text.layers[1].values, v});
    const at::Tensor scores = at::einsum("qhd,khd->hqk", {q, keys}) / std::sqrt(32.0);
    EXPECT_LT(relative(got, at::einsum("hqk,khd->qhd", {scores.softmax(-1), values})), 1e-12);
}

// The text pass reads nothing but the text, and a context made under another prompt is another one.
TEST_F(HunyuanProperties, AnotherPromptNeedsAnotherContext) {
    const HunyuanTextCache first = side_.encode(prompt_);
    HunyuanPrompt other = prompt_;
    other.text = gaussian_tensor(4, {9, 12});
    other.glyph.reset();
    const HunyuanTextCache second = side_.encode(other);
    EXPECT_EQ(first.layers[0].keys.size(0), 15);
    EXPECT_EQ(second.layers[0].keys.size(0), 16);
    // Picture tokens stand first and attend to all: alike at the first layer, not behind it.
    EXPECT_TRUE(at::equal(first.layers[0].keys.narrow(0, 0, 7), second.layers[0].keys.narrow(0, 0, 7)));
    EXPECT_FALSE(at::equal(first.layers[1].keys.narrow(0, 0, 7), second.layers[1].keys.narrow(0, 0, 7)));

    const std::vector<int> context = {0, 1, 2, 3};
    cache_->set_text(second.layers);
    const at::Tensor wanted = velocity(context);
    cache_->set_text(first.layers);
    cache_->clear();
    cache_->begin_chunk(view({}, context));
    dit_.forward(pass(context, 14, true), *cache_);
    cache_->commit();
    cache_->set_text(second.layers);
    cache_->begin_chunk(view(context, {4, 5, 6, 7}));
    EXPECT_GT(relative(dit_.forward(pass({4, 5, 6, 7}, 937.5, false), *cache_), wanted), 1e-4);
}

// Rows of modulation are kept by timestep and label: many of them, and mixed ones in one pass.
TEST_F(HunyuanProperties, KeptModulationIsTheSame) {
    const std::vector<int> context = {0, 1, 2, 3};
    const at::Tensor before = velocity(context);
    for (int label = 0; label < 81; ++label) { // more than are kept
        WorldPlayPass many = pass(context, 14 + label % 4, false);
        many.labels = {label, label, (label + 40) % 81, 0};
        dit_.weights().modulation_of(many);
    }
    EXPECT_TRUE(at::equal(velocity(context), before));
    // A latent's factors are its own: the same pass with all labels alike differs only where they do.
    WorldPlayPass alike = pass(context, 14, false), mixed = alike;
    alike.labels.assign(4, 9);
    mixed.labels = {9, 9, 9, 18};
    cache_->clear();
    cache_->begin_chunk(view({}, context));
    EXPECT_FALSE(at::equal(dit_.forward(alike, *cache_)[3], dit_.forward(mixed, *cache_)[3]));
}

TEST_F(HunyuanProperties, TextMovesBetweenDevicesAsItIs) {
    const HunyuanTextCache text = side_.encode(prompt_);
    EXPECT_EQ(text.bytes(), std::int64_t{3} * 2 * 15 * 64 * 8);
    const HunyuanTextCache there = text.to(at::kCPU);
    for (std::size_t i = 0; i < text.layers.size(); ++i)
        EXPECT_TRUE(at::equal(text.layers[i].keys, there.layers[i].keys));
}

} // namespace
} // namespace wander
