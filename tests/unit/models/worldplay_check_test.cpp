// The strict check of a HY-WorldPlay folder: tensors that differ are listed, descriptions that disagree are refused.

#include "generator/models/worldplay_check.hpp"

#include "generator/weights/safetensors.hpp"
#include "tests/unit/models/worldplay_folder_case.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace wander::test {
namespace {

TEST_F(WorldPlayFolderTest, DifferencesAreListed) {
    const fs::path model = copy();
    const auto whole = open(model);
    auto tensors = tensors_of(whole, PartKind::transformer);
    const auto write = [&] {
        ASSERT_TRUE(write_safetensors(model / "wan_distilled_model/model.safetensors", tensors));
        fs::remove(model / "wan_distilled_model/model.pt");
    };
    tensors.erase("blocks.1.self_attn.prope_proj.bias");
    tensors["lora"] = at::zeros({2});
    tensors["blocks.0.ffn.2.bias"] = at::zeros({255});
    write();
    expect_parts(problem_of(open(model), PartKind::transformer),
                 {"does not fit the WAN-5B transformer of 2 layers and 256 channels",
                  "1 tensor is missing (blocks.1.self_attn.prope_proj.bias)", "1 is foreign (lora)",
                  "blocks.0.ffn.2.bias is [255], expected [256]"});
    auto vae = tensors_of(whole, PartKind::vae);
    vae.erase("encoder.middle.1.norm.gamma");
    ASSERT_TRUE(write_safetensors(model / kBase / "vae/diffusion_pytorch_model.safetensors", vae));
    expect_parts(problem_of(open(model), PartKind::vae),
                 {"does not fit the Wan 2.2 VAE", "encoder.middle.1.norm.gamma"});
}

TEST_F(WorldPlayFolderTest, ConfigsThatDisagreeAreRefused) {
    const fs::path model = copy();
    const auto change = [](const fs::path& path, const char* key, const nlohmann::json& value) {
        auto config = nlohmann::json::parse(std::ifstream(path));
        config[key] = value;
        std::ofstream(path) << config;
    };
    change(model / "wan_transformer/config.json", "num_layers", 30);
    expect_parts(problem_of(open(model), PartKind::transformer), {"\"num_layers\" is 30", "model.pt say 2"});
    change(model / "wan_transformer/config.json", "num_layers", 2);
    change(model / "wan_transformer/config.json", "attention_head_dim", 6);
    expect_parts(problem_of(open(model), PartKind::transformer), {"heads of 6 channels"});
    change(model / "wan_transformer/config.json", "attention_head_dim", 64);
    change(model / "wan_transformer/config.json", "num_attention_heads", 4);
    EXPECT_EQ(open(model).dit.heads, 4);
    const fs::path vae = model / kBase / "vae/config.json";
    change(vae, "decoder_base_dim", 256);
    expect_parts(problem_of(open(model), PartKind::vae), {"\"decoder_base_dim\" is 256", "say 12"});
    change(vae, "decoder_base_dim", 12);
    std::vector<double> deviations(48, 1);
    change(vae, "latents_std", deviations);
    EXPECT_EQ(open(model).vae.latent_std, deviations);
    deviations[5] = 0;
    change(vae, "latents_std", deviations);
    expect_parts(problem_of(open(model), PartKind::vae), {"latents_std"});
}

} // namespace
} // namespace wander::test
