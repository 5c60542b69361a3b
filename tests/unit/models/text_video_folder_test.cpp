// What folders are recognised as, the strict check and its lists, what is missing, and the traps of checkpoint keys.

#include "generator/models/text_video_folder.hpp"

#include "generator/weights/safetensors.hpp"
#include "tests/support/model_folder_writer.hpp"
#include "tests/support/torch_archive_writer.hpp"
#include "tests/unit/models/opened_folder.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace wander {
namespace {

using Recipe = test::ModelFolderRecipe;
namespace fs = std::filesystem;
using test::expect_parts;
using test::problem_of;

const fs::path& made(Recipe::Layout layout) {
    Recipe recipe;
    recipe.layout = layout;
    recipe.small = true;
    return test::shared_folder<test::write_model_folder>(recipe);
}

class FolderTest : public test::CopiedFolder {
protected:
    fs::path copy() const { return copy_of(made(Recipe::Layout::official)); }
};

TextVideoFolder open(const fs::path& path) { return test::opened<TextVideoFolder>(path); }

TEST(TextVideoFolder, FilesAsDownloaded) {
    const auto model = open(made(Recipe::Layout::official));
    EXPECT_EQ(model.layout, TextVideoFolder::Layout::downloaded);
    EXPECT_EQ(model.parts.size(), 5U);
    EXPECT_TRUE(model.missing.empty());
    EXPECT_TRUE(model.ready()) << model.ready().error().message;
    const DitConfig& dit = model.settings.dit;
    EXPECT_EQ(dit.dim, 256);
    EXPECT_EQ(dit.layers, 3);
    EXPECT_EQ(dit.heads, 2);
    EXPECT_EQ(dit.head_dim, 128);
    EXPECT_EQ(dit.ffn, 512);
    EXPECT_EQ(dit.text_dim, 64);
    EXPECT_EQ(dit.text_len, 32);
    EXPECT_EQ(dit.rope_time_channels, 44);
    EXPECT_EQ(dit.rope_row_channels, 42);
    EXPECT_EQ(model.settings.vae.dim, 16);
    EXPECT_EQ(model.settings.vae.latent_mean.size(), 16U);
    EXPECT_EQ(model.settings.latent_rows, 8);
    EXPECT_EQ(model.settings.name, "random-small");
    EXPECT_EQ(model.tiny_vae.decoder_channels, (std::vector<int>{32, 16, 16, 16}));
    EXPECT_EQ(model.text.layers, 2);
    EXPECT_EQ(model.text.heads, 4);
    EXPECT_EQ(model.text.head_dim, 16);
    EXPECT_EQ(model.part(PartKind::tokenizer)->path.filename(), "tokenizer.json");
    EXPECT_EQ(model.part(PartKind::text_embedding), nullptr);
    // Every shape of the transformer through its source, as a network loads it.
    const auto source = model.part(PartKind::transformer)->source();
    for (const auto& [name, shape] : dit.tensor_shapes()) EXPECT_TRUE(source(name, shape)) << name;
    EXPECT_EQ(model.part(PartKind::transformer)->tensors->outer_entry(), "generator_ema");
}

TEST(TextVideoFolder, DiffusersLayoutHoldsTheSameTensors) {
    const auto ours = open(made(Recipe::Layout::official));
    const auto theirs = open(made(Recipe::Layout::diffusers));
    EXPECT_EQ(theirs.layout, TextVideoFolder::Layout::diffusers);
    EXPECT_TRUE(theirs.ready());
    EXPECT_FALSE(theirs.warnings.empty()) << "whether they are few-step weights cannot be seen";
    for (const PartKind kind : {PartKind::transformer, PartKind::vae, PartKind::text_encoder}) {
        const PartTensors& a = *ours.part(kind)->tensors;
        const PartTensors& b = *theirs.part(kind)->tensors;
        EXPECT_TRUE(b.translated());
        ASSERT_EQ(a.shapes(), b.shapes()) << part_name(kind);
        for (const auto& [name, shape] : a.shapes())
            EXPECT_TRUE(at::equal(*a.tensor(name, shape), *b.tensor(name, shape))) << name;
    }
}

TEST_F(FolderTest, FilesInTheirRepositoriesFolders) {
    const fs::path model = copy();
    fs::create_directories(model / "checkpoints");
    fs::rename(model / "self_forcing_dmd.pt", model / "checkpoints/self_forcing_dmd.pt");
    fs::create_directories(model / "wan_models/Wan2.1-T2V-1.3B/google");
    for (const char* file : {"Wan2.1_VAE.pth", "models_t5_umt5-xxl-enc-bf16.pth", "config.json"})
        fs::rename(model / file, model / "wan_models/Wan2.1-T2V-1.3B" / file);
    fs::rename(model / "google/umt5-xxl", model / "wan_models/Wan2.1-T2V-1.3B/google/umt5-xxl");
    const auto opened = open(model);
    EXPECT_TRUE(opened.ready()) << opened.ready().error().message;
    EXPECT_EQ(opened.settings.dit.text_len, 32) << "config.json is the base model's, in its folder";
    // A file of it, as it may be dropped on the window.
    EXPECT_EQ(open(model / "checkpoints/self_forcing_dmd.pt").parts.size(), 5U);
    EXPECT_EQ(open(fs::path(model.string() + "/")).settings.folder, model);
}

TEST_F(FolderTest, BaseModelAloneIsTakenWithAWarning) {
    const fs::path model = copy();
    const auto before = open(model);
    std::map<std::string, at::Tensor> tensors;
    const PartTensors& from = *before.part(PartKind::transformer)->tensors;
    for (const auto& [name, shape] : from.shapes()) tensors[name] = *from.tensor(name, shape);
    ASSERT_TRUE(write_safetensors(model / "diffusion_pytorch_model.safetensors", tensors));
    EXPECT_TRUE(open(model).warnings.empty()) << "the few-step weights come first";
    fs::remove(model / "self_forcing_dmd.pt");
    const auto base = open(model);
    EXPECT_TRUE(base.ready());
    ASSERT_EQ(base.warnings.size(), 1U);
    expect_parts(base.warnings[0], {"50 steps", "gdhe17/Self-Forcing"});
}

TEST_F(FolderTest, WhatIsMissingIsNamedWithItsOrigin) {
    const fs::path model = copy();
    fs::remove(model / "taew2_1.pth");
    EXPECT_TRUE(open(model).ready()) << "the full VAE is enough";
    fs::remove(model / "Wan2.1_VAE.pth");
    fs::remove(model / "self_forcing_dmd.pt");
    fs::remove(model / "google/umt5-xxl/tokenizer.json");
    const auto opened = open(model);
    EXPECT_EQ(opened.missing.size(), 4U);
    const auto ready = opened.ready();
    ASSERT_FALSE(ready);
    expect_parts(ready.error().message,
                 {"transformer: checkpoints/self_forcing_dmd.pt (5.68 GB) of Hugging Face gdhe17/Self-Forcing",
                  "VAE: Wan2.1_VAE.pth (508 MB) of Hugging Face Wan-AI/Wan2.1-T2V-1.3B",
                  "google/umt5-xxl/tokenizer.json of Hugging Face Wan-AI", "to be put at"});
    EXPECT_EQ(ready.error().message.find("taew2_1"), std::string::npos) << "not needed";
}

TEST_F(FolderTest, AReadyEmbeddingReplacesTheTextSide) {
    const fs::path model = copy();
    fs::remove(model / "models_t5_umt5-xxl-enc-bf16.pth");
    fs::remove_all(model / "google");
    EXPECT_FALSE(open(model).ready());
    ASSERT_TRUE(write_safetensors(model / "text_embedding.safetensors", {{"text_embedding", at::ones({5, 64})}}));
    const auto opened = open(model);
    EXPECT_TRUE(opened.ready()) << opened.ready().error().message;
    ASSERT_TRUE(opened.text_embedding());
    EXPECT_EQ(opened.text_embedding()->size(0), 5);
}

TEST_F(FolderTest, ConfigsThatDisagreeAreRefused) {
    const fs::path model = copy();
    auto config = nlohmann::json::parse(std::ifstream(model / "config.json"));
    config["num_layers"] = 30;
    std::ofstream(model / "config.json") << config;
    expect_parts(problem_of(open(model), PartKind::transformer),
                 {"config.json: \"num_layers\" is 30", "self_forcing_dmd.pt say 3"});
    // The number of heads decides their width: 4 of 64.
    config["num_layers"] = 3;
    config["num_heads"] = 4;
    std::ofstream(model / "config.json") << config;
    EXPECT_EQ(open(model).settings.dit.head_dim, 64);
    EXPECT_EQ(open(model).settings.dit.rope_time_channels, 24);
    config["num_heads"] = 0;
    std::ofstream(model / "config.json") << config;
    EXPECT_FALSE(open(model).ready());
    std::ofstream(model / "config.json") << "{ not json";
    EXPECT_EQ(TextVideoFolder::open(model).error().code, ErrorCode::bad_input);
}

TEST_F(FolderTest, SettingsOfThePersonAreChecked) {
    const fs::path model = copy();
    std::ofstream(model / "wander.json") << R"({"window_latents": 42, "shift": 8, "steps": [1000, 500]})";
    const auto opened = open(model);
    EXPECT_EQ(opened.settings.window_latents, 42);
    EXPECT_EQ(opened.settings.latent_rows, 60);
    EXPECT_EQ(opened.settings.sampler.timesteps.size(), 2U);
    for (const char* wrong : {R"({"window_latents": -1})", R"({"windows": 3})", R"({"latent_rows": 7})",
                              R"({"steps": [0]})", R"({"sink_latents": 4})", "[]", "{"}) {
        std::ofstream(model / "wander.json") << wrong;
        const auto refused = TextVideoFolder::open(model);
        ASSERT_FALSE(refused) << wrong;
        EXPECT_NE(refused.error().message.find("wander.json"), std::string::npos);
    }
}

TEST(TextVideoFolder, NonsenseIsRefused) {
    const test::TestFolder folder;
    EXPECT_EQ(TextVideoFolder::open("/no/such/folder").error().code, ErrorCode::wrong_use);
    const auto empty = TextVideoFolder::open(folder.path());
    ASSERT_FALSE(empty);
    expect_parts(empty.error().message, {"no model folder", "self_forcing_dmd.pt", "docs/models.md"});
    EXPECT_FALSE(TextVideoFolder::looks_like_one(folder.path()));
    EXPECT_TRUE(TextVideoFolder::looks_like_one(made(Recipe::Layout::diffusers)));
}

// A checkpoint with these keys, all vectors of `size` zeros unless the model's own shape is known.
class Checkpoint {
public:
    explicit Checkpoint(const fs::path& path) : path_(path), dit_(test::sizes_of(true).dit) {
        for (const auto& [name, shape] : dit_.tensor_shapes()) add("model." + name, shape);
    }
    void add(const std::string& key, const std::vector<std::int64_t>& shape) {
        tensors_.push_back({key, Dtype::f32, shape});
    }
    void rename(const std::string& from, const std::string& to) { find(from).name = to; }
    void reshape(const std::string& key, const std::vector<std::int64_t>& shape) { find(key).shape = shape; }
    void remove(const std::string& key) {
        std::erase_if(tensors_, [&](const test::SavedTensor& tensor) { return tensor.name == key; });
    }
    std::vector<test::SavedTensor>& tensors() { return tensors_; }
    void write(const std::string& outer) const {
        std::ofstream file(path_, std::ios::binary);
        test::save_tensors(
            [&](const void* data, std::size_t size) {
                file.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
            },
            outer, tensors_,
            [&](std::size_t i, const test::Write& write) {
                const std::string zeros(static_cast<std::size_t>(tensors_[i].elements()) * 4, '\0');
                write(zeros.data(), zeros.size());
            });
    }

private:
    test::SavedTensor& find(const std::string& key) {
        return *std::find_if(tensors_.begin(), tensors_.end(),
                             [&](const test::SavedTensor& tensor) { return tensor.name == key; });
    }
    fs::path path_;
    DitConfig dit_;
    std::vector<test::SavedTensor> tensors_;
};

TEST_F(FolderTest, KeysOfTrainingRunsAreUnderstood) {
    const fs::path model = copy();
    for (const char* outer : {"generator_ema", "generator", ""}) {
        Checkpoint checkpoint(model / "self_forcing_dmd.pt");
        for (auto& tensor : checkpoint.tensors()) {
            if (tensor.name.starts_with("model.blocks.1."))
                tensor.name.insert(std::strlen("model.blocks.1."), "_fsdp_wrapped_module._checkpoint_wrapped_module.");
            if (tensor.name.starts_with("model.head.")) tensor.name.insert(0, "_orig_mod.");
        }
        checkpoint.write(outer);
        const auto opened = open(model);
        EXPECT_TRUE(opened.ready()) << opened.ready().error().message;
        EXPECT_EQ(opened.part(PartKind::transformer)->tensors->outer_entry(), outer);
    }
}

TEST_F(FolderTest, DifferencesAreListedWithTheirCounts) {
    const fs::path model = copy();
    Checkpoint checkpoint(model / "self_forcing_dmd.pt");
    for (const char* key : {"q", "k", "v", "o"}) {
        checkpoint.remove(std::string("model.blocks.2.self_attn.") + key + ".weight");
        checkpoint.remove(std::string("model.blocks.2.cross_attn.") + key + ".weight");
    }
    checkpoint.add("model.lora_a", {3});
    checkpoint.reshape("model.blocks.0.ffn.2.bias", {255});
    checkpoint.write("generator_ema");
    const std::string text = problem_of(open(model), PartKind::transformer);
    expect_parts(text, {"self_forcing_dmd.pt: does not fit the Wan transformer of 3 layers and 256 channels",
                        "8 tensors are missing (blocks.2.cross_attn.k.weight, ", ", ...)", "1 is foreign (lora_a)",
                        "1 has another shape (blocks.0.ffn.2.bias is [255], expected [256])"});
    EXPECT_FALSE(open(model).ready());
}

// The names of the two libraries differ by a swap that would load without a complaint of shapes.
TEST_F(FolderTest, NativeFileWithTheOtherNormNameIsForeign) {
    const fs::path model = copy();
    Checkpoint checkpoint(model / "self_forcing_dmd.pt");
    checkpoint.rename("model.blocks.0.norm3.weight", "model.blocks.0.norm2.weight");
    checkpoint.write("generator_ema");
    expect_parts(problem_of(open(model), PartKind::transformer),
                 {"1 tensor is missing (blocks.0.norm3.weight)", "1 is foreign (blocks.0.norm2.weight)"});
}

TEST_F(FolderTest, TwoKeysOfOneTensorAreRefused) {
    const fs::path model = copy();
    Checkpoint checkpoint(model / "self_forcing_dmd.pt");
    checkpoint.add("net.head.modulation", {1, 2, 256});
    checkpoint.write("generator_ema");
    expect_parts(problem_of(open(model), PartKind::transformer), {"both head.modulation"});
}

TEST_F(FolderTest, PartsThatDoNotFitTogetherAreRefused) {
    const fs::path model = copy();
    Checkpoint checkpoint(model / "self_forcing_dmd.pt");
    checkpoint.reshape("model.text_embedding.0.weight", {256, 96});
    checkpoint.write("generator_ema");
    expect_parts(problem_of(open(model), PartKind::text_encoder), {"gives 64 numbers a token", "takes 96"});
}

TEST_F(FolderTest, OurOwnFolderIsOneToo) {
    const auto from = open(made(Recipe::Layout::official));
    std::map<std::string, at::Tensor> dit;
    const PartTensors& tensors = *from.part(PartKind::transformer)->tensors;
    for (const auto& [name, shape] : tensors.shapes()) dit[name] = tensors.tensor(name, shape)->to(at::kBFloat16);
    const fs::path model = folder / "own";
    fs::create_directories(model);
    ASSERT_TRUE(write_safetensors(model / "dit.safetensors", dit));
    const auto opened = open(model);
    EXPECT_EQ(opened.layout, TextVideoFolder::Layout::wander);
    EXPECT_EQ(problem_of(opened, PartKind::transformer), "");
    EXPECT_EQ(opened.settings.dit.layers, 3);
}

} // namespace
} // namespace wander
