// What is taken of a HY-WorldPlay folder where there is a choice: tiny VAEs, distilled weights before others, and what
// wander-model.json and wander.json say.

#include "generator/models/convert.hpp"
#include "generator/weights/safetensors.hpp"
#include "tests/unit/models/worldplay_folder_case.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace wander::test {
namespace {

// madebyollin/taehv's and LightX2V's have the same tensors; the name tells whose conventions hold.
TEST_F(WorldPlayFolderTest, TheTinyVaeIsFoundByItsTensorsAndItsConventionsByItsName) {
    const fs::path model = copy();
    const auto as_published = open(model);
    EXPECT_EQ(as_published.part(PartKind::tiny_vae)->path.filename(), "taew2_2.pth");
    EXPECT_TRUE(as_published.tiny_vae.latent_mean.empty());
    EXPECT_EQ(as_published.tiny_vae.leak, 0);
    EXPECT_EQ(as_published.tiny_vae.range.black, 0);
    const auto tensors = tensors_of(as_published, PartKind::tiny_vae);
    fs::remove(model / "taew2_2.pth");
    const auto without = open(model);
    EXPECT_TRUE(without.ready()) << "a walk does without";
    ASSERT_EQ(without.missing.size(), 1U);
    EXPECT_FALSE(without.missing[0].needed);
    expect_parts(without.missing[0].text(), {"tiny VAE: taew2_2.pth (23 MB) of GitHub madebyollin/taehv"});

    fs::create_directories(model / "any");
    ASSERT_TRUE(write_safetensors(model / "any/LightTAEw2_2.safetensors", tensors));
    const auto light = open(model);
    EXPECT_EQ(light.part(PartKind::tiny_vae)->path.filename(), "LightTAEw2_2.safetensors");
    EXPECT_EQ(light.tiny_vae.latent_mean, Vae22Config::published().latent_mean);
    EXPECT_EQ(light.tiny_vae.latent_std, Vae22Config::published().latent_std);
    EXPECT_EQ(light.tiny_vae.leak, 0);
    const auto loaded =
        Taehv::load(light.tiny_vae, light.part(PartKind::tiny_vae)->source(), at::kCPU, at::kFloat, true, true);
    EXPECT_TRUE(loaded) << loaded.error().message;

    // Not whole.
    auto damaged = tensors;
    damaged.erase("decoder.7.conv.weight");
    ASSERT_TRUE(write_safetensors(model / "any/LightTAEw2_2.safetensors", damaged));
    expect_parts(problem_of(open(model), PartKind::tiny_vae),
                 {"LightTAEw2_2.safetensors", "tiny VAE taew2_2", "1 tensor is missing (decoder.7.conv.weight)"});

    // Of a third model's latents.
    auto other = tensors;
    other["decoder.1.weight"] = at::zeros({32, 24, 3, 3}, at::kHalf);
    ASSERT_TRUE(write_safetensors(model / "any/LightTAEw2_2.safetensors", other));
    EXPECT_TRUE(open(model).ready());
    EXPECT_FALSE(open(model).part(PartKind::tiny_vae));
    std::ofstream(model / "wander-model.json") << R"({"version": 1, "model": "worldplay-wan5b", "tiny_vae": "any"})";
    EXPECT_FALSE(WorldPlayFolder::open(model)) << "no tiny VAE of this model is in that folder";
}

TEST_F(WorldPlayFolderTest, DistilledWeightsArePreferredAndOthersNeedAWord) {
    const fs::path model = copy();
    // Weights with everything, but nothing that says few-step.
    ASSERT_TRUE(write_safetensors(model / "wan_transformer/diffusion_pytorch_model.safetensors",
                                  tensors_of(open(model), PartKind::transformer)));
    EXPECT_EQ(open(model).part(PartKind::transformer)->path.filename(), "model.pt");
    fs::remove(model / "wan_distilled_model/model.pt");
    const auto other = open(model);
    EXPECT_TRUE(other.ready()) << other.ready().error().message;
    EXPECT_FALSE(other.few_steps);
    ASSERT_EQ(other.warnings.size(), 1U);
    expect_parts(other.warnings[0], {"few-step", "wan_distilled_model/model.pt", "tencent/HY-WorldPlay"});
}

TEST_F(WorldPlayFolderTest, ADamagedDistilledFileIsAProblemAndNotPassedOver) {
    const fs::path model = copy();
    ASSERT_TRUE(write_safetensors(model / "wan_transformer/diffusion_pytorch_model.safetensors",
                                  tensors_of(open(model), PartKind::transformer)));
    fs::resize_file(model / "wan_distilled_model/model.pt", 1 << 20);
    const auto opened = open(model);
    expect_parts(problem_of(opened, PartKind::transformer), {"wan_distilled_model/model.pt"});
    EXPECT_FALSE(opened.ready());
    EXPECT_FALSE(convert_model(opened));
}

// What a person has in mind with wander-model.json.
TEST_F(WorldPlayFolderTest, AManifestNamesParts) {
    const fs::path parts = copy();
    const fs::path model = folder / "named";
    fs::create_directories(model);
    const auto write = [&](const nlohmann::json& manifest) { std::ofstream(model / "wander-model.json") << manifest; };
    nlohmann::json manifest = {{"version", 1},
                               {"model", "worldplay-wan5b"},
                               {"transformer", "../model/wan_distilled_model"},
                               {"vae", (parts / kBase / "vae/diffusion_pytorch_model.safetensors").string()},
                               {"text_encoder", (parts / kBase / "text_encoder").string()},
                               {"tokenizer", "../model/Wan2.2-TI2V-5B-Diffusers/tokenizer/tokenizer.json"}};
    write(manifest);
    EXPECT_TRUE(WorldPlayFolder::looks_like_one(model));
    const auto opened = open(model);
    EXPECT_TRUE(opened.ready()) << opened.ready().error().message;
    EXPECT_TRUE(opened.few_steps);
    EXPECT_EQ(opened.dit.text_len, 32);
    EXPECT_EQ(opened.folder, model);
    for (const auto& [key, value, reason] :
         {std::tuple{"vae", nlohmann::json("nowhere.pth"), "which is not there"},
          {"text_encoder", nlohmann::json("../model/wan_distilled_model"), "holds no such file"},
          {"vae", nlohmann::json(3), "not a text"},
          {"vee", nlohmann::json("x"), "no known key"},
          {"model", nlohmann::json("worldplay-9b"), "worldplay-wan5b"},
          {"version", nlohmann::json(2), "version"}}) {
        nlohmann::json wrong = manifest;
        wrong[key] = value;
        write(wrong);
        const auto refused = WorldPlayFolder::open(model);
        ASSERT_FALSE(refused) << wrong;
        EXPECT_EQ(refused.error().code, ErrorCode::bad_input);
        expect_parts(refused.error().message, {"wander-model.json", reason});
    }
    // What it does not name is looked for in the folder itself.
    manifest.erase("tokenizer");
    write(manifest);
    EXPECT_FALSE(open(model).ready());
    fs::copy_file(parts / kBase / "tokenizer/tokenizer.json", model / "tokenizer.json");
    EXPECT_TRUE(open(model).ready());
}

TEST_F(WorldPlayFolderTest, SettingsOfThePersonAreChecked) {
    const fs::path model = copy();
    std::ofstream(model / "wander.json") << R"({"context_latents": 48, "latent_rows": 30, "latent_cols": 52})";
    const auto opened = open(model);
    EXPECT_EQ(opened.schedule.context.latents, 48);
    EXPECT_EQ(opened.size, (LatentSize{30, 52}));
    EXPECT_EQ(opened.name, "HY-WorldPlay WAN-5B");
    for (const char* wrong : {R"({"context_latents": 18})", R"({"context_latents": 4})", R"({"latent_rows": 7})",
                              R"({"window_latents": 3})", R"({"name": 1})", "[]", "{"}) {
        std::ofstream(model / "wander.json") << wrong;
        const auto refused = WorldPlayFolder::open(model);
        ASSERT_FALSE(refused) << wrong;
        expect_parts(refused.error().message, {"wander.json"});
    }
}

} // namespace
} // namespace wander::test
