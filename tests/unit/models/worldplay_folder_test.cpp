// Folders of HY-WorldPlay WAN-5B: found by content wherever the files lie, what is in them and what is missing, and
// that the networks load from it.

#include "generator/models/worldplay_folder.hpp"

#include "generator/models/worldplay_parts.hpp"
#include "generator/wan/vae22.hpp"
#include "generator/wan/wan5b_names.hpp"
#include "tests/support/model_folder_writer.hpp"
#include "tests/unit/models/worldplay_folder_case.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

namespace wander::test {
namespace {

TEST(WorldPlayFolder, FilesAsDownloaded) {
    ASSERT_TRUE(WorldPlayFolder::looks_like_one(made(WorldPlayRecipe::Layout::diffusers)));
    const auto model = open(made(WorldPlayRecipe::Layout::diffusers));
    EXPECT_EQ(model.model, WorldPlayFolder::Model::wan_5b);
    EXPECT_EQ(model.name, "random-small-wan5b");
    EXPECT_TRUE(model.ready()) << model.ready().error().message;
    EXPECT_TRUE(model.missing.empty());
    EXPECT_TRUE(model.warnings.empty());
    EXPECT_TRUE(model.few_steps);
    ASSERT_EQ(model.parts.size(), 5U);
    const auto sizes = worldplay_sizes(true);
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
    const auto a = open(made(WorldPlayRecipe::Layout::diffusers));
    const auto b = open(made(WorldPlayRecipe::Layout::official));
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
    const auto model = open(made(WorldPlayRecipe::Layout::diffusers));
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
    const TestFolder folder;
    ModelFolderRecipe recipe;
    recipe.small = true;
    for (const auto layout : {ModelFolderRecipe::Layout::official, ModelFolderRecipe::Layout::diffusers}) {
        recipe.layout = layout;
        const fs::path model = folder / std::to_string(static_cast<int>(layout));
        ASSERT_TRUE(write_model_folder(model, recipe));
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
    ModelFolderRecipe recipe;
    recipe.small = true;
    ASSERT_TRUE(write_model_folder(model, recipe));
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
    const auto sizes = worldplay_sizes(false);
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
              bytes(tiny_with_patches(HunyuanVaeConfig().z, false).tensor_shapes(true, true), Dtype::f16));
}

} // namespace
} // namespace wander::test
