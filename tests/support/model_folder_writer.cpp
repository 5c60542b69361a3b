#include "tests/support/model_folder_writer.hpp"

#include "tests/support/published_names.hpp"
#include "tests/support/synthetic_tokenizer.hpp"
#include "tests/support/weight_files.hpp"

#include <nlohmann/json.hpp>

namespace wander::test {
namespace {

using json = nlohmann::ordered_json;

class Writer {
public:
    Writer(const std::filesystem::path& folder, const ModelFolderRecipe& recipe)
        : recipe_(recipe), sizes_(sizes_of(recipe.small)), files_(folder, recipe.seed, recipe.say) {}

    Result<void> run() {
        recipe_.layout == ModelFolderRecipe::Layout::official ? official() : diffusers();
        return files_.done();
    }

private:
    bool official() {
        const DitConfig& dit = sizes_.dit;
        const json config = {{"_class_name", "WanModel"}, {"dim", dit.dim},           {"eps", dit.eps},
                             {"ffn_dim", dit.ffn},        {"freq_dim", dit.freq_dim}, {"in_dim", dit.channels},
                             {"model_type", "t2v"},       {"num_heads", dit.heads},   {"num_layers", dit.layers},
                             {"out_dim", dit.channels},   {"text_len", dit.text_len}};
        return files_.text("config.json", config.dump(2)) && overrides() &&
               files_.torch("self_forcing_dmd.pt", "generator_ema",
                            named_tensors(dit.tensor_shapes(), Dtype::f32,
                                          [](const std::string& native) { return "model." + native; })) &&
               files_.torch("Wan2.1_VAE.pth", "", named_tensors(sizes_.vae.tensor_shapes(true, true), Dtype::f32)) &&
               tiny_vae() &&
               (!recipe_.with_text || (files_.torch("models_t5_umt5-xxl-enc-bf16.pth", "",
                                                    named_tensors(sizes_.text.tensor_shapes(), text_dtype())) &&
                                       tokenizer("google/umt5-xxl")));
    }

    bool diffusers() {
        const DitConfig& dit = sizes_.dit;
        const VaeConfig& vae = sizes_.vae;
        const Umt5Config& text = sizes_.text;
        const json index = {{"_class_name", "WanPipeline"},
                            {"text_encoder", {"transformers", "UMT5EncoderModel"}},
                            {"tokenizer", {"transformers", "T5TokenizerFast"}},
                            {"transformer", {"diffusers", "WanTransformer3DModel"}},
                            {"vae", {"diffusers", "AutoencoderKLWan"}}};
        const json transformer = {{"_class_name", "WanTransformer3DModel"},
                                  {"attention_head_dim", dit.head_dim},
                                  {"cross_attn_norm", true},
                                  {"eps", dit.eps},
                                  {"ffn_dim", dit.ffn},
                                  {"freq_dim", dit.freq_dim},
                                  {"in_channels", dit.channels},
                                  {"num_attention_heads", dit.heads},
                                  {"num_layers", dit.layers},
                                  {"out_channels", dit.channels},
                                  {"patch_size", {1, 2, 2}},
                                  {"qk_norm", "rms_norm_across_heads"},
                                  {"rope_max_seq_len", 1024},
                                  {"text_dim", dit.text_dim}};
        const json autoencoder = {{"_class_name", "AutoencoderKLWan"},
                                  {"base_dim", vae.dim},
                                  {"dim_mult", vae.multipliers},
                                  {"latents_mean", vae.latent_mean},
                                  {"latents_std", vae.latent_std},
                                  {"num_res_blocks", vae.residual_blocks},
                                  {"temperal_downsample", vae.temporal_downsample},
                                  {"z_dim", vae.z}};
        const json encoder = {{"architectures", {"UMT5EncoderModel"}},
                              {"d_ff", text.ffn},
                              {"d_kv", text.head_dim},
                              {"d_model", text.dim},
                              {"num_heads", text.heads},
                              {"num_layers", text.layers},
                              {"vocab_size", text.vocab}};
        return files_.text("model_index.json", index.dump(2)) && overrides() &&
               files_.text("transformer/config.json", transformer.dump(2)) &&
               files_.text("vae/config.json", autoencoder.dump(2)) &&
               files_.shards("transformer/diffusion_pytorch_model", 2,
                             named_tensors(dit.tensor_shapes(), Dtype::f32, diffusers_dit_name)) &&
               files_.safetensors("vae/diffusion_pytorch_model.safetensors",
                                  named_tensors(vae.tensor_shapes(true, true), Dtype::f32, diffusers_vae_name)) &&
               tiny_vae() &&
               (!recipe_.with_text ||
                (files_.text("text_encoder/config.json", encoder.dump(2)) &&
                 files_.shards("text_encoder/model", 5,
                               named_tensors(text.tensor_shapes(), text_dtype(), transformers_umt5_name)) &&
                 tokenizer("tokenizer")));
    }

    bool tiny_vae() {
        return files_.torch("taew2_1.pth", "", named_tensors(sizes_.tiny.tensor_shapes(true, true), Dtype::f16));
    }

    Dtype text_dtype() const { return recipe_.wide_text ? Dtype::f32 : Dtype::bf16; }

    // The small model is also small on the screen.
    bool overrides() {
        if (!recipe_.small) return true;
        return files_.text("wander.json",
                           json({{"name", "random-small"}, {"latent_rows", 8}, {"latent_cols", 12}}).dump(2));
    }

    bool tokenizer(const std::string& place) {
        return files_.text(place + "/tokenizer.json", synthetic_tokenizer(sizes_.pieces, sizes_.extra_ids));
    }

    const ModelFolderRecipe& recipe_;
    const ModelSizes sizes_;
    WeightFiles files_;
};

} // namespace

ModelSizes sizes_of(bool small) {
    ModelSizes sizes;
    sizes.dit = self_forcing_dit();
    sizes.vae = wan21_vae();
    sizes.pieces = 256'300;
    sizes.extra_ids = 300;
    if (small) {
        sizes.dit.dim = 256;
        sizes.dit.layers = 3;
        sizes.dit.heads = 2;
        sizes.dit.ffn = 512;
        sizes.dit.text_dim = 64;
        sizes.dit.text_len = 32;
        sizes.vae.dim = 16;
        sizes.tiny.decoder_channels = {32, 16, 16, 16};
        sizes.tiny.encoder_channels = 16;
        sizes.text.vocab = 3072;
        sizes.text.dim = 64;
        sizes.text.layers = 2;
        sizes.text.heads = 4;
        sizes.text.head_dim = 16;
        sizes.text.ffn = 128;
        sizes.pieces = 3020;
        sizes.extra_ids = 20;
    }
    return sizes;
}

Result<void> write_model_folder(const std::filesystem::path& folder, const ModelFolderRecipe& recipe) {
    return Writer(folder, recipe).run();
}

} // namespace wander::test
