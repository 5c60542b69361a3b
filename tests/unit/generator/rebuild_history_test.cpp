// History made again: the same keys and values under the same text, the new text's under another, in windows too.

#include "generator/rollout/rollout.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

namespace wander {
namespace {

constexpr int kRows = 4, kCols = 6, kTokens = 6;
constexpr int kChunk = 3;

DitConfig config() {
    DitConfig c;
    c.dim = 48;
    c.layers = 2;
    c.heads = 2;
    c.head_dim = 24;
    c.ffn = 64;
    c.rope_time_channels = 8;
    c.rope_row_channels = 8;
    c.rope_col_channels = 8;
    c.text_dim = 12;
    c.text_len = 5;
    return c;
}

ChunkInput chunk_input() {
    ChunkInput input;
    input.latents = kChunk;
    return input;
}

struct TextWalk {
    TextWalk(int sink, int window) {
        auto loaded = WanDit::load(
            config(),
            [](const std::string& name, const auto& shape) -> Result<at::Tensor> {
                return gaussian_tensor(fnv1a64(name), shape).to(at::kDouble) * (name.ends_with("weight") ? 0.2 : 0.1);
            },
            at::kCPU, at::kDouble);
        EXPECT_TRUE(loaded);
        dit = std::make_shared<WanDit>(std::move(*loaded));
        const quant::CacheShape shape{config().layers, config().heads, config().head_dim, kTokens, kChunk, sink,
                                      window};
        auto cache = quant::KvCache::create(shape, {}, at::kCPU, at::kDouble);
        EXPECT_TRUE(cache);
        Rollout::Config c;
        c.sampler = SamplerConfig::self_forcing(5, {1000, 500});
        c.rows = kRows;
        c.cols = kCols;
        c.keep_latents = true;
        rollout = std::make_unique<Rollout>(dit, std::move(*cache), c, keyed_noise(7));
    }
    void text(int which) { dit->set_text(gaussian_tensor(static_cast<std::uint64_t>(100 + which), {4, 12})); }
    std::vector<at::Tensor> generate(int chunks) {
        std::vector<at::Tensor> made;
        for (int i = 0; i < chunks; ++i) made.push_back(rollout->generate(chunk_input()));
        return made;
    }
    // Every key and value that the next chunk sees.
    at::Tensor history() const {
        std::vector<at::Tensor> parts;
        for (const std::int64_t latent : rollout->cache().visible_history(rollout->next_latent())) {
            for (int layer = 0; layer < config().layers; ++layer) {
                parts.push_back(rollout->cache().read_keys(layer, latent, 1));
                parts.push_back(rollout->cache().read_values(layer, latent, 1));
            }
        }
        return at::cat(parts);
    }
    std::shared_ptr<WanDit> dit;
    std::unique_ptr<Rollout> rollout;
};

TEST(RebuildHistory, TheSameTextGivesTheSamePages) {
    const c10::InferenceMode inference;
    TextWalk run(kChunk, 0);
    run.text(0);
    run.generate(4);
    const at::Tensor before = run.history().clone();
    run.rollout->rebuild_history();
    EXPECT_TRUE(at::equal(run.history(), before));
    EXPECT_EQ(run.rollout->next_latent(), 4 * kChunk);
}

TEST(RebuildHistory, AnotherTextGivesWhatItWouldHaveSeenFromTheStart) {
    const c10::InferenceMode inference;
    for (const auto& [sink, window] : {std::pair{kChunk, 2 * kChunk}, {0, 2 * kChunk}, {kChunk, 2 * kChunk + 1}}) {
        TextWalk run(sink, window);
        run.text(0);
        const auto made = run.generate(15);
        const at::Tensor before = run.history().clone();
        const auto visible = run.rollout->cache().visible_history(run.rollout->next_latent());
        const auto chunks = run.rollout->clean_chunks();
        const auto from = first_rebuilt(chunks, run.rollout->cache().shape());
        ASSERT_TRUE(from);
        const std::int64_t first_kept = chunks[*from].first_latent;
        EXPECT_GT(first_kept, sink) << "nothing is left out";
        run.text(1);
        run.rollout->rebuild_history();
        EXPECT_EQ(run.rollout->cache().visible_history(run.rollout->next_latent()), visible);
        EXPECT_FALSE(at::allclose(run.history(), before, 1e-3, 1e-3));

        // The same chunks, entered one after the other under the new text.
        TextWalk fresh(sink, window);
        fresh.text(1);
        for (std::size_t i = 0; i < made.size(); ++i) {
            // A chunk that is left out is not there for those that come after it.
            const auto first = static_cast<std::int64_t>(i) * kChunk;
            if (first >= sink && first < first_kept) continue;
            fresh.rollout->cache().skip_to(first);
            fresh.rollout->set_next_latent(first);
            fresh.rollout->prefill(made[i], chunk_input());
        }
        EXPECT_TRUE(at::allclose(run.history(), fresh.history(), 1e-12, 1e-12));
        // And the walk goes on from there.
        EXPECT_TRUE(
            at::allclose(run.rollout->generate(chunk_input()), fresh.rollout->generate(chunk_input()), 1e-12, 1e-12));
    }
}

std::vector<CleanChunk> chunks_of(std::int64_t first, int count, int latents) {
    std::vector<CleanChunk> chunks(static_cast<std::size_t>(count));
    for (CleanChunk& chunk : chunks) {
        chunk.first_latent = first;
        chunk.latents = at::zeros({latents, 1, 1, 1});
        first += latents;
    }
    return chunks;
}

TEST(CleanChunks, RebuildingBeginsAPageBeforeTheView) {
    quant::CacheShape shape{.page_latents = 4, .sink_latents = 1, .window_latents = 8};
    auto chunks = chunks_of(0, 61, 1); // latents 0..60; 53 is the first that latent 61 sees
    const auto from = first_rebuilt(chunks, shape);
    ASSERT_TRUE(from);
    const std::int64_t first = chunks[*from].first_latent;
    EXPECT_LE(first, 53 - kRebuildLead);
    EXPECT_GT(first, 53 - kRebuildLead - 4);
    EXPECT_EQ((first - 1) % 4, 0) << "a page would be made by half";

    forget_oldest(chunks, shape, 50);
    EXPECT_EQ(chunks.size(), 50U);
    EXPECT_EQ(chunks[0].first_latent, 0) << "the sink stays";
    EXPECT_EQ(chunks[1].first_latent, 12);
    EXPECT_EQ(chunks[*first_rebuilt(chunks, shape)].first_latent, first) << "the same, whatever more is kept";
    forget_oldest(chunks, shape, 1);
    EXPECT_EQ(chunks[1].first_latent, first) << "what is needed to go on stays";
    chunks.pop_back();
    chunks.erase(chunks.begin() + 1);
    EXPECT_FALSE(first_rebuilt(chunks, shape)) << "too few are left";

    EXPECT_EQ(first_rebuilt(chunks_of(0, 5, 1), shape), 1U) << "a short walk is made again from its beginning";
    EXPECT_FALSE(first_rebuilt({}, shape));
    shape.window_latents = 0;
    EXPECT_EQ(first_rebuilt(chunks_of(0, 61, 1), shape), 1U) << "everything is in view";
}

} // namespace
} // namespace wander
