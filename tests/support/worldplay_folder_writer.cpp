#include "tests/support/worldplay_folder_writer.hpp"

#include "generator/wan/wan5b_names.hpp"
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
    Writer(const std::filesystem::path& folder, const WorldPlayRecipe& recipe)
        : recipe_(recipe), sizes_(worldplay_sizes(recipe.small)), files_(folder, recipe.seed, recipe.say) {}

    Result<void> run() {
        transformer() && tiny_vae() &&
            (recipe_.layout == WorldPlayRecipe::Layout::diffusers ? diffusers() : official());
        return files_.done();
    }

private:
    bool transformer() {
        const DitConfig& dit = sizes_.dit;
        json config = {{"_class_name", "WanTransformer3DModel"},
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
        if (recipe_.small) config["text_len"] = dit.text_len;
        const bool small_screen =
            !recipe_.small ||
            files_.text("wander.json",
                        json({{"name", "random-small-wan5b"}, {"latent_rows", 8}, {"latent_cols", 12}}).dump(2));
        return small_screen && files_.text("wan_transformer/config.json", config.dump(2)) &&
               (!recipe_.scaffolding || scaffolding()) &&
               files_.torch("wan_distilled_model/model.pt", "generator",
                            named_tensors(wan5b_shapes(dit), Dtype::f32,
                                          [](const std::string& native) {
                                              return "model._fsdp_wrapped_module." + diffusers_dit_name(native);
                                          }),
                            true);
    }

    bool tiny_vae() {
        return files_.torch("taew2_2.pth", "", named_tensors(sizes_.tiny.tensor_shapes(true, true), Dtype::f16));
    }

    // The base model's weights, without labels and second branch.
    bool scaffolding() {
        DitConfig base = sizes_.dit;
        base.action_label = false;
        base.prope = false;
        return files_.safetensors("wan_transformer/diffusion_pytorch_model.safetensors",
                                  named_tensors(base.tensor_shapes(), Dtype::f32, diffusers_dit_name));
    }

    bool diffusers() {
        const Vae22Config& vae = sizes_.vae;
        const Umt5Config& text = sizes_.text;
        const std::string base = "Wan2.2-TI2V-5B-Diffusers/";
        const json index = {{"_class_name", "WanPipeline"},
                            {"text_encoder", {"transformers", "UMT5EncoderModel"}},
                            {"tokenizer", {"transformers", "T5TokenizerFast"}},
                            {"transformer", {"diffusers", "WanTransformer3DModel"}},
                            {"vae", {"diffusers", "AutoencoderKLWan"}}};
        const json autoencoder = {{"_class_name", "AutoencoderKLWan"},
                                  {"base_dim", vae.dim},
                                  {"decoder_base_dim", vae.decoder_dim},
                                  {"dim_mult", vae.multipliers},
                                  {"is_residual", true},
                                  {"latents_mean", vae.latent_mean},
                                  {"latents_std", vae.latent_std},
                                  {"num_res_blocks", vae.residual_blocks},
                                  {"patch_size", vae.patch},
                                  {"temperal_downsample", vae.temporal_downsample},
                                  {"z_dim", vae.z}};
        const json encoder = {{"architectures", {"UMT5EncoderModel"}},
                              {"d_ff", text.ffn},
                              {"d_kv", text.head_dim},
                              {"d_model", text.dim},
                              {"num_heads", text.heads},
                              {"num_layers", text.layers},
                              {"vocab_size", text.vocab}};
        return files_.text(base + "model_index.json", index.dump(2)) &&
               files_.text(base + "vae/config.json", autoencoder.dump(2)) &&
               files_.safetensors(base + "vae/diffusion_pytorch_model.safetensors",
                                  named_tensors(vae.tensor_shapes(true, true), Dtype::f32, diffusers_vae22_name)) &&
               (!recipe_.with_text ||
                (files_.text(base + "text_encoder/config.json", encoder.dump(2)) &&
                 files_.shards(base + "text_encoder/model", 3,
                               named_tensors(text.tensor_shapes(), Dtype::bf16, transformers_umt5_name)) &&
                 tokenizer(base + "tokenizer")));
    }

    bool official() {
        const std::string base = "Wan2.2-TI2V-5B/";
        return files_.torch(base + "Wan2.2_VAE.pth", "",
                            named_tensors(sizes_.vae.tensor_shapes(true, true), Dtype::f32)) &&
               (!recipe_.with_text || (files_.torch(base + "models_t5_umt5-xxl-enc-bf16.pth", "",
                                                    named_tensors(sizes_.text.tensor_shapes(), Dtype::bf16)) &&
                                       tokenizer(base + "google/umt5-xxl")));
    }

    bool tokenizer(const std::string& place) {
        return files_.text(place + "/tokenizer.json", synthetic_tokenizer(sizes_.pieces, sizes_.extra_ids));
    }

    const WorldPlayRecipe& recipe_;
    const WorldPlaySizes sizes_;
    WeightFiles files_;
};

} // namespace

TaehvConfig tiny_with_patches(int channels, bool small) {
    TaehvConfig tiny;
    tiny.z = channels;
    tiny.patch = 2;
    if (small) {
        tiny.decoder_channels = {32, 16, 16, 16};
        tiny.encoder_channels = 16;
    }
    return tiny;
}

WorldPlaySizes worldplay_sizes(bool small) {
    WorldPlaySizes sizes;
    sizes.dit = wan5b_config();
    sizes.vae = Vae22Config::published();
    const ModelSizes text = sizes_of(small); // the text encoder is that of Wan 2.1
    sizes.text = text.text;
    sizes.pieces = text.pieces;
    sizes.extra_ids = text.extra_ids;
    if (small) {
        sizes.dit.dim = 256;
        sizes.dit.layers = 2;
        sizes.dit.heads = 2;
        sizes.dit.ffn = 512;
        sizes.dit.text_dim = sizes.text.dim;
        sizes.dit.text_len = 32;
        sizes.vae.dim = 8;
        sizes.vae.decoder_dim = 12;
    }
    sizes.tiny = tiny_with_patches(sizes.vae.z, small);
    return sizes;
}

Result<void> write_worldplay_folder(const std::filesystem::path& folder, const WorldPlayRecipe& recipe) {
    return Writer(folder, recipe).run();
}

} // namespace wander::test
