#include "tests/support/hunyuan_folder_writer.hpp"

#include "generator/plain/sha256.hpp"
#include "generator/text/byt5_encoder.hpp"
#include "tests/support/published_names.hpp"
#include "tests/support/small_byte_pair.hpp"
#include "tests/support/weight_files.hpp"
#include "tests/support/worldplay_folder_writer.hpp"

#include <fmt/format.h>

namespace wander::test {
namespace {

using json = nlohmann::ordered_json;

// Native umT5 names -> those of Glyph-SDXL-v2's file.
std::string glyph_name(const std::string& native) {
    std::string name = transformers_umt5_name(native);
    if (name == "shared.weight") name = "encoder.embed_tokens.weight";
    return "module.text_tower." + name;
}

class Writer {
public:
    Writer(const std::filesystem::path& folder, const HunyuanRecipe& recipe)
        : recipe_(recipe), sizes_(hunyuan_sizes(recipe.small)), files_(folder, recipe.seed, recipe.say) {}

    Result<void> run() {
        settings() && transformer() && vae() && tiny_vae() &&
            (!recipe_.with_text || (text() && tokenizer() && vision() && glyph()));
        return files_.done();
    }

private:
    bool transformer() {
        const int head_dim = static_cast<int>(sizes_.dit.head_dim);
        const int space = (head_dim - head_dim / 8) / 2;
        // The base model's description, in the spelling of the published code.
        const json config = {{"patch_size", {1, 1, 1}},
                             {"in_channels", sizes_.vae.z},
                             {"out_channels", sizes_.vae.z},
                             {"concat_condition", true},
                             {"hidden_size", sizes_.dit.dim},
                             {"heads_num", sizes_.dit.dim / sizes_.dit.head_dim},
                             {"mm_double_blocks_depth", sizes_.dit.layers},
                             {"rope_dim_list", {head_dim / 8, space, space}},
                             {"text_states_dim", sizes_.text.dim},
                             {"vision_states_dim", sizes_.vision.dim}};
        return files_.text("transformer/480p_i2v/config.json", config.dump(2)) &&
               files_.safetensors("ar_distilled_action_model/model.safetensors",
                                  named_tensors(published_hunyuan_shapes(sizes_), Dtype::bf16));
    }

    bool vae() {
        return files_.text("vae/config.json", json({{"_class_name", "AutoencoderKLConv3D"}}).dump(2)) &&
               files_.safetensors("vae/diffusion_pytorch_model.safetensors",
                                  named_tensors(sizes_.vae.tensor_shapes(true, true), Dtype::f32));
    }

    // LightX2V's.
    bool tiny_vae() {
        return files_.safetensors("lighttaehy1_5.safetensors",
                                  named_tensors(sizes_.tiny.tensor_shapes(true, true), Dtype::f16));
    }

    // The language part whole; of the vision tower one tensor, since nobody reads it.
    bool text() {
        QwenTextConfig whole = sizes_.text;
        whole.layers = whole.file_layers;
        ShapeTable shapes = whole.tensor_shapes();
        shapes["model.norm.weight"] = {whole.dim};
        shapes["lm_head.weight"] = {whole.vocab, whole.dim};
        shapes["visual.patch_embed.proj.weight"] = {1280, 3, 2, 14, 14};
        const json config = {{"model_type", "qwen2_5_vl"},
                             {"vocab_size", whole.vocab},
                             {"hidden_size", whole.dim},
                             {"num_attention_heads", whole.heads},
                             {"num_key_value_heads", whole.kv_heads},
                             {"num_hidden_layers", whole.file_layers},
                             {"intermediate_size", whole.ffn},
                             {"rms_norm_eps", whole.eps},
                             {"hidden_act", "silu"},
                             {"rope_theta", whole.rope_theta}};
        return files_.text("text_encoder/llm/config.json", config.dump(2)) &&
               files_.shards("text_encoder/llm/model", 5, named_tensors(shapes, Dtype::bf16));
    }

    static BytePairTokenizer::Files tokenizer_files() {
        return testing::small_files({{"i", "m"}, {"t", "e"}, {"te", "x"}, {"tex", "t"}});
    }

    // Like the published one in form: numbered items behind runs of blanks.
    bool settings() {
        const std::string instruction =
            "Describe the video in detail:         1. What is seen.         2. How it moves.";
        const auto tokenizer = BytePairTokenizer::parse(tokenizer_files(), "the small tokenizer");
        if (!tokenizer) return false;
        Sha256 hash;
        hash.update({reinterpret_cast<const std::uint8_t*>(instruction.data()), instruction.size()});
        json settings = {{"instruction",
                          {{"sha256", hash.hex()},
                           {"bytes", instruction.size()},
                           {"tokens", chat_tokens(*tokenizer, instruction, "").crop}}}};
        if (recipe_.small) {
            settings["name"] = "random-small-8b";
            settings["latent_rows"] = 8;
            settings["latent_cols"] = 12;
        }
        return files_.text("wander.json", settings.dump(2)) &&
               files_.text("code/text_encoders.py", "PROMPT_TEMPLATE = {\"system\": \"" + instruction + "\"}\n");
    }

    bool tokenizer() {
        const auto small = tokenizer_files();
        return files_.text("text_encoder/llm/vocab.json", small.vocab) &&
               files_.text("text_encoder/llm/merges.txt", small.merges) &&
               files_.text("text_encoder/llm/tokenizer_config.json", small.config);
    }

    bool vision() {
        const SiglipConfig& vision = sizes_.vision;
        const std::string place = "vision_encoder/siglip/image_encoder/";
        ShapeTable shapes = vision.tensor_shapes();
        shapes["vision_model.head.probe"] = {1, 1, vision.dim};
        const json config = {{"model_type", "siglip_vision_model"}, {"image_size", vision.image},
                             {"patch_size", vision.patch},          {"hidden_size", vision.dim},
                             {"num_attention_heads", vision.heads}, {"num_hidden_layers", vision.layers},
                             {"intermediate_size", vision.ffn},     {"layer_norm_eps", vision.eps},
                             {"hidden_act", "gelu_pytorch_tanh"}};
        return files_.text(place + "config.json", config.dump(2)) &&
               files_.safetensors(place + "model.safetensors", named_tensors(shapes, Dtype::bf16));
    }

    bool glyph() {
        return files_.torch("text_encoder/Glyph-SDXL-v2/checkpoints/byt5_model.pt", "state_dict",
                            named_tensors(sizes_.glyph.tensor_shapes(), Dtype::f32, glyph_name));
    }

    const HunyuanRecipe& recipe_;
    const HunyuanSizes sizes_;
    WeightFiles files_;
};

} // namespace

HunyuanSizes hunyuan_sizes(bool small) {
    HunyuanSizes sizes;
    sizes.glyph = byt5_small();
    sizes.glyph.vocab = 1510 + 384; // its own table and tokens of colours and fonts: the real number is not known here
    if (small) {
        sizes.dit = {.dim = 256, .layers = 3, .head_dim = 128, .mlp = 512, .glyph_hidden = 64};
        sizes.vae.z = 4;
        sizes.vae.widths = {8, 8, 16, 16, 16};
        sizes.text.vocab = 9100;
        sizes.text.dim = 64;
        sizes.text.heads = 4;
        sizes.text.kv_heads = 2;
        sizes.text.head_dim = 16;
        sizes.text.layers = 2;
        sizes.text.file_layers = 4;
        sizes.text.ffn = 96;
        sizes.vision.image = 28;
        sizes.vision.dim = 32;
        sizes.vision.heads = 2;
        sizes.vision.layers = 2;
        sizes.vision.ffn = 48;
        sizes.glyph.vocab = 400;
        sizes.glyph.dim = 48;
        sizes.glyph.heads = 2;
        sizes.glyph.head_dim = 16;
        sizes.glyph.layers = 2;
        sizes.glyph.ffn = 64;
    }
    sizes.tiny = tiny_with_patches(sizes.vae.z, small);
    return sizes;
}

ShapeTable published_hunyuan_shapes(const HunyuanSizes& sizes) {
    const auto& [dim, layers, head_dim, mlp, glyph_hidden] = sizes.dit;
    const std::int64_t channels = sizes.vae.z;
    const std::int64_t glyph = sizes.glyph.dim;
    const std::int64_t vision = sizes.vision.dim;
    const std::int64_t text = sizes.text.dim;
    constexpr std::int64_t kFrequencies = 256;
    ShapeTable shapes;
    const auto linear = [&](const std::string& name, std::vector<std::int64_t> weight) {
        shapes[name + ".bias"] = {weight.front()};
        shapes[name + ".weight"] = std::move(weight);
    };
    const auto embedder = [&](const std::string& name) {
        linear(name + ".mlp.0", {dim, kFrequencies});
        linear(name + ".mlp.2", {dim, dim});
    };
    linear("img_in.proj", {dim, 2 * channels + 1, 1, 1, 1});
    embedder("time_in");
    embedder("action_in");
    linear("txt_in.input_embedder", {dim, text});
    embedder("txt_in.t_embedder");
    linear("txt_in.c_embedder.linear_1", {dim, text});
    linear("txt_in.c_embedder.linear_2", {dim, dim});
    for (int i = 0; i < 2; ++i) {
        const std::string block = fmt::format("txt_in.individual_token_refiner.blocks.{}.", i);
        linear(block + "norm1", {dim});
        linear(block + "norm2", {dim});
        linear(block + "self_attn_qkv", {3 * dim, dim});
        linear(block + "self_attn_proj", {dim, dim});
        linear(block + "mlp.fc1", {mlp, dim});
        linear(block + "mlp.fc2", {dim, mlp});
        linear(block + "adaLN_modulation.1", {2 * dim, dim});
    }
    linear("byt5_in.layernorm", {glyph});
    linear("byt5_in.fc1", {glyph_hidden, glyph});
    linear("byt5_in.fc2", {glyph_hidden, glyph_hidden});
    linear("byt5_in.fc3", {dim, glyph_hidden});
    linear("vision_in.proj.0", {vision});
    linear("vision_in.proj.1", {vision, vision});
    linear("vision_in.proj.3", {dim, vision});
    linear("vision_in.proj.4", {dim});
    shapes["cond_type_embedding.weight"] = {3, dim};
    for (std::int64_t layer = 0; layer < layers; ++layer) {
        const std::string block = fmt::format("double_blocks.{}.", layer);
        for (const std::string stream : {"img_", "txt_"}) {
            linear(block + stream + "mod.linear", {6 * dim, dim});
            for (const char* part : {"q", "k", "v", "proj"}) linear(block + stream + "attn_" + part, {dim, dim});
            shapes[block + stream + "attn_q_norm.weight"] = {head_dim};
            shapes[block + stream + "attn_k_norm.weight"] = {head_dim};
            linear(block + stream + "mlp.fc1", {mlp, dim});
            linear(block + stream + "mlp.fc2", {dim, mlp});
        }
        linear(block + "img_attn_prope_proj", {dim, dim});
    }
    linear("final_layer.adaLN_modulation.1", {2 * dim, dim});
    linear("final_layer.linear", {channels, dim});
    return shapes;
}

Result<void> write_hunyuan_folder(const std::filesystem::path& folder, const HunyuanRecipe& recipe) {
    return Writer(folder, recipe).run();
}

} // namespace wander::test
