// Files of HunyuanVideo 1.5's encoders: names of every layout, extras counted, everything else refused by name.

#include "generator/text/byt5_encoder.hpp"
#include "generator/text/qwen_text.hpp"
#include "generator/vision/siglip.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/torch_archive_writer.hpp"
#include "tests/unit/render_video/test_folder.hpp"

#include <fstream>

namespace wander::testing {
namespace {

namespace fs = std::filesystem;
using test::TestFolder;
using Tensors = std::map<std::string, at::Tensor>;

class CheckpointPartTest : public ::testing::Test {
protected:
    // Ones in every tensor, under other names where `rename` is given.
    static Tensors tensors_of(const CheckpointPart::Shapes& shapes,
                              const std::function<std::string(std::string)>& rename = {}) {
        Tensors tensors;
        for (const auto& [name, shape] : shapes) {
            tensors[rename ? rename(name) : name] = at::full(shape, 0.01, at::kBFloat16);
        }
        return tensors;
    }
    void write(const std::string& name, const Tensors& tensors) const {
        const auto written = write_safetensors(folder_ / name, tensors);
        ASSERT_TRUE(written) << written.error().message;
    }
    void write_json(const std::string& name, const nlohmann::json& json) const {
        std::ofstream(folder_ / name) << json.dump();
    }
    template <typename T>
    static void expect_refused(const Result<T>& result, const std::string& words) {
        ASSERT_FALSE(result) << words;
        EXPECT_EQ(result.error().code, ErrorCode::bad_input);
        EXPECT_NE(result.error().message.find(words), std::string::npos) << result.error().message;
    }

    TestFolder folder_;
};

class QwenTextFilesTest : public CheckpointPartTest {
protected:
    nlohmann::json json_ = {{"model_type", "qwen2_5_vl"}, {"vocab_size", 40},           {"hidden_size", 16},
                            {"num_attention_heads", 4},   {"num_key_value_heads", 2},   {"num_hidden_layers", 4},
                            {"intermediate_size", 24},    {"rms_norm_eps", 1e-6},       {"hidden_act", "silu"},
                            {"rope_theta", 1e6},          {"use_sliding_window", false}};
    QwenTextConfig config() const { return unwrap(QwenTextConfig::of_json(json_, "config.json")); }
    // What a whole checkpoint has beside it.
    static void add_extras(Tensors& tensors) {
        const at::Tensor some = at::zeros({2}, at::kBFloat16);
        for (const char* name : {"visual.blocks.0.attn.qkv.weight", "visual.merger.mlp.0.bias", "lm_head.weight",
                                 "model.norm.weight", "model.layers.2.mlp.up_proj.weight", "model.layers.3.x"}) {
            tensors[name] = some;
        }
    }
    Result<QwenTextFiles> open() const { return open_qwen_text(folder_.path()); }
};

TEST_F(QwenTextFilesTest, ExtrasAreCountedAndTheRestIsLoaded) {
    auto tensors = tensors_of(config().tensor_shapes());
    add_extras(tensors);
    write("model.safetensors", tensors);
    write_json("config.json", json_);
    const auto files = unwrap(open());
    EXPECT_EQ(files.config.layers, 2);
    EXPECT_EQ(files.config.head_dim, 4);
    EXPECT_EQ(files.part.extras_text(), "not read: 2 of layers 2 and up, 1 of lm_head, 1 of model.norm, 2 of visual");
    const auto encoder =
        unwrap(QwenTextEncoder::load(files.config, files.part.source, at::kCPU, at::kFloat, TextPlacement::streamed));
    EXPECT_TRUE(encoder.encode({1, 2, 39}, 1).isfinite().all().item<bool>());
}

TEST_F(QwenTextFilesTest, ShardsAndNewerNames) {
    const auto newer = [](std::string name) { return "model.language_model." + name.substr(6); };
    const auto tensors = tensors_of(config().tensor_shapes(), newer);
    Tensors first, second;
    nlohmann::json map;
    for (const auto& [name, tensor] : tensors) {
        const bool early = map.size() < tensors.size() / 2;
        (early ? first : second)[name] = tensor;
        map[name] = early ? "a.safetensors" : "b.safetensors";
    }
    second["model.visual.patch_embed.proj.weight"] = at::zeros({2});
    map["model.visual.patch_embed.proj.weight"] = "b.safetensors";
    write("a.safetensors", first);
    write("b.safetensors", second);
    write_json("model.safetensors.index.json", {{"metadata", nlohmann::json::object()}, {"weight_map", map}});
    nlohmann::json text = json_;
    text["model_type"] = "qwen2_5_vl_text";
    text.erase("rope_theta");
    text["rope_parameters"] = {{"rope_theta", 1e6}, {"rope_type", "default"}};
    write_json("config.json", {{"model_type", "qwen2_5_vl"}, {"text_config", text}});
    const auto files = unwrap(open());
    EXPECT_EQ(files.part.shapes, config().tensor_shapes());
    EXPECT_EQ(files.part.extras_text(), "not read: 1 of visual");
    EXPECT_EQ(unwrap(files.part.source("model.layers.1.mlp.up_proj.weight", {24, 16})).numel(), 24 * 16);
}

TEST_F(QwenTextFilesTest, DifferencesAreListed) {
    write_json("config.json", json_);
    auto tensors = tensors_of(config().tensor_shapes());
    const auto whole = tensors;
    tensors.erase("model.layers.1.self_attn.q_proj.bias");
    write("model.safetensors", tensors);
    expect_refused(open(), "'model.layers.1.self_attn.q_proj.bias' is missing");
    tensors = whole;
    tensors["model.layers.0.mlp.up_proj.weight"] = at::zeros({23, 16});
    write("model.safetensors", tensors);
    expect_refused(open(), "'model.layers.0.mlp.up_proj.weight' is [23, 16], wanted [24, 16]");
    for (const char* foreign :
         {"model.layers.4.mlp.up_proj.weight", "transformer.wte.weight", "model.layers.1.extra"}) {
        tensors = whole;
        tensors[foreign] = at::zeros({1});
        write("model.safetensors", tensors);
        expect_refused(open(), "is foreign");
    }
    tensors = whole;
    tensors["embed_tokens.weight"] = whole.at("model.embed_tokens.weight");
    write("model.safetensors", tensors);
    expect_refused(open(), "are the same");
}

TEST_F(QwenTextFilesTest, AnotherArchitectureIsRefused) {
    const auto refused = [&](const char* key, const nlohmann::json& value, const std::string& words) {
        nlohmann::json other = json_;
        if (value.is_null()) {
            other.erase(key);
        } else {
            other[key] = value;
        }
        expect_refused(QwenTextConfig::of_json(other, "here/config.json"), words);
    };
    refused("model_type", "llava", "\"llava\"");
    refused("model_type", 3, "model_type");
    refused("hidden_act", "gelu", "hidden_act");
    refused("hidden_size", nullptr, "\"hidden_size\" is missing");
    refused("hidden_size", 18, "do not go together");
    refused("num_key_value_heads", 3, "do not go together");
    refused("num_hidden_layers", 2, "num_hidden_layers");
    refused("use_sliding_window", true, "use_sliding_window");
    refused("rope_theta", nullptr, "rope_parameters");
    write_json("config.json", nlohmann::json::array());
    expect_refused(open(), "config.json");
}

class GlyphFilesTest : public CheckpointPartTest {
protected:
    static std::string published(const std::string& native) {
        if (native == "token_embedding.weight") return "embed_tokens.weight";
        if (native == "norm.weight") return "final_layer_norm.weight";
        static const std::map<std::string, std::string> parts = {
            {"norm1", "layer.0.layer_norm"},
            {"norm2", "layer.1.layer_norm"},
            {"attn.q", "layer.0.SelfAttention.q"},
            {"attn.k", "layer.0.SelfAttention.k"},
            {"attn.v", "layer.0.SelfAttention.v"},
            {"attn.o", "layer.0.SelfAttention.o"},
            {"pos_embedding.embedding", "layer.0.SelfAttention.relative_attention_bias"},
            {"ffn.gate.0", "layer.1.DenseReluDense.wi_0"},
            {"ffn.fc1", "layer.1.DenseReluDense.wi_1"},
            {"ffn.fc2", "layer.1.DenseReluDense.wo"}};
        const std::size_t dot = native.find('.', 7);
        const std::string part = native.substr(dot + 1, native.size() - dot - 8);
        return "block." + native.substr(7, dot - 7) + "." + parts.at(part) + ".weight";
    }
    static Umt5Config small(int vocab) {
        Umt5Config config = byt5_small();
        config.vocab = vocab;
        config.dim = 20;
        config.heads = 3;
        config.head_dim = 4;
        config.layers = 2;
        config.ffn = 28;
        return config;
    }
    static Tensors glyph(int vocab, const std::string& prefix) {
        const Umt5Config config = small(vocab);
        return tensors_of(config.tensor_shapes(), [&](const std::string& name) { return prefix + published(name); });
    }
};

TEST_F(GlyphFilesTest, PublishedAndPipelineNames) {
    for (const std::string prefix :
         {"state_dict/module.text_tower.encoder.", "module.text_tower.encoder.", "encoder."}) {
        for (const auto& [native, shape] : small(1510).tensor_shapes()) {
            EXPECT_EQ(glyph_tensor_role(prefix + published(native)).native, native);
        }
    }
    EXPECT_EQ(glyph_tensor_role("shared.weight").native, "token_embedding.weight");
    EXPECT_EQ(glyph_tensor_role("epoch").extra, "epoch");
    EXPECT_EQ(glyph_tensor_role("state_dict/module.visual_tower.x").extra, "module");
    EXPECT_EQ(glyph_tensor_role("encoder.block.0.layer.0.SelfAttention.x.weight").native, "");
}

TEST_F(GlyphFilesTest, AWholeFileOpensAndPlainByT5IsNamed) {
    auto tensors = glyph(1510, "encoder.");
    tensors["shared.weight"] = tensors.at("encoder.embed_tokens.weight");
    tensors["decoder.block.0.x"] = at::zeros({1});
    write("glyph.safetensors", tensors);
    const auto weights = unwrap(open_glyph_weights(folder_ / "glyph.safetensors"));
    EXPECT_EQ(weights.config.tensor_shapes(), small(1510).tensor_shapes());
    EXPECT_EQ(weights.config.heads, 3);
    const auto encoder =
        unwrap(Umt5Encoder::load(weights.config, weights.part.source, at::kCPU, at::kFloat, TextPlacement::streamed));
    EXPECT_TRUE(encoder.encode({100, 1509, 1}).isfinite().all().item<bool>());
    EXPECT_EQ(weights.part.extras_text(), "not read: 1 of decoder, 1 of tied tables");

    write("glyph.safetensors", glyph(384, "encoder."));
    expect_refused(open_glyph_weights(folder_ / "glyph.safetensors"), "byT5-small itself");
    write("glyph.safetensors", {{"other.weight", at::zeros({1})}});
    expect_refused(open_glyph_weights(folder_ / "glyph.safetensors"), "is missing");
}

// As published: torch.save of {"state_dict": {...}}.
TEST_F(GlyphFilesTest, TheTorchFileOpens) {
    std::vector<test::SavedTensor> tensors;
    for (const auto& [native, shape] : small(1510).tensor_shapes()) {
        tensors.push_back({"module.text_tower.encoder." + published(native), Dtype::f32, shape});
    }
    tensors.push_back({"module.logit_scale", Dtype::f32, {1}});
    std::ofstream file(folder_ / "byt5_model.pt", std::ios::binary);
    test::save_tensors(
        [&](const void* data, std::size_t size) {
            file.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
        },
        "state_dict", tensors,
        [&](std::size_t i, const test::Write& write) {
            const std::vector<float> values(static_cast<std::size_t>(tensors[i].elements()), 0.01F);
            write(values.data(), values.size() * sizeof(float));
        });
    file.close();
    const auto weights = unwrap(open_glyph_weights(folder_ / "byt5_model.pt"));
    EXPECT_EQ(weights.part.extras_text(), "not read: 1 of module");
    const auto encoder =
        unwrap(Umt5Encoder::load(weights.config, weights.part.source, at::kCPU, at::kFloat, TextPlacement::resident));
    EXPECT_TRUE(encoder.encode({100, 1}).isfinite().all().item<bool>());
}

class SiglipFilesTest : public CheckpointPartTest {
protected:
    nlohmann::json json_ = {{"model_type", "siglip_vision_model"},
                            {"image_size", 30},
                            {"patch_size", 14},
                            {"hidden_size", 16},
                            {"num_attention_heads", 2},
                            {"num_hidden_layers", 2},
                            {"intermediate_size", 24},
                            {"hidden_act", "gelu_pytorch_tanh"}};
    SiglipConfig config() const { return unwrap(SiglipConfig::of_json(json_, "config.json")); }
};

TEST_F(SiglipFilesTest, TheHeadIsCountedAndTheTowerLoads) {
    for (const bool bare : {false, true}) {
        auto tensors = tensors_of(config().tensor_shapes(),
                                  [&](const std::string& name) { return bare ? name.substr(13) : name; });
        tensors[bare ? "head.probe" : "vision_model.head.probe"] = at::zeros({1});
        write("model.safetensors", tensors);
        write_json("config.json", json_);
        const auto files = unwrap(open_siglip(folder_.path()));
        EXPECT_EQ(files.part.extras_text(), "not read: 1 of vision_model.head");
        const auto vision =
            unwrap(SiglipVision::load(files.config, files.part.source, at::kCPU, at::kFloat, TextPlacement::streamed));
        EXPECT_EQ(vision.encode(at::zeros({1, 3, 30, 30})).sizes(), (at::IntArrayRef{4, 16}));
        EXPECT_THROW(vision.encode(at::zeros({1, 3, 28, 28})), c10::Error);
    }
}

TEST_F(SiglipFilesTest, AnotherNetworkIsRefused) {
    nlohmann::json other = json_;
    other["model_type"] = "clip_vision_model";
    expect_refused(SiglipConfig::of_json(other, "here"), "clip_vision_model");
    other = json_;
    other["num_attention_heads"] = 3;
    expect_refused(SiglipConfig::of_json(other, "here"), "do not go together");
    auto tensors = tensors_of(config().tensor_shapes());
    tensors["vision_model.encoder.layers.2.layer_norm1.weight"] = at::zeros({16});
    write("model.safetensors", tensors);
    write_json("config.json", json_);
    expect_refused(open_siglip(folder_.path()), "'vision_model.encoder.layers.2.layer_norm1.weight' is foreign");
}

} // namespace
} // namespace wander::testing
