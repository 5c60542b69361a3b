// Walks in files: what is written comes back, older files still open, damaged ones are refused.

#include "generator/saved_walk.hpp"

#include "generator/rollout/noise.hpp"
#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <string>

namespace wander::test {
namespace {

class SavedWalkTest : public ::testing::Test {
protected:
    SavedWalkTest()
        : file_(std::filesystem::temp_directory_path() / ("saved_walk_" + std::to_string(getpid()) + ".walk")) {}
    ~SavedWalkTest() override {
        std::error_code ignored;
        std::filesystem::remove(file_, ignored);
    }

    static SavedWalk sample() {
        SavedWalk walk{.model = "small",
                       .prompt = "A lake.",
                       .seed = ~std::uint64_t{0},
                       .context = {},
                       .window = {},
                       .chunk_latents = 0,
                       .place = {},
                       .memory = {}};
        walk.memory.history.latents = gaussian_tensor(1, {4, 2, 3, 5});
        walk.memory.history.cameras.resize(4);
        walk.memory.steering.resize(2);
        return walk;
    }

    // The file again, with other facts.
    void rewrite(const std::map<std::string, std::string>& changes) {
        std::map<std::string, std::string> facts;
        std::map<std::string, at::Tensor> tensors;
        {
            auto opened = Safetensors::open(file_);
            ASSERT_TRUE(opened);
            facts = opened->header().metadata;
            for (const auto& [name, entry] : opened->header().tensors) tensors[name] = opened->tensor(name)->clone();
        }
        for (const auto& [name, value] : changes) facts[name] = value;
        ASSERT_TRUE(write_safetensors(file_, tensors, facts));
    }

    const c10::InferenceMode inference_;
    std::filesystem::path file_;
};

TEST_F(SavedWalkTest, ContextAndDecoderComeBack) {
    SavedWalk walk = sample();
    walk.context = {.latents = 48, .fast = true};
    walk.memory.decoder = {{"decoder.first", gaussian_tensor(2, {2, 3, 4, 5}).to(at::kBFloat16)},
                           {"decoder.last", gaussian_tensor(3, {2, 1, 8, 10}).to(at::kBFloat16)}};
    ASSERT_TRUE(write_saved_walk(file_, walk));
    const auto read = read_saved_walk(file_);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->seed, walk.seed);
    EXPECT_EQ(read->context, walk.context);
    EXPECT_TRUE(at::equal(read->memory.history.latents, walk.memory.history.latents));
    ASSERT_EQ(read->memory.decoder.size(), 2U);
    for (const auto& [name, frames] : walk.memory.decoder) {
        EXPECT_EQ(read->memory.decoder.at(name).scalar_type(), at::kBFloat16);
        EXPECT_TRUE(at::equal(read->memory.decoder.at(name), frames)) << name;
    }
    const auto settings = saved_walk_settings(file_);
    ASSERT_TRUE(settings) << settings.error().message;
    EXPECT_EQ(settings->model, "small");
    EXPECT_EQ(settings->context, walk.context);
    EXPECT_EQ(context_text(settings->context), "--context 48 --fast-context");
}

TEST_F(SavedWalkTest, AFileOfBeforeTellsNoContext) {
    ASSERT_TRUE(write_saved_walk(file_, sample()));
    const auto opened = Safetensors::open(file_);
    ASSERT_TRUE(opened);
    EXPECT_FALSE(opened->header().metadata.contains("context"));
    const auto read = read_saved_walk(file_);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->context, ContextSettings{});
    EXPECT_TRUE(read->memory.decoder.empty());
}

TEST_F(SavedWalkTest, AContextThatIsNoneIsRefused) {
    ASSERT_TRUE(write_saved_walk(file_, sample()));
    for (const char* context : {"", "0", "-4", "12 latents", "99999999999"}) {
        rewrite({{"context", context}});
        const auto read = read_saved_walk(file_);
        ASSERT_FALSE(read) << context;
        EXPECT_EQ(read.error().code, ErrorCode::bad_input);
        EXPECT_NE(read.error().message.find("context"), std::string::npos) << read.error().message;
        EXPECT_FALSE(saved_walk_settings(file_)) << context;
    }
    rewrite({{"context", "12"}});
    ASSERT_TRUE(read_saved_walk(file_));
    EXPECT_EQ(read_saved_walk(file_)->context, (ContextSettings{.latents = 12, .fast = false}));
}

TEST_F(SavedWalkTest, ADecoderStateOfAnotherFormIsRefused) {
    SavedWalk walk = sample();
    walk.memory.decoder = {{"decoder.first", at::zeros({3, 4})}};
    ASSERT_TRUE(write_saved_walk(file_, walk));
    const auto read = read_saved_walk(file_);
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().message.find("decoder/decoder.first"), std::string::npos) << read.error().message;
}

SavedWalk causal_sample() {
    SavedWalk walk{.model = "small",
                   .prompt = "",
                   .seed = 3,
                   .context = {},
                   .window = {},
                   .chunk_latents = 1,
                   .place = "meadow",
                   .memory = {}};
    walk.memory.causal.emplace();
    for (const std::int64_t first : {0, 7, 8}) {
        CleanChunk chunk;
        chunk.first_latent = first;
        chunk.latents = gaussian_tensor(static_cast<std::uint64_t>(first), {1, 2, 3, 5});
        chunk.labels = {static_cast<int>(first) + 1};
        chunk.poses = {{1.0F, 2.0F, 0.5F, static_cast<float>(first)}};
        chunk.steering = {1, 2, 0.5, static_cast<double>(first), 1e-9, -1e-9};
        walk.memory.causal->chunks.push_back(chunk);
    }
    return walk;
}

TEST_F(SavedWalkTest, CausalChunksComeBack) {
    const SavedWalk walk = causal_sample();
    ASSERT_TRUE(write_saved_walk(file_, walk));
    const auto read = read_saved_walk(file_);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->place, "meadow");
    EXPECT_EQ(read->chunk_latents, 1);
    EXPECT_FALSE(read->window);
    ASSERT_TRUE(read->memory.causal);
    ASSERT_EQ(read->memory.causal->chunks.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
        const CleanChunk& chunk = read->memory.causal->chunks[i];
        const CleanChunk& written = walk.memory.causal->chunks[i];
        EXPECT_EQ(chunk.first_latent, written.first_latent);
        EXPECT_TRUE(at::equal(chunk.latents, written.latents));
        EXPECT_EQ(chunk.labels, written.labels);
        EXPECT_EQ(chunk.poses[0].pitch, written.poses[0].pitch);
        EXPECT_EQ(chunk.steering, written.steering);
    }
}

TEST_F(SavedWalkTest, ATextModelsWalkTellsItsWindow) {
    SavedWalk walk = causal_sample();
    walk.place.clear();
    walk.window = WindowChoice{.view_latents = 30, .sink_latents = 3, .slot_positions = true};
    for (CleanChunk& chunk : walk.memory.causal->chunks) {
        chunk.labels.clear();
        chunk.poses.clear();
        chunk.steering.clear();
    }
    ASSERT_TRUE(write_saved_walk(file_, walk));
    const auto settings = saved_walk_settings(file_);
    ASSERT_TRUE(settings) << settings.error().message;
    EXPECT_EQ(settings->window, walk.window);
    EXPECT_EQ(settings->chunk_latents, 1);
    EXPECT_TRUE(read_saved_walk(file_));
    rewrite({{"window", "a large one"}});
    ASSERT_FALSE(read_saved_walk(file_));
    EXPECT_NE(read_saved_walk(file_).error().message.find("a large one"), std::string::npos);
}

TEST_F(SavedWalkTest, CausalChunksThatAreNoneAreRefused) {
    const auto refused = [&](const char* what, const std::function<void(SavedWalk&)>& spoil) {
        SavedWalk walk = causal_sample();
        spoil(walk);
        ASSERT_TRUE(write_saved_walk(file_, walk));
        const auto read = read_saved_walk(file_);
        ASSERT_FALSE(read) << what;
        EXPECT_EQ(read.error().code, ErrorCode::bad_input);
        EXPECT_NE(read.error().message.find(file_.string()), std::string::npos) << read.error().message;
        EXPECT_NE(read.error().message.find(what), std::string::npos) << read.error().message;
    };
    refused("chunks", [](SavedWalk& walk) { walk.memory.causal->chunks[2].first_latent = 7; });
    refused("chunks", [](SavedWalk& walk) { walk.memory.causal->chunks[2].first_latent = 9; }); // a second gap
    refused("label", [](SavedWalk& walk) { walk.memory.causal->chunks[1].labels = {81}; });
    refused("poses", [](SavedWalk& walk) { walk.memory.causal->chunks[1].poses.clear(); });
    refused("steering", [](SavedWalk& walk) { walk.memory.causal->chunks[1].steering[0] = INFINITY; });
    refused("chunk_latents", [](SavedWalk& walk) { walk.chunk_latents = 0; });
}

} // namespace
} // namespace wander::test
