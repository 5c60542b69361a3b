// A trained world written as a folder: read again, walked, and equal to the shipped one where it is made of the same.

#include "generator/train/world_export.hpp"
#include "generator/json_fields.hpp"
#include "generator/train/train_vae.hpp"
#include "generator/weights/safetensors.hpp"
#include "generator/world/embedded_world.hpp"
#include "tests/support/walk_runner.hpp"
#include "tests/unit/train/small_vae.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <limits>

namespace wander::train {
namespace {

namespace fs = std::filesystem;

const fs::path kAssets = fs::path(WANDER_SOURCE_DIR) / "assets";

std::vector<WorldTheme> themes_of(const std::vector<std::string>& names) {
    std::vector<WorldTheme> themes;
    for (const std::string& name : names) {
        const fs::path file = kAssets / "themes" / (name + ".json");
        auto theme = Theme::read(file);
        EXPECT_TRUE(theme);
        if (theme) themes.push_back({file, std::move(*theme)});
    }
    return themes;
}

class WorldExport : public ::testing::Test {
protected:
    void SetUp() override {
        root_ = fs::temp_directory_path() / ("wander_world_export_" + std::to_string(::getpid()));
        fs::remove_all(root_);
        fs::create_directories(root_);
    }
    void TearDown() override { fs::remove_all(root_); }

    // 64 x 32 pixels, two places, a transformer of one layer.
    Result<void> write_small(const fs::path& folder) {
        return write_world(folder, small_, themes_of({"neon", "harbour"}), dit_.source(), vae_.source(), 2);
    }

    static WorldDescription small_description() {
        WorldDescription small;
        small.name = "small";
        small.width = 64;
        small.height = 32;
        small.vae = small_vae_config();
        small.vae.encoder_channels = small.vae.decoder_channels = {16, 16, 16};
        DitConfig& dit = small.dit;
        dit.dim = 64;
        dit.layers = 1;
        dit.heads = 1;
        dit.head_dim = 64;
        dit.ffn = 64;
        dit.channels = small.vae.z;
        dit.freq_dim = 32;
        dit.rope_theta = 256;
        dit.rope_time_channels = 24;
        dit.rope_row_channels = dit.rope_col_channels = 20;
        dit.action_label = dit.prope = true;
        dit.pose_hidden = 16;
        dit.pose_worlds = 2;
        dit.map_channels = 4;
        dit.map_fine_cells = 8;
        dit.map_coarse_cells = 4;
        dit.fine_distances = {0.5, 1};
        dit.coarse_distances = {4};
        return small;
    }

    fs::path root_;
    WorldDescription small_ = small_description();
    Parameters dit_ = random_dit(small_.dit.tensor_shapes(), at::kCPU, at::make_generator<at::CPUGeneratorImpl>(1));
    Parameters vae_ = random_vae(small_.vae, at::kCPU, at::make_generator<at::CPUGeneratorImpl>(2));
};

TEST_F(WorldExport, CanBeReadAndWalked) {
    const auto written = write_small(root_ / "world");
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_FALSE(fs::exists(root_ / "world.part"));
    const auto world = EmbeddedWorld::read(root_ / "world");
    ASSERT_TRUE(world) << world.error().message;
    EXPECT_EQ(world->worlds, (std::vector<std::string>{"neon", "harbour"}));
    EXPECT_TRUE(fs::exists(root_ / "world/themes/harbour.json"));
    EXPECT_EQ(world->vae.latent_std, small_.vae.latent_std);
    EXPECT_EQ(world->dit.tensor_shapes(), small_.dit.tensor_shapes());
    for (std::size_t i = 0; i < world->starts.size(); ++i) {
        EXPECT_TRUE(fs::exists(world->starts[i].picture));
        const auto latent = world->start_latent(i);
        ASSERT_TRUE(latent) << latent.error().message;
        EXPECT_EQ(latent->sizes(), at::IntArrayRef({4, 4, 8}));
    }

    WalkOptions options;
    options.assets = root_;
    options.device = "cpu";
    options.precision = "fp32";
    options.threads = 2;
    options.start = world->starts.back().name;
    wander::testing::WalkScript script;
    script.hold[0] = {Action::forward};
    const auto run = wander::testing::run_walk(options, script, 3);
    EXPECT_EQ(run.error, "");
    EXPECT_EQ(run.frames.size(), 13U);
}

TEST_F(WorldExport, OfTheShippedWeightsIsTheShippedWorld) {
    const auto shipped = EmbeddedWorld::read(kAssets / "world");
    ASSERT_TRUE(shipped);
    WorldDescription description;
    description.dit = shipped->dit;
    description.vae = shipped->vae;
    const auto from = [](const char* name) {
        const auto file = Safetensors::open(kAssets / "world" / name);
        EXPECT_TRUE(file);
        return TensorSource([file](const std::string& tensor, const std::vector<std::int64_t>& shape) {
            return file->tensor(tensor, shape);
        });
    };
    const auto written = write_world(root_ / "world", description, themes_of(shipped->worlds), from("dit.safetensors"),
                                     from("vae.safetensors"), 2);
    ASSERT_TRUE(written) << written.error().message;

    const auto before = read_json_file(kAssets / "world/world.json");
    const auto after = read_json_file(root_ / "world/world.json");
    ASSERT_TRUE(before && after);
    for (const auto& [key, value] : before->items()) {
        if (key == "worlds" || key == "figures" || key == "starts" || key == "controls") continue;
        EXPECT_EQ(after->at(key), value) << key;
    }
    for (const auto& [key, value] : before->at("controls").items()) {
        if (!value.is_number()) continue;
        EXPECT_NEAR(after->at("controls").at(key).get<double>(), value.get<double>(), 1e-9) << key;
    }
    ASSERT_EQ(after->at("worlds").size(), before->at("worlds").size());
    for (std::size_t i = 0; i < before->at("worlds").size(); ++i) {
        for (const auto& [key, value] : before->at("worlds")[i].items())
            EXPECT_EQ(after->at("worlds")[i].at(key), value);
    }
    const auto world = EmbeddedWorld::read(root_ / "world");
    ASSERT_TRUE(world);
    ASSERT_EQ(world->starts.size(), shipped->starts.size());
    for (std::size_t i = 0; i < world->starts.size(); ++i) {
        EXPECT_EQ(world->starts[i].name, shipped->starts[i].name);
        EXPECT_NEAR(world->starts[i].pose.yaw, shipped->starts[i].pose.yaw, 1e-6);
        // The shipped pictures differ from ours by single levels.
        const at::Tensor made = *world->start_latent(i);
        EXPECT_LT((made - *shipped->start_latent(i)).square().mean().item<double>(), 0.01) << world->starts[i].name;
    }
    for (const char* name : {"dit.safetensors", "vae.safetensors"}) {
        const auto a = Safetensors::open(kAssets / "world" / name);
        const auto b = Safetensors::open(root_ / "world" / name);
        ASSERT_TRUE(a && b);
        ASSERT_EQ(a->header().tensors.size(), b->header().tensors.size());
        for (const auto& [tensor, entry] : a->header().tensors)
            EXPECT_TRUE(a->tensor(tensor)->equal(*b->tensor(tensor))) << tensor;
    }
}

TEST_F(WorldExport, ReplacesAnEarlierWorldAndKeepsWhatElseIsThere) {
    ASSERT_TRUE(write_small(root_ / "world"));
    std::ofstream(root_ / "world/evaluation.md") << "figures";
    std::ofstream(root_ / "world/themes/stale.json") << "{}";
    small_.name = "second";
    const auto again = write_small(root_ / "world/");
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(read_json_file(root_ / "world/world.json")->at("name"), "second");
    EXPECT_TRUE(fs::exists(root_ / "world/evaluation.md"));
    EXPECT_FALSE(fs::exists(root_ / "world/themes/stale.json"));
    EXPECT_FALSE(fs::exists(root_ / "world.part"));

    // Killed between exchange and clearing up: a person's file is still in the part.
    fs::create_directories(root_ / "world.part");
    std::ofstream(root_ / "world.part/notes.txt") << "mine";
    std::ofstream(root_ / "world.part/world.json") << "{}";
    ASSERT_TRUE(write_small(root_ / "world"));
    EXPECT_TRUE(fs::exists(root_ / "world/notes.txt"));
    EXPECT_FALSE(fs::exists(root_ / "world.part"));
}

TEST_F(WorldExport, RefusesWhatNoWalkCouldTakeAndLeavesTheEarlierWorld) {
    ASSERT_TRUE(write_small(root_ / "world"));
    const auto message = [&] {
        const auto written = write_small(root_ / "world");
        EXPECT_FALSE(written);
        EXPECT_FALSE(fs::exists(root_ / "world.part"));
        EXPECT_TRUE(EmbeddedWorld::read(root_ / "world"));
        return written ? std::string() : written.error().message;
    };
    small_.dit.pose_worlds = 3;
    EXPECT_NE(message().find("3 places"), std::string::npos);
    small_.dit.pose_worlds = 2;
    dit_.at("patch_embedding.bias").detach().fill_(std::numeric_limits<float>::quiet_NaN());
    EXPECT_NE(message().find("diverged"), std::string::npos);
    dit_.at("patch_embedding.bias").detach().zero_();
    small_.vae.latent_std[2] = 0;
    EXPECT_NE(message().find("latent_std"), std::string::npos);
    small_.vae.latent_std[2] = 1;
    const auto twice = write_world(root_ / "other", small_, themes_of({"neon", "neon"}), dit_.source(), vae_.source());
    ASSERT_FALSE(twice);
    EXPECT_NE(twice.error().message.find("two themes"), std::string::npos);
    EXPECT_FALSE(fs::exists(root_ / "other"));
}

} // namespace
} // namespace wander::train
