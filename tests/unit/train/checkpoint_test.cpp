#include "generator/train/checkpoint.hpp"
#include "generator/train/portable_checkpoint.hpp"
#include "generator/train/replace_folder.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace wander::train {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("wander_checkpoint_" + std::to_string(::getpid()));
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }
    fs::path folder_;
};

at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
    return at::randn(shape, at::detail::createCPUGenerator(seed), at::TensorOptions(at::kFloat));
}

TEST_F(CheckpointTest, FullOneComesBackWithTheSameBytes) {
    Checkpoint checkpoint;
    checkpoint.groups["dit"]["blocks.0.ffn.0.weight"] = normal({5, 3}, 1);
    checkpoint.groups["dit_optimiser"]["steps/a"] = at::full({}, 17.0F);
    checkpoint.groups["generators"]["device"] = at::arange(9, at::kByte);
    checkpoint.groups["generators"]["count"] = at::arange(2, at::kLong);
    checkpoint.facts = {{"phase", "dit"}, {"step", 17}};
    const fs::path file = folder_ / "checkpoint.safetensors";
    ASSERT_TRUE(checkpoint.write(file));
    const auto read = Checkpoint::read(file);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->facts, checkpoint.facts);
    ASSERT_EQ(read->groups.size(), 3U);
    for (const auto& [group, tensors] : checkpoint.groups) {
        for (const auto& [name, tensor] : tensors)
            EXPECT_TRUE(at::equal(tensor, read->groups.at(group).at(name))) << name;
    }
}

TEST_F(CheckpointTest, AnotherFileIsNoCheckpoint) {
    std::ofstream(folder_ / "other.safetensors") << "not one";
    EXPECT_FALSE(Checkpoint::read(folder_ / "other.safetensors"));
    EXPECT_FALSE(Checkpoint::read(folder_ / "absent.safetensors"));
}

TEST_F(CheckpointTest, PortableOneComesBackInHalfPrecisionAndSmallShards) {
    PortableCheckpoint checkpoint;
    // 1 M numbers are 2 MiB: nine of them need two shards.
    for (int i = 0; i < 8; ++i)
        checkpoint.dit["blocks." + std::to_string(i) + ".ffn.0.weight"] =
            normal({1024, 1024}, 1 + static_cast<std::uint64_t>(i));
    checkpoint.vae["decoder.conv1.weight"] = normal({1024, 1024}, 9);
    checkpoint.world = {{"name", "embedded"}};
    checkpoint.facts = {{"step", 3}};
    const fs::path portable = folder_ / "portable";
    ASSERT_TRUE(checkpoint.write(portable));
    checkpoint.facts = {{"step", 4}};
    ASSERT_TRUE(checkpoint.write(portable)); // in place of the first
    EXPECT_TRUE(PortableCheckpoint::looks_like_one(portable));
    EXPECT_FALSE(PortableCheckpoint::looks_like_one(folder_));
    int shards = 0;
    for (const auto& entry : fs::directory_iterator(portable)) {
        EXPECT_LE(entry.file_size(), static_cast<std::uintmax_t>(kShardBytes));
        shards += entry.path().extension() == ".safetensors" ? 1 : 0;
    }
    EXPECT_EQ(shards, 2);
    const auto read = PortableCheckpoint::read(portable);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->facts, checkpoint.facts);
    EXPECT_EQ(read->world, checkpoint.world);
    ASSERT_EQ(read->dit.size(), 8U);
    for (const auto& [name, tensor] : checkpoint.dit) EXPECT_TRUE(at::equal(tensor.to(at::kHalf), read->dit.at(name)));
    EXPECT_TRUE(at::equal(checkpoint.vae.begin()->second.to(at::kHalf), read->vae.begin()->second));
}

TEST_F(CheckpointTest, ReplacedFolderIsTheOldOneOrTheNewOne) {
    const fs::path world = folder_ / "world";
    const auto write = [](const fs::path& file) {
        return [file](const fs::path& part) -> Result<void> {
            std::ofstream(part / file) << "x";
            return {};
        };
    };
    ASSERT_TRUE(replace_folder(world, write("first")));
    EXPECT_TRUE(fs::exists(world / "first"));
    EXPECT_FALSE(
        replace_folder(world, [](const fs::path&) -> Result<void> { return Error{ErrorCode::io, "no room"}; }));
    EXPECT_TRUE(fs::exists(world / "first"));
    ASSERT_TRUE(replace_folder(world, write("second")));
    EXPECT_TRUE(fs::exists(world / "second"));
    EXPECT_FALSE(fs::exists(world / "first"));
    EXPECT_FALSE(fs::exists(folder_ / "world.part"));
}

} // namespace
} // namespace wander::train
