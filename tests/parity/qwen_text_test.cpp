// Qwen2.5-VL's text part against the transformers library on small networks, on the CPU.

#include "tests/support/hunyuan_encoder_cases.hpp"

#include <c10/core/InferenceMode.h>

namespace wander::testing {
namespace {

// 16-bit products with a float32 stream against a float32 reference; measured 0.0083 and 0.00086 at most.
constexpr double kBf16Tolerance = 0.015;
constexpr double kHalfTolerance = 0.002;

TEST(ParityQwenText, States) {
    for (const QwenCase& it : QwenCase::all()) {
        for (const auto placement : {TextPlacement::resident, TextPlacement::streamed}) {
            EXPECT_LE(it.worst(it.load(placement)), it.tolerance) << it.golden.folder();
        }
        EXPECT_LE(it.worst(it.load(TextPlacement::resident, at::kCPU, at::kDouble)), it.tolerance);
    }
}

TEST(ParityQwenText, StatesIn16Bits) {
    for (const QwenCase& it : QwenCase::all()) {
        const double bf16 = it.worst(it.load(TextPlacement::resident, at::kCPU, at::kBFloat16));
        const double half = it.worst(it.load(TextPlacement::streamed, at::kCPU, at::kHalf));
        EXPECT_LE(bf16, kBf16Tolerance) << it.golden.folder();
        EXPECT_LE(half, kHalfTolerance) << it.golden.folder();
        EXPECT_GT(half, it.tolerance) << "this cannot have been fp16";
        EXPECT_GT(bf16, half);
    }
}

TEST(ParityQwenText, EveryLayer) {
    const c10::InferenceMode inference;
    int compared = 0;
    for (const QwenCase& it : QwenCase::all()) {
        const auto encoder = it.load(TextPlacement::streamed);
        const auto& w = encoder.weights();
        const auto rotation = w.rotation(std::ssize(it.ids));
        WeightFeed::Pass pass(*w.feed);
        at::Tensor x = w.embed(it.ids);
        const auto compare = [&](const std::string& name, const at::Tensor& got) {
            if (!it.golden.has_output(name)) return;
            it.golden.expect(name, got, it.tolerance);
            ++compared;
        };
        compare("hidden.0", x);
        if (it.golden.has_output("k0")) {
            WeightFeed::Pass first(*w.feed);
            compare("k0", w.project(0, x, first.next()[0], rotation).k);
        }
        for (int layer = 0; layer < it.config.layers; ++layer) {
            w.run_layer(layer, x, rotation, pass);
            compare("hidden." + std::to_string(layer + 1), x);
            if (layer == 0) compare("layer0", x);
        }
        compare("take", x);
    }
    EXPECT_GE(compared, 7);
}

TEST(ParityQwenText, PlacementChangesNoBit) {
    for (const QwenCase& it : QwenCase::all()) {
        for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
            const auto resident = it.load(TextPlacement::resident, at::kCPU, type);
            const auto streamed = it.load(TextPlacement::streamed, at::kCPU, type);
            const at::Tensor first = streamed.encode(it.ids, it.crop);
            EXPECT_TRUE(at::equal(resident.encode(it.ids, it.crop), first));
            EXPECT_TRUE(at::equal(streamed.encode(it.ids, it.crop), first)) << "a second pass";
        }
    }
}

// What follows changes nothing before it: padding behind a prompt cannot matter. In double, where a sum's order shows
// far below the tolerance.
TEST(QwenText, LaterTokensCannotMatter) {
    for (const QwenCase& it : QwenCase::all()) {
        const auto encoder = it.load(TextPlacement::resident, at::kCPU, at::kDouble);
        const at::Tensor alone = encoder.encode(it.ids);
        for (const int pad : {0, it.config.vocab - 1}) {
            auto padded = it.ids;
            padded.resize(padded.size() + 9, pad);
            EXPECT_LE(golden_difference(encoder.encode(padded).narrow(0, 0, std::ssize(it.ids)), alone), 1e-13);
        }
        auto changed = it.ids;
        changed.front() = (changed.front() + 1) % it.config.vocab;
        EXPECT_GT(golden_difference(encoder.encode(changed).narrow(0, std::ssize(it.ids) - 1, 1),
                                    alone.narrow(0, std::ssize(it.ids) - 1, 1)),
                  1e-3)
            << "but earlier ones do";
    }
}

// The crop is a cut behind the network, not before it.
TEST(QwenText, CropKeepsTheLastRows) {
    const QwenCase it(golden_folders("qwen25vl").front());
    const auto encoder = it.load(TextPlacement::resident);
    const at::Tensor all = encoder.encode(it.ids);
    EXPECT_TRUE(at::equal(encoder.encode(it.ids, 4), all.narrow(0, 4, all.size(0) - 4)));
    EXPECT_THROW(encoder.encode(it.ids, it.ids.size()), c10::Error);
    EXPECT_THROW(encoder.encode({0, it.config.vocab}), c10::Error);
}

// Ways to get it wrong, by changed sizes or weights; the comparison must notice each.
TEST(QwenText, WrongVariantsAreNoticed) {
    for (const QwenCase& it : QwenCase::all()) {
        const auto worst = [&](const QwenTextConfig& config, const QwenTextEncoder::TensorSource& source) {
            return it.worst(
                unwrap(QwenTextEncoder::load(config, source, at::kCPU, at::kFloat, TextPlacement::resident)));
        };
        const auto right = QwenTextEncoder::TensorSource(it.golden.source());
        QwenTextConfig one_layer_more = it.config, one_layer_less = it.config, other_theta = it.config;
        ++one_layer_more.layers;
        --one_layer_less.layers;
        other_theta.rope_theta = 1e4;
        EXPECT_GT(worst(one_layer_more, right), 100 * it.tolerance);
        EXPECT_GT(worst(one_layer_less, right), 100 * it.tolerance);
        EXPECT_GT(worst(other_theta, right), 100 * it.tolerance);
        const auto without_bias = [&](const std::string& name,
                                      const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
            auto tensor = right(name, shape);
            if (tensor && name.ends_with("k_proj.bias")) return at::zeros_like(*tensor);
            return tensor;
        };
        EXPECT_GT(worst(it.config, without_bias), 100 * it.tolerance);
    }
}

TEST(QwenTextConfig, PublishedSizesAndNames) {
    const auto shapes = QwenTextConfig().tensor_shapes();
    EXPECT_EQ(shapes.size(), 1u + 26 * 12);
    EXPECT_EQ(shapes.at("model.embed_tokens.weight"), (std::vector<std::int64_t>{152064, 3584}));
    EXPECT_EQ(shapes.at("model.layers.25.self_attn.k_proj.weight"), (std::vector<std::int64_t>{512, 3584}));
    EXPECT_EQ(shapes.at("model.layers.25.mlp.down_proj.weight"), (std::vector<std::int64_t>{3584, 18944}));
    EXPECT_FALSE(shapes.contains("model.layers.26.mlp.down_proj.weight"));
    std::int64_t values = 0;
    for (const auto& [name, shape] : shapes) {
        std::int64_t numel = 1;
        for (const auto size : shape) numel *= size;
        if (name != "model.embed_tokens.weight") values += numel;
    }
    EXPECT_NEAR(static_cast<double>(values) * 2, 12.1e9, 0.05e9);
}

} // namespace
} // namespace wander::testing
