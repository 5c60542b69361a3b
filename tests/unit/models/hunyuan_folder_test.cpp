// Folders of HY-WorldPlay 8B: parts are found and listed, what is in the way is said, and the instruction of its text
// encoder is taken out of source code by its hash. The text itself is not ours, so tests have one of their own.

#include "generator/models/convert.hpp"
#include "generator/models/kept_system_prompt.hpp"
#include "generator/models/worldplay_folder.hpp"
#include "generator/models/worldplay_parts.hpp"
#include "generator/plain/sha256.hpp"
#include "tests/support/hunyuan_folder_writer.hpp"
#include "tests/support/weight_files.hpp"
#include "tests/support/worldplay_folder_writer.hpp"
#include "tests/unit/models/opened_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace wander {
namespace {

namespace fs = std::filesystem;
using test::expect_parts;

// The places that public scripts use, and a neighbour that has no use: byT5 as it was.
void write_8b(const fs::path& folder) {
    test::HunyuanRecipe recipe;
    recipe.small = true;
    const auto written = test::write_hunyuan_folder(folder, recipe);
    ASSERT_TRUE(written) << written.error().message;
    test::WeightFiles files(folder, 1, {});
    files.safetensors("text_encoder/byt5-small/model.safetensors",
                      test::named_tensors({{"shared.weight", {384, 1472}}}, Dtype::bf16));
    ASSERT_TRUE(files.done()) << files.done().error().message;
}

WorldPlayFolder open(const fs::path& path) { return test::opened<WorldPlayFolder>(path); }

TEST(HunyuanFolder, PartsAreFoundAndTheInstructionIsWantedFirst) {
    const test::TestFolder folder;
    write_8b(folder / "model");
    ASSERT_TRUE(WorldPlayFolder::looks_like_one(folder / "model"));
    const auto model = open(folder / "model");
    EXPECT_EQ(model.model, WorldPlayFolder::Model::hunyuan_8b);
    EXPECT_EQ(model.name, "random-small-8b");
    EXPECT_TRUE(model.missing.empty());
    EXPECT_TRUE(model.few_steps);
    ASSERT_EQ(model.parts.size(), 7U);
    // LightX2V's, by its name: its own activation and range, and the latents that the full VAE takes.
    EXPECT_EQ(model.tiny_vae.tensor_shapes(true, true), test::hunyuan_sizes(true).tiny.tensor_shapes(true, true));
    EXPECT_EQ(model.tiny_vae.leak, 0.2);
    EXPECT_EQ(model.tiny_vae.latent_std, std::vector<double>(4, 1 / 1.03682));
    EXPECT_EQ(model.tiny_vae.range.black, -1);
    for (const ModelPart& part : model.parts) EXPECT_FALSE(part.problem) << part.problem->message;
    EXPECT_EQ(model.part(PartKind::text_encoder)->path.filename(), "model.safetensors.index.json");
    EXPECT_EQ(model.part(PartKind::glyph_encoder)->path.filename(), "byt5_model.pt");
    EXPECT_EQ(model.hunyuan_vae.widths, test::hunyuan_sizes(true).vae.widths);
    EXPECT_EQ(model.hunyuan_vae.z, 4);
    EXPECT_EQ(model.hunyuan_vae.temporal_levels, 2);
    EXPECT_EQ(model.pixels_per_latent(), 16);
    EXPECT_EQ(model.schedule.context.latents, 20);
    EXPECT_EQ(model.size, (LatentSize{8, 12}));
    EXPECT_EQ(model.hunyuan_dit.layers, 3);
    EXPECT_EQ(model.hunyuan_dit.heads, 2);
    EXPECT_EQ(model.hunyuan_dit.rope_row_channels, 56);
    EXPECT_EQ(model.hunyuan_dit.glyph_dim, test::hunyuan_sizes(true).glyph.dim);
    ASSERT_EQ(model.obstacles.size(), 1U);
    const auto ready = model.ready();
    ASSERT_FALSE(ready);
    EXPECT_EQ(ready.error().code, ErrorCode::unavailable);
    expect_parts(ready.error().message, {"--system-prompt-from", "text_encoders/__init__.py"});
}

TEST(HunyuanFolder, TheInstructionIsTheLastObstacle) {
    const test::TestFolder folder;
    write_8b(folder / "model");
    const auto model = open(folder / "model");
    const auto text = read_system_prompt(folder / "model/code/text_encoders.py", model.instruction);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_FALSE(read_system_prompt(folder / "model/code/text_encoders.py")) << "not the published one";
    ASSERT_TRUE(keep_system_prompt(folder / "model", *text));
    const auto ready = open(folder / "model").ready();
    EXPECT_TRUE(ready) << ready.error().message;
}

TEST(HunyuanFolder, TheTransformerIsCheckedByNameShapeAndDescription) {
    const test::TestFolder folder;
    write_8b(folder / "model");
    const fs::path config = folder / "model/transformer/480p_i2v/config.json";
    std::ofstream(config) << R"({"mm_double_blocks_depth": 54})";
    expect_parts(open(folder / "model").ready().error().message, {"mm_double_blocks_depth", "54"});
    std::ofstream(config) << R"({"mm_double_blocks_depth": 3, "rope_dim_list": [8, 60, 60]})";
    EXPECT_EQ(open(folder / "model").hunyuan_dit.rope_time_channels, 8);
    std::ofstream(config) << R"({"mm_double_blocks_depth": 3, "rope_dim_list": [8, 60, 64]})";
    expect_parts(open(folder / "model").ready().error().message, {"rope_dim_list"});
    fs::remove(config);
    auto shapes = test::published_hunyuan_shapes(test::hunyuan_sizes(true));
    shapes.erase("double_blocks.1.txt_mlp.fc2.bias");
    test::WeightFiles files(folder / "model", 1, {});
    files.safetensors("ar_distilled_action_model/model.safetensors", test::named_tensors(shapes, Dtype::bf16));
    expect_parts(open(folder / "model").ready().error().message, {"double_blocks.1.txt_mlp.fc2.bias"});
}

TEST(HunyuanFolder, ATinyVaeOfOtherLatentsIsNotUsed) {
    const test::TestFolder folder;
    write_8b(folder / "model");
    fs::remove(folder / "model/lighttaehy1_5.safetensors");
    test::WeightFiles files(folder / "model", 1, {});
    files.safetensors("taeh3.safetensors",
                      test::named_tensors(test::tiny_with_patches(24, true).tensor_shapes(true, true), Dtype::f16));
    ASSERT_TRUE(files.done());
    const auto model = open(folder / "model");
    EXPECT_FALSE(model.part(PartKind::tiny_vae));
    ASSERT_EQ(model.warnings.size(), 1U);
    expect_parts(model.warnings[0], {"taeh3.safetensors", "24 channels", "not used"});
    ASSERT_EQ(model.missing.size(), 1U);
    expect_parts(model.missing[0].text(), {"taehv1_5.pth (23 MB) of GitHub madebyollin/taehv"});
}

TEST(HunyuanFolder, WhatIsMissingIsNamed) {
    const test::TestFolder folder;
    write_8b(folder / "model");
    fs::create_directories(folder / "model/bidirectional_model");
    fs::rename(folder / "model/ar_distilled_action_model/model.safetensors",
               folder / "model/bidirectional_model/diffusion_pytorch_model.safetensors");
    fs::remove_all(folder / "model/vision_encoder");
    fs::remove_all(folder / "model/text_encoder");
    const auto model = open(folder / "model");
    ASSERT_EQ(model.warnings.size(), 1U) << "not the few-step weights";
    expect_parts(model.warnings[0], {"bidirectional_model", "ar_distilled_action_model/model.safetensors"});
    EXPECT_EQ(model.missing.size(), 4U);
    const std::string text = model.ready().error().message;
    expect_parts(text, {"Qwen/Qwen2.5-VL-7B-Instruct", "FLUX.1-Redux-dev"});
    EXPECT_EQ(text.find("Glyph"), std::string::npos) << "only words in quotes need it";
    EXPECT_EQ(model.part(PartKind::transformer)->path.parent_path().filename(), "bidirectional_model");
    // The VAE is checked by name and shape.
    auto shapes = test::hunyuan_sizes(true).vae.tensor_shapes(true, true);
    shapes.erase("decoder.norm_out.gamma");
    test::WeightFiles files(folder / "model", 1, {});
    files.safetensors("vae/diffusion_pytorch_model.safetensors", test::named_tensors(shapes, Dtype::f32));
    expect_parts(open(folder / "model").ready().error().message,
                 {"does not fit the VAE of HunyuanVideo 1.5", "decoder.norm_out.gamma"});
}

TEST(HunyuanFolder, EveryEncoderIsChecked) {
    const test::TestFolder folder;
    write_8b(folder / "model");
    const auto sizes = test::hunyuan_sizes(true);
    test::WeightFiles files(folder / "model", 1, {});
    auto vision = sizes.vision.tensor_shapes();
    vision["vision_model.encoder.layers.0.mlp.fc1.bias"] = {7};
    files.safetensors("vision_encoder/siglip/image_encoder/model.safetensors",
                      test::named_tensors(vision, Dtype::bf16));
    fs::remove(folder / "model/text_encoder/llm/config.json");
    fs::resize_file(folder / "model/text_encoder/Glyph-SDXL-v2/checkpoints/byt5_model.pt", 5000);
    expect_parts(open(folder / "model").ready().error().message,
                 {"vision_model.encoder.layers.0.mlp.fc1.bias", "llm/config.json", "byt5_model.pt"});
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
    EXPECT_EQ(plan_conversion(open(folder / "model"))->parts.size(), 1U) << "the VAE; the transformer is bf16 already";
    test::WeightFiles files(folder / "model", 1, {}); // in float32, as the file may be
    files.safetensors("ar_distilled_action_model/model.safetensors",
                      test::named_tensors(test::published_hunyuan_shapes(test::hunyuan_sizes(true)), Dtype::f32));
    const auto done = convert_model(open(folder / "model"));
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_EQ(done->parts.size(), 2U);
    EXPECT_EQ(done->parts[0].target.filename(), "worldplay_8b.safetensors");
    EXPECT_EQ(done->parts[1].target.filename(), "hunyuan_vae.safetensors");
    const auto model = open(folder / "model");
    EXPECT_TRUE(model.part(PartKind::transformer)->converted);
    EXPECT_TRUE(model.part(PartKind::vae)->converted);
}

TEST(SystemPrompt, IsKeptBesideTheModelAndChecked) {
    const test::TestFolder folder;
    const std::string text = "Describe the video:          1. What moves.          2. Where.";
    Sha256 hash;
    hash.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    const std::string sha = hash.hex();
    const SystemPromptMark mark{sha, text.size(), 0};
    const auto missing = kept_system_prompt(folder.path(), mark);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::unavailable);
    expect_parts(missing.error().message, {"--system-prompt-from", "wander convert"});
    const auto kept = keep_system_prompt(folder.path(), text);
    ASSERT_TRUE(kept) << kept.error().message;
    EXPECT_EQ(*kept, folder / "wander/system_prompt.txt");
    EXPECT_EQ(*kept_system_prompt(folder.path(), mark), text);
    std::ofstream(*kept, std::ios::app) << ' ';
    EXPECT_EQ(kept_system_prompt(folder.path(), mark).error().code, ErrorCode::bad_input);
}

TEST(HunyuanFolder, NamesAndCountsArePublishedOnes) {
    const auto shapes = test::published_hunyuan_shapes(test::hunyuan_sizes(false));
    EXPECT_EQ(shapes.size(), 1905U);
    std::uint64_t parameters = 0;
    for (const auto& [name, shape] : shapes) parameters += TensorInfo{Dtype::bf16, shape}.elements();
    EXPECT_EQ(parameters, 8'557'933'856U);
    EXPECT_EQ(worldplay_parts(ModelFamily::hunyuan_8b)[0].origin.bytes, 2 * parameters);
}

} // namespace
} // namespace wander
