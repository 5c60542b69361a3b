// Folders of HY-WorldPlay WAN-5B: found by content wherever the files lie, preferred weights, the strict check, what is
// missing, the conversion, and that the networks load from it.

#include "generator/models/worldplay_folder.hpp"

#include "generator/models/convert.hpp"
#include "generator/models/text_video_folder.hpp"
#include "generator/models/worldplay_parts.hpp"
#include "generator/wan/vae22.hpp"
#include "generator/wan/wan5b_names.hpp"
#include "generator/weights/safetensors.hpp"
#include "tests/support/model_folder_writer.hpp"
#include "tests/support/weight_files.hpp"
#include "tests/support/worldplay_folder_writer.hpp"
#include "tests/unit/render_video/test_folder.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace wander {
namespace {

using Recipe = test::WorldPlayRecipe;
namespace fs = std::filesystem;

constexpr const char* kBase = "Wan2.2-TI2V-5B-Diffusers";

// One small folder of each layout for all tests; who changes something copies it.
const fs::path& made(Recipe::Layout layout) {
    static const test::TestFolder folder;
    static const auto make = [](Recipe::Layout wanted, const char* name) {
        Recipe recipe;
        recipe.layout = wanted;
        recipe.small = true;
        recipe.scaffolding = true;
        const auto written = test::write_worldplay_folder(folder / name, recipe);
        EXPECT_TRUE(written) << written.error().message;
        return folder / name;
    };
    static const fs::path official = make(Recipe::Layout::official, "official");
    static const fs::path diffusers = make(Recipe::Layout::diffusers, "diffusers");
    return layout == Recipe::Layout::official ? official : diffusers;
}

class WorldPlayFolderTest : public testing::Test {
protected:
    fs::path copy(Recipe::Layout layout = Recipe::Layout::diffusers) {
        fs::copy(made(layout), folder / "model", fs::copy_options::recursive);
        return folder / "model";
    }
    test::TestFolder folder;
};

WorldPlayFolder open(const fs::path& path) {
    auto model = WorldPlayFolder::open(path);
    if (!model) {
        ADD_FAILURE() << model.error().message;
        return {};
    }
    return std::move(*model);
}

std::string problem_of(const WorldPlayFolder& model, PartKind kind) {
    for (const ModelPart& part : model.parts) {
        if (part.kind == kind) return part.problem ? part.problem->message : "";
    }
    return "no such part";
}

void expect_parts(const std::string& text, std::initializer_list<const char*> parts) {
    for (const char* part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
}

std::map<std::string, at::Tensor> tensors_of(const WorldPlayFolder& model, PartKind kind) {
    std::map<std::string, at::Tensor> tensors;
    const PartTensors& from = *model.part(kind)->tensors;
    for (const auto& [name, shape] : from.shapes()) tensors[name] = *from.tensor(name, shape);
    return tensors;
}

TEST(WorldPlayFolder, FilesAsDownloaded) {
    ASSERT_TRUE(WorldPlayFolder::looks_like_one(made(Recipe::Layout::diffusers)));
    const auto model = open(made(Recipe::Layout::diffusers));
    EXPECT_EQ(model.model, WorldPlayFolder::Model::wan_5b);
    EXPECT_EQ(model.name, "random-small-wan5b");
    EXPECT_TRUE(model.ready()) << model.ready().error().message;
    EXPECT_TRUE(model.missing.empty());
    EXPECT_TRUE(model.warnings.empty());
    EXPECT_TRUE(model.few_steps);
    ASSERT_EQ(model.parts.size(), 5U);
    const auto sizes = test::worldplay_sizes(true);
    EXPECT_EQ(model.dit.tensor_shapes(), sizes.dit.tensor_shapes());
    EXPECT_EQ(model.dit.heads, 2);
    EXPECT_EQ(model.dit.head_dim, 128);
    EXPECT_EQ(model.dit.text_len, 32);
    EXPECT_EQ(model.dit.rope_time_channels, 44);
    EXPECT_TRUE(model.dit.prope && model.dit.action_label);
    EXPECT_EQ(model.vae.tensor_shapes(true, true), sizes.vae.tensor_shapes(true, true));
    EXPECT_EQ(model.vae.temporal_downsample, sizes.vae.temporal_downsample);
    EXPECT_EQ(model.vae.multipliers, sizes.vae.multipliers);
    EXPECT_EQ(model.vae.latent_mean, Vae22Config::published().latent_mean);
    EXPECT_EQ(model.pixels_per_latent(), 16);
    EXPECT_EQ(model.text.tensor_shapes(), sizes.text.tensor_shapes());
    EXPECT_EQ(model.size, (LatentSize{8, 12})) << "wander.json";
    EXPECT_EQ(model.sizes, (std::vector<LatentSize>{{44, 80}, {30, 52}}));
    EXPECT_EQ(model.schedule.context.latents, 16);
    EXPECT_TRUE(model.schedule.start_latent_is_fixed);
    EXPECT_EQ(model.part(PartKind::transformer)->path.filename(), "model.pt") << "not what is in wan_transformer/";
    EXPECT_EQ(model.part(PartKind::transformer)->tensors->outer_entry(), "generator");
    // Both halves of the VAE are used, so both count.
    EXPECT_GT(model.weight_bytes(PartKind::vae), 3'000'000U);
    EXPECT_EQ(model.tiny_vae.tensor_shapes(true, true), sizes.tiny.tensor_shapes(true, true));
    EXPECT_EQ(model.tiny_vae.spatial_scale(), 16);
    std::uint64_t decoder = 0; // of the tiny one that half alone: matrices in bf16, vectors in float32
    for (const auto& [name, shape] : sizes.tiny.tensor_shapes(false, true))
        decoder += TensorInfo{shape.size() > 1 ? Dtype::bf16 : Dtype::f32, shape}.bytes();
    EXPECT_EQ(model.weight_bytes(PartKind::tiny_vae), decoder);
}

TEST(WorldPlayFolder, BothLayoutsHoldTheSameTensors) {
    const auto a = open(made(Recipe::Layout::diffusers));
    const auto b = open(made(Recipe::Layout::official));
    EXPECT_TRUE(b.ready()) << b.ready().error().message;
    for (const PartKind kind : {PartKind::transformer, PartKind::vae, PartKind::tiny_vae, PartKind::text_encoder}) {
        const auto ours = tensors_of(a, kind);
        const auto theirs = tensors_of(b, kind);
        ASSERT_EQ(ours.size(), theirs.size());
        for (const auto& [name, tensor] : ours) EXPECT_TRUE(at::equal(tensor, theirs.at(name))) << name;
    }
    EXPECT_TRUE(a.part(PartKind::vae)->tensors->translated());
    EXPECT_FALSE(b.part(PartKind::vae)->tensors->translated());
}

TEST(WorldPlayFolder, TheNetworksLoadAndTheSecondBiasIsIn) {
    const auto model = open(made(Recipe::Layout::diffusers));
    const ModelPart& part = *model.part(PartKind::transformer);
    const auto dit = WanDit::load(model.dit, part.source(), at::kCPU, at::kFloat);
    ASSERT_TRUE(dit) << dit.error().message;
    const std::string bias = "blocks.1.self_attn.o.bias";
    const at::Tensor second = *part.tensors->tensor("blocks.1.self_attn.prope_proj.bias", {256});
    EXPECT_GT(second.abs().max().item<float>(), 0);
    EXPECT_TRUE(at::equal(*part.source()(bias, {256}), *part.tensors->tensor(bias, {256}) + second));
    const auto vae = Wan22Vae::load(model.vae, model.part(PartKind::vae)->source(), at::kCPU, at::kFloat, true, true);
    ASSERT_TRUE(vae) << vae.error().message;
    const auto text = Umt5Encoder::load(model.text, model.part(PartKind::text_encoder)->source(), at::kCPU, at::kFloat,
                                        TextPlacement::resident);
    EXPECT_TRUE(text) << text.error().message;
}

TEST_F(WorldPlayFolderTest, FilesAreFoundByTheirContent) {
    const fs::path model = copy();
    // As a download tool's cache has it, and files that somebody renamed.
    fs::create_directories(model / "models--tencent--HY-WorldPlay/snapshots/0123/weights");
    fs::rename(model / "wan_distilled_model/model.pt",
               model / "models--tencent--HY-WorldPlay/snapshots/0123/weights/five.pt");
    fs::create_directories(model / "mine");
    fs::rename(model / kBase / "vae/diffusion_pytorch_model.safetensors", model / "mine/decoder.safetensors");
    fs::rename(model / kBase / "text_encoder", model / "words");
    fs::rename(model / kBase / "tokenizer/tokenizer.json", model / "mine/tokenizer.json");
    // Neighbours that are something else.
    std::ofstream(model / "tokenizer.json") << R"({"model": {"type": "BPE"}})";
    std::ofstream(model / "notes.pt") << "no archive";
    const auto opened = open(model);
    EXPECT_TRUE(opened.ready()) << opened.ready().error().message;
    EXPECT_TRUE(opened.few_steps) << "an entry called generator says so";
    EXPECT_EQ(opened.part(PartKind::transformer)->path.filename(), "five.pt");
    EXPECT_EQ(opened.part(PartKind::vae)->path.filename(), "decoder.safetensors");
    EXPECT_EQ(opened.part(PartKind::tokenizer)->path, model / "mine/tokenizer.json");
    EXPECT_EQ(opened.dit.text_len, 32) << "config.json of wan_transformer/ is the one that is there";
}

TEST_F(WorldPlayFolderTest, AFileOfItLeadsToTheFolder) {
    const fs::path model = copy();
    EXPECT_TRUE(WorldPlayFolder::looks_like_one(model / "wan_distilled_model/model.pt"));
    EXPECT_EQ(open(model / "wan_distilled_model/model.pt").folder, model);
    EXPECT_EQ(open(fs::path(model.string() + "/")).folder, model);
}

TEST(WorldPlayFolder, OtherModelsAreNone) {
    const test::TestFolder folder;
    test::ModelFolderRecipe recipe;
    recipe.small = true;
    for (const auto layout : {test::ModelFolderRecipe::Layout::official, test::ModelFolderRecipe::Layout::diffusers}) {
        recipe.layout = layout;
        const fs::path model = folder / std::to_string(static_cast<int>(layout));
        ASSERT_TRUE(test::write_model_folder(model, recipe));
        EXPECT_FALSE(WorldPlayFolder::looks_like_one(model));
    }
    fs::create_directories(folder / "empty");
    EXPECT_FALSE(WorldPlayFolder::looks_like_one(folder / "empty"));
    EXPECT_FALSE(WorldPlayFolder::looks_like_one(folder / "absent"));
    EXPECT_EQ(WorldPlayFolder::open(folder / "absent").error().code, ErrorCode::wrong_use);
    const auto empty = WorldPlayFolder::open(folder / "empty");
    ASSERT_FALSE(empty);
    expect_parts(empty.error().message, {"HY-WorldPlay", "wan_distilled_model/model.pt", "docs/models.md"});
}

TEST_F(WorldPlayFolderTest, ASelfForcingFolderStaysOneWhenThisIsPutBelow) {
    const fs::path model = copy();
    test::ModelFolderRecipe recipe;
    recipe.small = true;
    ASSERT_TRUE(test::write_model_folder(model, recipe));
    EXPECT_FALSE(WorldPlayFolder::looks_like_one(model));
    std::ofstream(model / "wander-model.json") << R"({"version": 1, "model": "worldplay-wan5b"})";
    EXPECT_TRUE(WorldPlayFolder::looks_like_one(model));
}

TEST_F(WorldPlayFolderTest, WhatIsMissingIsNamedWithRepositoryAndSize) {
    const fs::path model = copy();
    fs::remove(model / "wan_distilled_model/model.pt");
    fs::remove_all(model / kBase / "text_encoder");
    ASSERT_TRUE(WorldPlayFolder::looks_like_one(model));
    const auto opened = open(model);
    ASSERT_FALSE(opened.ready());
    expect_parts(opened.ready().error().message,
                 {"wan_distilled_model/model.pt (21.17 GB) of Hugging Face tencent/HY-WorldPlay",
                  "text_encoder/ (all files) (11.36 GB) of Hugging Face Wan-AI/Wan2.2-TI2V-5B-Diffusers"});
    ASSERT_EQ(opened.warnings.size(), 1U);
    expect_parts(opened.warnings[0], {"wan_transformer", "base model", "not used"});
    // The base model's transformer alone is enough to know what is meant.
    fs::remove_all(model / kBase);
    EXPECT_TRUE(WorldPlayFolder::looks_like_one(model));
    const auto alone = open(model);
    EXPECT_EQ(alone.missing.size(), 4U) << "the tiny VAE is there";
    expect_parts(alone.ready().error().message,
                 {"vae/diffusion_pytorch_model.safetensors (2.82 GB)", "tokenizer.json"});
}

TEST(WorldPlayFolder, SizesOfTheDownloadsAreThoseOfTheTensors) {
    const auto bytes = [](const ShapeTable& shapes, Dtype dtype) {
        std::uint64_t sum = 0;
        for (const auto& [name, shape] : shapes) sum += TensorInfo{dtype, shape}.bytes();
        return sum;
    };
    const auto sizes = test::worldplay_sizes(false);
    EXPECT_EQ(wan5b_shapes(sizes.dit).size(), 889U);
    EXPECT_EQ(sizes.vae.tensor_shapes(true, true).size(), 196U);
    const auto wan = worldplay_parts(ModelFamily::wan_5b);
    EXPECT_EQ(wan[0].origin.bytes, bytes(wan5b_shapes(sizes.dit), Dtype::f32));
    EXPECT_EQ(wan[1].origin.bytes, bytes(sizes.vae.tensor_shapes(true, true), Dtype::f32));
    EXPECT_EQ(wan[2].origin.bytes, bytes(sizes.tiny.tensor_shapes(true, true), Dtype::f16));
    EXPECT_EQ(wan[3].origin.bytes, bytes(sizes.text.tensor_shapes(), Dtype::bf16));
    const auto hunyuan = worldplay_parts(ModelFamily::hunyuan_8b);
    EXPECT_EQ(hunyuan[1].origin.bytes, bytes(HunyuanVaeConfig().tensor_shapes(true, true), Dtype::f32));
    EXPECT_EQ(hunyuan[2].origin.bytes,
              bytes(test::tiny_with_patches(HunyuanVaeConfig().z, false).tensor_shapes(true, true), Dtype::f16));
}

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

TEST_F(WorldPlayFolderTest, ConversionKeepsNamesAndRoundsMatrices) {
    const fs::path model = copy();
    const auto before = open(model);
    const auto plan = plan_conversion(before);
    ASSERT_TRUE(plan) << plan.error().message;
    ASSERT_EQ(plan->parts.size(), 2U) << "the text encoder is bf16 already";
    ASSERT_TRUE(convert_model(before));
    const auto after = open(model);
    EXPECT_TRUE(after.ready()) << after.ready().error().message;
    EXPECT_TRUE(after.few_steps);
    EXPECT_EQ(after.dit.text_len, 32) << "the descriptions of the originals still count";
    EXPECT_TRUE(plan_conversion(after)->parts.empty());
    for (const PartKind kind : {PartKind::transformer, PartKind::vae}) {
        const ModelPart& part = *after.part(kind);
        EXPECT_TRUE(part.converted);
        EXPECT_EQ(part.original, before.part(kind)->path);
        const auto old = tensors_of(before, kind);
        const auto now = tensors_of(after, kind);
        ASSERT_EQ(old.size(), now.size());
        for (const auto& [name, from] : old) {
            const at::Tensor& to = now.at(name);
            const bool vector = from.numel() == from.size(0) || name.ends_with("modulation");
            EXPECT_EQ(to.scalar_type(), vector ? at::kFloat : at::kBFloat16) << name;
            EXPECT_TRUE(at::equal(from.to(to.scalar_type()), to)) << name;
        }
    }
    const at::Tensor bias = *before.part(PartKind::transformer)->source()("blocks.0.self_attn.o.bias", {256});
    EXPECT_TRUE(at::equal(*after.part(PartKind::transformer)->source()("blocks.0.self_attn.o.bias", {256}), bias));
    EXPECT_EQ(open(model / "wander").folder, model);
}

TEST_F(WorldPlayFolderTest, TheConversionOfDistilledWeightsOutlivesThem) {
    const fs::path model = copy();
    const auto tensors = tensors_of(open(model), PartKind::transformer);
    ASSERT_TRUE(convert_model(open(model)));
    fs::remove_all(model / "wan_distilled_model");
    const auto without = open(model);
    EXPECT_TRUE(without.ready()) << without.ready().error().message;
    EXPECT_TRUE(without.few_steps);
    EXPECT_TRUE(without.part(PartKind::transformer)->original.empty());
    EXPECT_TRUE(plan_conversion(without)->parts.empty());
    // Other weights that are still there do not take its place.
    std::map<std::string, at::Tensor> copies;
    for (const auto& [name, tensor] : tensors) copies[name] = tensor.clone();
    ASSERT_TRUE(write_safetensors(model / "wan_transformer/diffusion_pytorch_model.safetensors", copies));
    EXPECT_EQ(open(model).part(PartKind::transformer)->path.filename(), "worldplay_wan5b.safetensors");
    EXPECT_TRUE(open(model).few_steps);
    // New distilled weights do.
    Recipe other;
    other.small = true;
    other.seed = 2;
    ASSERT_TRUE(test::write_worldplay_folder(model, other));
    EXPECT_EQ(open(model).part(PartKind::transformer)->path.filename(), "model.pt");
}

} // namespace
} // namespace wander
