// Folders of HY-WorldPlay 8B: parts are found and listed, what is in the way is said, and the instruction of its text
// encoder is taken out of source code by its hash. The text itself is not ours, so tests have one of their own.

#include "generator/models/convert.hpp"
#include "generator/models/system_prompt.hpp"
#include "generator/models/worldplay_folder.hpp"
#include "generator/plain/sha256.hpp"
#include "tests/support/weight_files.hpp"
#include "tests/support/worldplay_folder_writer.hpp"
#include "tests/unit/render_video/test_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace wander {
namespace {

namespace fs = std::filesystem;

void expect_parts(const std::string& text, std::initializer_list<const char*> parts) {
    for (const char* part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
}

HunyuanVaeConfig small_vae() {
    HunyuanVaeConfig vae;
    vae.z = 4;
    vae.widths = {8, 8, 16, 16, 16};
    return vae;
}

// The places that public scripts use; of every network the few tensors that tell it apart.
void write_8b(const fs::path& folder, const std::string& transformer = "ar_distilled_action_model/model.safetensors") {
    test::WeightFiles files(folder, 1, {});
    const auto tensors = [](std::initializer_list<const char*> names) {
        ShapeTable shapes;
        for (const char* name : names) shapes[name] = {16, 16};
        return test::named_tensors(shapes, Dtype::f32);
    };
    files.safetensors(transformer, tensors({"double_blocks.0.img_attn_q.weight",
                                            "double_blocks.0.img_attn_prope_proj.weight", "action_in.mlp.0.weight"}));
    files.safetensors("vae/diffusion_pytorch_model.safetensors",
                      test::named_tensors(small_vae().tensor_shapes(true, true), Dtype::f32));
    files.shards(
        "text_encoder/llm/model", 2,
        tensors({"model.layers.0.mlp.gate_proj.weight", "model.norm.weight", "visual.patch_embed.proj.weight"}));
    files.text("text_encoder/llm/tokenizer.json", R"({"model": {"type": "BPE"}, "added_tokens": ["<|im_start|>"]})");
    files.safetensors("vision_encoder/siglip/image_encoder/model.safetensors",
                      tensors({"vision_model.embeddings.patch_embedding.bias"}));
    files.torch("text_encoder/Glyph-SDXL-v2/checkpoints/byt5_model.pt", "state_dict",
                tensors({"module.text_tower.encoder.block.0.layer.0.SelfAttention.q.weight"}));
    // A neighbour that has no use: byT5 as it was.
    files.safetensors("text_encoder/byt5-small/model.safetensors",
                      test::named_tensors({{"shared.weight", {384, 1472}}}, Dtype::bf16));
    ASSERT_TRUE(files.done()) << files.done().error().message;
}

WorldPlayFolder open(const fs::path& path) {
    auto model = WorldPlayFolder::open(path);
    if (!model) {
        ADD_FAILURE() << model.error().message;
        return {};
    }
    return std::move(*model);
}

TEST(HunyuanFolder, PartsAreFoundAndWalkingIsNotPromised) {
    const test::TestFolder folder;
    write_8b(folder / "model");
    ASSERT_TRUE(WorldPlayFolder::looks_like_one(folder / "model"));
    const auto model = open(folder / "model");
    EXPECT_EQ(model.model, WorldPlayFolder::Model::hunyuan_8b);
    EXPECT_EQ(model.name, "HY-WorldPlay 8B");
    EXPECT_TRUE(model.missing.empty());
    EXPECT_TRUE(model.few_steps);
    ASSERT_EQ(model.parts.size(), 6U);
    for (const ModelPart& part : model.parts) EXPECT_FALSE(part.problem) << part.problem->message;
    EXPECT_EQ(model.part(PartKind::text_encoder)->path.filename(), "model.safetensors.index.json");
    EXPECT_EQ(model.part(PartKind::glyph_encoder)->path.filename(), "byt5_model.pt");
    EXPECT_EQ(model.hunyuan_vae.widths, small_vae().widths);
    EXPECT_EQ(model.hunyuan_vae.z, 4);
    EXPECT_EQ(model.hunyuan_vae.temporal_levels, 2);
    EXPECT_EQ(model.pixels_per_latent(), 16);
    EXPECT_EQ(model.schedule.context.latents, 20);
    EXPECT_EQ(model.size, (LatentSize{30, 52}));
    ASSERT_EQ(model.obstacles.size(), 2U);
    const auto ready = model.ready();
    ASSERT_FALSE(ready);
    EXPECT_EQ(ready.error().code, ErrorCode::unavailable);
    expect_parts(ready.error().message, {"--system-prompt-from", "text_encoders/__init__.py", "not wired yet"});
}

TEST(HunyuanFolder, WhatIsMissingIsNamed) {
    const test::TestFolder folder;
    write_8b(folder / "model", "bidirectional_model/diffusion_pytorch_model.safetensors");
    fs::remove_all(folder / "model/vision_encoder");
    fs::remove_all(folder / "model/text_encoder");
    const auto model = open(folder / "model");
    ASSERT_EQ(model.warnings.size(), 1U) << "not the few-step weights";
    expect_parts(model.warnings[0], {"bidirectional_model", "ar_distilled_action_model/model.safetensors"});
    EXPECT_EQ(model.missing.size(), 4U);
    const std::string text = model.ready().error().message;
    expect_parts(text, {"Qwen/Qwen2.5-VL-7B-Instruct", "FLUX.1-Redux-dev"});
    EXPECT_EQ(text.find("Glyph"), std::string::npos) << "only words in quotes need it";
    // The VAE is checked by name and shape.
    auto shapes = small_vae().tensor_shapes(true, true);
    shapes.erase("decoder.norm_out.gamma");
    test::WeightFiles files(folder / "model", 1, {});
    files.safetensors("vae/diffusion_pytorch_model.safetensors", test::named_tensors(shapes, Dtype::f32));
    expect_parts(open(folder / "model").ready().error().message,
                 {"does not fit the VAE of HunyuanVideo 1.5", "decoder.norm_out.gamma"});
}

TEST(HunyuanFolder, BesideWan5BTheManifestDecides) {
    const test::TestFolder folder;
    write_8b(folder / "model");
    test::WorldPlayRecipe recipe;
    recipe.small = true;
    ASSERT_TRUE(test::write_worldplay_folder(folder / "model", recipe));
    EXPECT_EQ(open(folder / "model").model, WorldPlayFolder::Model::wan_5b) << "the one that can be walked";
    EXPECT_TRUE(open(folder / "model").ready());
    fs::remove(folder / "model/wander.json");
    std::ofstream(folder / "model/wander-model.json") << R"({"version": 1, "model": "worldplay-8b"})";
    const auto model = open(folder / "model");
    EXPECT_EQ(model.model, WorldPlayFolder::Model::hunyuan_8b);
    EXPECT_EQ(model.part(PartKind::transformer)->path.filename(), "model.safetensors");
    EXPECT_NE(model.part(PartKind::tokenizer)->path.string().find("llm"), std::string::npos);
}

TEST(HunyuanFolder, ConversionHasNamesOfItsOwn) {
    const test::TestFolder folder;
    write_8b(folder / "model");
    const auto done = convert_model(open(folder / "model"));
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_EQ(done->parts.size(), 2U) << "transformer and VAE";
    EXPECT_EQ(done->parts[0].target.filename(), "worldplay_8b.safetensors");
    EXPECT_EQ(done->parts[1].target.filename(), "hunyuan_vae.safetensors");
    const auto model = open(folder / "model");
    EXPECT_TRUE(model.part(PartKind::transformer)->converted);
    EXPECT_TRUE(model.part(PartKind::vae)->converted);
}

std::string hash_of(const std::string& text) {
    Sha256 hash;
    hash.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    return hash.hex();
}

TEST(SystemPrompt, IsFoundByItsHashAndKept) {
    const test::TestFolder folder;
    const std::string text = "Describe the video:          1. What moves.          2. Where.";
    const std::string sha = hash_of(text);
    std::ofstream(folder / "init.py")
        << "# code\nOTHER = 'Describe'\nTEMPLATE = [{'role': 'system', 'content':\n"
           "    \"Describe the video: \\\n         1. What moves. \\\n         2. Where.\"}]\n";
    const auto found = find_system_prompt(folder / "init.py", sha);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(*found, text);
    std::ofstream(folder / "plain.txt") << text;
    EXPECT_EQ(*find_system_prompt(folder / "plain.txt", sha), text) << "the text alone";

    const auto missing = read_system_prompt(folder.path(), sha);
    ASSERT_FALSE(missing);
    expect_parts(missing.error().message, {"--system-prompt-from", "wander convert"});
    ASSERT_TRUE(keep_system_prompt(folder.path(), text));
    const auto kept = read_system_prompt(folder.path(), sha);
    ASSERT_TRUE(kept) << kept.error().message;
    EXPECT_EQ(*kept, text);
    std::ofstream(folder / "wander/system_prompt.txt", std::ios::app) << ' ';
    expect_parts(read_system_prompt(folder.path(), sha).error().message, {"not the text it should be", "again"});
}

TEST(SystemPrompt, OtherFilesAreRefused) {
    const test::TestFolder folder;
    std::ofstream(folder / "init.py") << "x = 'another text'\n";
    for (const char* file : {"init.py", "absent.py", ""}) {
        const auto refused = find_system_prompt(folder / file);
        ASSERT_FALSE(refused) << file;
        EXPECT_EQ(refused.error().code, ErrorCode::bad_input);
    }
    expect_parts(find_system_prompt(folder / "init.py").error().message,
                 {"init.py", kSystemPromptSha256.data(), "hyvideo/models/text_encoders/__init__.py"});
}

} // namespace
} // namespace wander
