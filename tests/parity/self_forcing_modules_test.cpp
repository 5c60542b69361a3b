// Single modules of the public Self-Forcing code: sampler table, embeddings, RoPE, one block, head.

#include "generator/nn/rows.hpp"
#include "generator/wan/dit_weights.hpp"
#include "tests/parity/self_forcing_case.hpp"

#include <c10/core/InferenceMode.h>

namespace wander::testing {
namespace {

class ParitySelfForcingModules : public ::testing::Test {
protected:
    template <typename Check>
    void each_case(Check check) {
        const c10::InferenceMode inference;
        for (const auto& folder : golden_folders("sf-flags")) {
            const GoldenCase golden(folder);
            const WanDit dit =
                unwrap(WanDit::load(self_forcing_config(golden.config()), golden.source(), at::kCPU, at::kFloat));
            check(golden, golden.config(), dit, dit.weights());
            EXPECT_GT(golden.compared(), 0);
        }
    }
    // The timesteps of the case, then 0, as the outputs list them.
    static std::vector<double> times(const nlohmann::json& c) {
        auto values = c.at("timesteps").get<std::vector<double>>();
        values.push_back(0);
        return values;
    }
};

TEST_F(ParitySelfForcingModules, SigmaTableIsBitEqual) {
    each_case([](const GoldenCase& golden, const nlohmann::json& c, const WanDit&, const WanDit::Weights&) {
        for (const double shift : c.at("shifts").get<std::vector<double>>()) {
            const std::string name = "sampler/shift" + std::to_string(static_cast<int>(shift)) + "/";
            std::vector<float> sigmas, timesteps;
            for (const NoiseLevel& level : noise_table(shift)) {
                sigmas.push_back(static_cast<float>(level.sigma));
                timesteps.push_back(static_cast<float>(level.timestep));
            }
            golden.expect(name + "sigmas", at::tensor(sigmas), 0);
            golden.expect(name + "timesteps", at::tensor(timesteps), 0);
            const auto sampler = SamplerConfig::self_forcing(shift, c.at("step_list").get<std::vector<int>>());
            golden.expect(name + "steps", at::tensor(sampler.timesteps, at::kDouble), 0);
        }
    });
}

TEST_F(ParitySelfForcingModules, SamplerArithmetic) {
    each_case([this](const GoldenCase& golden, const nlohmann::json& c, const WanDit&, const WanDit::Weights&) {
        const at::Tensor x = golden.tensor("sampler/xt"), flow = golden.tensor("sampler/flow");
        const auto table = noise_table(c.at("shift"));
        std::vector<at::Tensor> clean, noisy;
        for (const double t : times(c)) {
            const double sigma = nearest_sigma(table, t);
            clean.push_back(x - sigma * flow);
            noisy.push_back((1 - sigma) * x + sigma * flow);
        }
        golden.expect("sampler/x0", at::stack(clean));
        golden.expect("sampler/renoised", at::stack(noisy));
    });
}

TEST_F(ParitySelfForcingModules, TimeEmbeddingAndModulation) {
    each_case([this](const GoldenCase& golden, const nlohmann::json& c, const WanDit&, const WanDit::Weights& w) {
        std::vector<at::Tensor> e, e0;
        for (const double t : times(c)) {
            const TimeVectors vectors = w.time_vectors(t, 0);
            e.push_back(vectors.embedding);
            e0.push_back(vectors.projection);
        }
        golden.expect("time/sinusoid", sinusoidal_embedding(times(c), c.at("freq_dim")));
        golden.expect("time/e", at::stack(e));
        golden.expect("time/e0", at::stack(e0));
        DitPass pass;
        pass.timesteps = {times(c).at(c.at("timestep_index"))};
        const DitModulation factors = w.modulation_of(pass);
        // Ours carry the "1 +" of the scales.
        at::Tensor block = factors.blocks[c.at("block").get<int>()].squeeze(1).clone();
        block[1].sub_(1);
        block[4].sub_(1);
        at::Tensor head = factors.head.squeeze(1).clone();
        head[1].sub_(1);
        golden.expect("modulation/block", block);
        golden.expect("modulation/head", head);
    });
}

TEST_F(ParitySelfForcingModules, NormsWithTheirEpsilon) {
    each_case([](const GoldenCase& golden, const nlohmann::json& c, const WanDit&, const WanDit::Weights& w) {
        const at::Tensor x = golden.tensor("eps/in");
        const at::Tensor zero = at::zeros({1, x.size(1)}), one = at::ones({1, x.size(1)});
        golden.expect("eps/layernorm", nn::modulated_norm(x, zero, one, w.config.eps, at::kFloat));
        golden.expect("eps/rms", nn::rms_norm(x, w.blocks.at(c.at("block")).norm_q, w.config.eps));
    });
}

TEST_F(ParitySelfForcingModules, Rope) {
    each_case([](const GoldenCase& golden, const nlohmann::json& c, const WanDit& dit, const WanDit::Weights&) {
        quant::ReadView view;
        dit.fill_rope(view, c.at("lat_h").get<int>() / 2, c.at("lat_w").get<int>() / 2);
        golden.expect("rope/out", SelfForcingRun::turn(golden.tensor("rope/in"), view, c.at("rope_start_frame"), +1));
    });
}

// The published head dimension, on its own grid; the cache turns keys with the same numbers.
TEST_F(ParitySelfForcingModules, RopeOfThePublishedHead) {
    each_case([](const GoldenCase& golden, const nlohmann::json& c, const WanDit&, const WanDit::Weights&) {
        auto sizes = c;
        sizes["head_dim"] = 128;
        sizes["dim"] = 128;
        sizes["heads"] = 1;
        sizes["layers"] = 1;
        sizes["ffn"] = 8;
        sizes["rope_pairs"] = {22, 21, 21};
        const WanDit dit = unwrap(WanDit::load(
            self_forcing_config(sizes),
            [](const std::string&, const auto& shape) -> Result<at::Tensor> { return at::zeros(shape); }, at::kCPU,
            at::kFloat));
        quant::ReadView view;
        const auto& grid = c.at("rope128_grid");
        dit.fill_rope(view, grid[1], grid[2]);
        golden.expect("rope128/out",
                      SelfForcingRun::turn(golden.tensor("rope128/in"), view, c.at("rope128_start_frame"), +1));
    });
}

TEST_F(ParitySelfForcingModules, PatchesAndText) {
    each_case([](const GoldenCase& golden, const nlohmann::json&, const WanDit&, const WanDit::Weights& w) {
        golden.expect("patch/out", w.embed_patches(golden.tensor("patch/in")));
        golden.expect("text/out", w.embed_text(golden.tensor("prompt/0")));
    });
}

TEST_F(ParitySelfForcingModules, BlockAndHead) {
    each_case([](const GoldenCase& golden, const nlohmann::json& c, const WanDit&, const WanDit::Weights&) {
        SelfForcingRun run(golden, {});
        const WanDit::Weights& w = run.dit().weights();
        const int layer = c.at("block");
        const DitBlock& block = w.blocks.at(static_cast<std::size_t>(layer));
        const int frames = c.at("frames_per_chunk");
        const std::int64_t start = c.at("block_start_frame");

        const auto cache = unwrap(quant::KvCache::create(run.cache_shape(), {}, at::kCPU, at::kFloat));
        quant::ReadView view;
        view.latents = frames;
        run.dit().fill_rope(view, c.at("lat_h").get<int>() / 2, c.at("lat_w").get<int>() / 2);
        const auto begin = [&](std::int64_t first) {
            view.first_latent = first;
            view.history_positions.clear();
            view.new_positions.clear();
            for (const std::int64_t latent : cache->visible_history(first))
                view.history_positions.push_back(static_cast<float>(latent));
            for (int i = 0; i < frames; ++i) view.new_positions.push_back(static_cast<float>(first + i));
            cache->begin_chunk(view);
        };
        begin(start - frames);
        const at::Tensor keys = run.rope(golden.tensor("block/cache_k"), start - frames, -1).to(at::kFloat);
        for (int i = 0; i < w.config.layers; ++i) cache->write(i, keys.contiguous(), golden.tensor("block/cache_v"));
        cache->commit();
        begin(start);

        DitPass pass;
        pass.timesteps.assign(static_cast<std::size_t>(frames),
                              c.at("timesteps").at(c.at("timestep_index").get<std::size_t>()).get<double>());
        const DitModulation factors = w.modulation_of(pass);
        const at::Tensor e = factors.blocks[layer];
        at::Tensor x = golden.tensor("block/x");
        const at::Tensor flow =
            w.head(nn::modulated_norm(x, factors.head[0], factors.head[1], w.config.eps, at::kFloat));
        golden.expect("head/out", flow);
        golden.expect("head/flow", w.unpatchify(flow, frames, c.at("lat_h"), c.at("lat_w")));

        const nn::Activation normed{nn::modulated_norm(x, e[0], e[1], w.config.eps, at::kFloat), {}};
        const auto qkv = w.project(block, normed, true);
        golden.expect("block/self_attn/norm_q", qkv.q);
        golden.expect("block/self_attn/norm_k", qkv.k);
        golden.expect("block/cache_k_after", run.rope(qkv.k, start, +1));
        const at::Tensor attended = w.self_attention(layer, normed, *cache, false).values;
        golden.expect("block/self_attn", attended);
        at::Tensor stream = x.clone();
        const nn::Activation before_text =
            nn::add_gated_norm(stream, attended, e[2], block.norm3_bias, block.norm3_weight, w.config.eps, at::kFloat);
        const at::Tensor crossed = w.cross_attention(layer, before_text).values;
        golden.expect("block/cross_attn", crossed);
        const nn::Activation before_ffn = nn::add_gated_norm(stream, crossed, {}, e[3], e[4], w.config.eps, at::kFloat);
        golden.expect("block/ffn", w.feed_forward(block, before_ffn).values);
        const WanDit::Weights::NextNorm next{factors.head[0], factors.head[1], at::kFloat};
        const nn::Activation after = w.run_block(layer, x, normed, e, next, *cache, false);
        EXPECT_TRUE(at::equal(after.values, nn::modulated_norm(x, next.shift, next.scale, w.config.eps, at::kFloat)));
        golden.expect("block/out", x);
    });
}

// self-forcing.md 4.2: values that catch swapped halves and truncated timesteps.
TEST(TimeEmbedding, CheckValues) {
    const at::Tensor waves = sinusoidal_embedding({1000, 937.5, 625}, 256);
    const struct {
        int row, index;
        double value;
    } checks[] = {{0, 0, 0.562379},   {0, 1, 0.789615}, {0, 64, -0.839072}, {0, 128, 0.826880},
                  {0, 255, 0.107254}, {1, 0, 0.262302}, {1, 128, 0.964986}, {1, 129, -0.814269},
                  {2, 0, -0.984387},  {2, 2, 0.641944}, {2, 128, 0.176016}, {2, 255, 0.067113}};
    for (const auto& check : checks) EXPECT_NEAR(waves[check.row][check.index].item<double>(), check.value, 1e-6);
}

} // namespace
} // namespace wander::testing
