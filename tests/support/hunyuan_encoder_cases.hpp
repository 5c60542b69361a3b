#pragma once
// The goldens of HunyuanVideo 1.5's three encoders, two forms of each in one.

#include "generator/text/byt5_encoder.hpp"
#include "generator/text/qwen_text_weights.hpp"
#include "generator/text/umt5_weights.hpp"
#include "generator/vision/siglip_weights.hpp"
#include "tests/support/golden.hpp"

namespace wander::testing {

inline std::vector<int> golden_ids(const GoldenCase& golden, std::int64_t count) {
    const at::Tensor ids = golden.output("ids").to(at::kInt).contiguous();
    const int* first = ids.const_data_ptr<int>();
    return {first, first + count};
}

// max |got - expected| / max |expected| where `expected` may have an axis of one in front.
inline double golden_difference(const at::Tensor& got, const at::Tensor& expected) {
    const at::Tensor wanted = expected.to(at::kDouble);
    EXPECT_EQ(got.numel(), wanted.numel());
    const at::Tensor apart = (got.to(at::kCPU, at::kDouble).reshape(wanted.sizes()) - wanted).abs().max();
    return apart.item<double>() / wanted.abs().max().item<double>();
}

// `qwen25vl-text` and `qwen25vl-encoder`.
struct QwenCase {
    explicit QwenCase(const std::filesystem::path& folder) : golden(folder) {
        const auto& c = golden.config();
        const bool short_names = c.contains("hidden");
        const auto number = [&](const char* one, const char* other) {
            return c.at(short_names ? one : other).get<int>();
        };
        config.vocab = number("vocab", "vocab_size");
        config.dim = number("hidden", "hidden_size");
        config.heads = number("heads", "num_attention_heads");
        config.kv_heads = number("kv_heads", "num_key_value_heads");
        config.head_dim = number("head", "head_dim");
        config.file_layers = number("layers", "num_hidden_layers");
        config.layers = config.file_layers + 1 + (short_names ? c.at("take").get<int>() : -3);
        config.ffn = number("mlp", "intermediate_size");
        config.eps = c.at("eps");
        config.rope_theta = c.at(short_names ? "theta" : "rope_theta");
        crop = c.at("crop");
        ids = golden_ids(golden, number("tokens", "valid"));
        states = short_names ? "states" : "kept";
        tolerance = short_names ? golden.tolerance() : golden.tolerance_of("kept");
    }
    static std::vector<QwenCase> all() {
        std::vector<QwenCase> cases;
        for (const auto& folder : golden_folders("qwen25vl")) cases.emplace_back(folder);
        return cases;
    }
    QwenTextEncoder load(TextPlacement placement, at::Device device = at::kCPU,
                         at::ScalarType compute = at::kFloat) const {
        return unwrap(QwenTextEncoder::load(config, golden.source(), device, compute, placement));
    }
    double worst(const QwenTextEncoder& encoder) const {
        return golden_difference(encoder.encode(ids, crop), golden.output(states));
    }

    GoldenCase golden;
    QwenTextConfig config;
    std::size_t crop = 0;
    std::vector<int> ids;
    std::string states; // the output that is cropped
    double tolerance = 0;
};

// `byt5` and `byt5-encoder`, names as Glyph-SDXL-v2 has them.
struct ByT5Case {
    explicit ByT5Case(const std::filesystem::path& folder) : golden(folder) {
        const auto& c = golden.config();
        const bool short_names = c.contains("hidden");
        const auto number = [&](const char* one, const char* other) {
            return c.at(short_names ? one : other).get<int>();
        };
        config = byt5_small();
        config.vocab = number("vocab", "vocab_size");
        config.dim = number("hidden", "d_model");
        config.heads = number("heads", "num_heads");
        config.head_dim = number("head", "d_kv");
        config.layers = number("layers", "num_layers");
        config.ffn = number("mlp", "d_ff");
        config.buckets = c.at("buckets");
        config.max_distance = number("distance", "max_distance");
        config.eps = c.at("eps");
        ids = golden_ids(golden, short_names ? golden.output("ids").numel() : c.at("length").at(1).get<std::int64_t>());
        out = short_names ? "last_hidden_state" : "out";
        tolerance = short_names ? golden.tolerance() : golden.tolerance_of("out");
        for (const auto& [name, unused] : golden.weights().items()) names[glyph_tensor_role(name).native] = name;
    }
    static std::vector<ByT5Case> all() {
        std::vector<ByT5Case> cases;
        for (const auto& folder : golden_folders("byt5")) cases.emplace_back(folder);
        return cases;
    }
    Umt5Encoder::TensorSource source() const {
        return golden.source([this](const std::string& native) {
            const auto found = names.find(native);
            return found == names.end() ? native : found->second;
        });
    }
    Umt5Encoder load(TextPlacement placement, at::Device device = at::kCPU, at::ScalarType compute = at::kFloat) const {
        return unwrap(Umt5Encoder::load(config, source(), device, compute, placement));
    }
    double worst(const Umt5Encoder& encoder) const {
        return golden_difference(encoder.encode(ids), golden.output(out));
    }

    GoldenCase golden;
    Umt5Config config;
    std::vector<int> ids;
    std::string out;
    double tolerance = 0;
    std::map<std::string, std::string> names; // native -> the case's
};

// `siglip` and `siglip-vision`.
struct SiglipCase {
    explicit SiglipCase(const std::filesystem::path& folder) : golden(folder) {
        const auto& c = golden.config();
        const bool short_names = c.contains("hidden");
        const auto number = [&](const char* one, const char* other) {
            return c.at(short_names ? one : other).get<int>();
        };
        config.image = number("image", "image_size");
        config.patch = number("patch", "patch_size");
        config.dim = number("hidden", "hidden_size");
        config.heads = number("heads", "num_attention_heads");
        config.layers = number("layers", "num_hidden_layers");
        config.ffn = number("mlp", "intermediate_size");
        config.eps = c.at("eps");
        pixels = short_names ? golden.tensor("pixels") : golden.output("pixels").unsqueeze(0);
        out = short_names ? "last_hidden_state" : "out";
        tolerance = short_names ? golden.tolerance() : golden.tolerance_of("out");
    }
    static std::vector<SiglipCase> all() {
        std::vector<SiglipCase> cases;
        for (const auto& folder : golden_folders("siglip")) cases.emplace_back(folder);
        return cases;
    }
    SiglipVision load(TextPlacement placement, at::Device device = at::kCPU,
                      at::ScalarType compute = at::kFloat) const {
        return unwrap(SiglipVision::load(config, golden.source(), device, compute, placement));
    }
    double worst(const SiglipVision& vision) const {
        return golden_difference(vision.encode(pixels), golden.output(out));
    }

    GoldenCase golden;
    SiglipConfig config;
    at::Tensor pixels;
    std::string out;
    double tolerance = 0;
};

} // namespace wander::testing
