// Roll-outs of the public Self-Forcing code on small networks: history, windows, prompt change, prefill.
// A wrong norm axis, RoPE pairing, patch order, sigma, slot rule or text mask shows far above the tolerance.

#include "generator/wan/dit_weights.hpp"
#include "tests/parity/self_forcing_case.hpp"

#include <c10/core/InferenceMode.h>

namespace wander::testing {
namespace {

std::string of(const std::string& what, int index, const std::string& rest = "") {
    return what + std::to_string(index) + rest;
}

TEST(ParitySelfForcing, Rollout) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("sf-rollout")) {
        const GoldenCase golden(folder);
        SelfForcingRun run(golden, {});
        const auto& c = golden.config();
        const int frames = c.at("frames_per_chunk");
        for (int chunk = 0; chunk < c.at("chunks").get<int>(); ++chunk) {
            const std::string name = of("chunk", chunk);
            run.on_step = [&](int step, const at::Tensor& x, const at::Tensor& velocity) {
                if (golden.has_output(of("flow/" + name + "/step", step)))
                    golden.expect(of("flow/" + name + "/step", step), velocity);
                if (golden.has_output(of("x/" + name + "/step", step)))
                    golden.expect(of("x/" + name + "/step", step), x);
            };
            const at::Tensor latent = run.rollout().generate(run.chunk(frames), [&](const at::Tensor& clean) {
                if (!golden.has_output("flow/" + name + "/context")) return;
                DitPass pass;
                pass.latents = clean;
                pass.timesteps.assign(static_cast<std::size_t>(frames), c.at("context_timestep").get<double>());
                golden.expect("flow/" + name + "/context", run.dit().forward(pass, run.rollout().cache()));
            });
            golden.expect("latent/" + name, latent);
            for (int layer = 0; layer < c.at("layers").get<int>(); ++layer) {
                const std::string key = of("k/" + name + "/layer", layer);
                if (!golden.has_output(key)) continue;
                golden.expect(key, run.roped_keys(layer, std::int64_t{chunk} * frames, frames));
                golden.expect(of("v/" + name + "/layer", layer),
                              run.rollout().cache().read_values(layer, std::int64_t{chunk} * frames, frames));
            }
        }
        const DitBlock& block = run.dit().weights().blocks[0];
        const nn::TextKeys text =
            run.dit().weights().cross_text(block, run.dit().weights().embed_text(golden.tensor("prompt/0")));
        golden.expect("cross_k/layer0", text.keys);
        golden.expect("cross_v/layer0", text.values);
        EXPECT_EQ(golden.compared(), static_cast<int>(golden.outputs().size())) << folder;
        RecordProperty("worst", std::to_string(golden.worst()));
    }
}

TEST(ParitySelfForcing, Window) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("sf-window")) {
        const GoldenCase golden(folder);
        const auto& c = golden.config();
        const int frames = c.at("frames_per_chunk");
        const std::int64_t tokens = c.at("tokens_per_frame");
        for (const auto& window : c.at("windows")) {
            const std::string prefix = window.at("name").get<std::string>() + "/";
            SelfForcingSetup setup;
            setup.local_attn_size = window.at("local_attn_size");
            setup.sink_size = window.at("sink_size");
            SelfForcingRun run(golden, setup);
            std::vector<std::int64_t> held;
            const int chunks = c.at("chunks");
            for (int chunk = 0; chunk < chunks; ++chunk) {
                held = run.rollout().cache().visible_history(run.rollout().next_latent());
                for (int i = 0; i < frames; ++i) held.push_back(run.rollout().next_latent() + i);
                golden.expect(of(prefix + "latent/chunk", chunk), run.rollout().generate(run.chunk(frames)));
                EXPECT_EQ(golden.output(prefix + "global_end")[chunk].item<std::int64_t>(),
                          run.rollout().next_latent() * tokens);
                EXPECT_EQ(golden.output(prefix + "local_end")[chunk].item<std::int64_t>(),
                          static_cast<std::int64_t>(held.size()) * tokens);
            }
            for (int layer = 0; layer < c.at("layers").get<int>(); ++layer) {
                if (!golden.has_output(of(prefix + "k/layer", layer))) continue;
                std::vector<at::Tensor> keys, values;
                for (const std::int64_t latent : held) {
                    keys.push_back(run.roped_keys(layer, latent, 1));
                    values.push_back(run.rollout().cache().read_values(layer, latent, 1));
                }
                golden.expect(of(prefix + "k/layer", layer), at::cat(keys));
                golden.expect(of(prefix + "v/layer", layer), at::cat(values));
            }
        }
    }
}

TEST(ParitySelfForcing, PromptChange) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("sf-prompt")) {
        const GoldenCase golden(folder);
        const auto& c = golden.config();
        const int change = c.at("switch_before_chunk");
        for (const bool changed : {true, false}) {
            SelfForcingRun run(golden, {});
            for (int chunk = 0; chunk < c.at("chunks").get<int>() && (changed || chunk <= change); ++chunk) {
                if (changed && chunk == change) run.dit().set_text(golden.tensor("prompt/1"));
                run.on_step = [&](int step, const at::Tensor&, const at::Tensor& velocity) {
                    const std::string name = of(of("flow/chunk", chunk, "/step"), step);
                    if (changed && golden.has_output(name)) golden.expect(name, velocity);
                };
                const at::Tensor latent = run.rollout().generate(run.chunk(c.at("frames_per_chunk")));
                const std::string name = of("latent/chunk", chunk);
                if (changed) golden.expect(name, latent);
                if (!changed && golden.has_output("unchanged/" + name)) golden.expect("unchanged/" + name, latent);
            }
        }
    }
}

TEST(ParitySelfForcing, Prefill) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("sf-prefill")) {
        const GoldenCase golden(folder);
        const auto& c = golden.config();
        for (const auto& variant : c.at("variants")) {
            const std::string name = variant.at("name").get<std::string>() + "/";
            SelfForcingSetup setup;
            setup.local_attn_size = variant.at("local_attn_size");
            setup.sink_size = variant.at("sink_size");
            setup.prefix = name;
            setup.chunk_frames = variant.at("chunk_frames").get<std::vector<int>>();
            const auto blocks = variant.at("prefill_blocks").get<std::vector<int>>();
            for (const int block : blocks) setup.prefilled += block;
            SelfForcingRun run(golden, setup);
            const std::int64_t tokens = c.at("tokens_per_frame");
            std::int64_t row = 0;
            const auto expect_ends = [&](std::int64_t held) {
                EXPECT_EQ(golden.output(name + "global_end")[row].item<std::int64_t>(),
                          run.rollout().next_latent() * tokens);
                EXPECT_EQ(golden.output(name + "local_end")[row].item<std::int64_t>(), held * tokens);
                ++row;
            };
            for (std::size_t block = 0; block < blocks.size(); ++block) {
                const std::int64_t first = run.rollout().next_latent();
                const auto held =
                    static_cast<std::int64_t>(run.rollout().cache().visible_history(first).size()) + blocks[block];
                run.rollout().prefill(golden.tensor(name + "prefill").narrow(0, first, blocks[block]),
                                      run.chunk(blocks[block]));
                for (int layer = 0; layer < c.at("layers").get<int>(); ++layer) {
                    const std::string key = of(of(name + "prefill", static_cast<int>(block), "/k/layer"), layer);
                    if (!golden.has_output(key)) continue;
                    golden.expect(key, run.roped_keys(layer, first, blocks[block]));
                    golden.expect(of(of(name + "prefill", static_cast<int>(block), "/v/layer"), layer),
                                  run.rollout().cache().read_values(layer, first, blocks[block]));
                }
                expect_ends(held);
            }
            for (std::size_t chunk = 0; chunk < setup.chunk_frames.size(); ++chunk) {
                const int frames = setup.chunk_frames[chunk];
                const auto held = static_cast<std::int64_t>(
                                      run.rollout().cache().visible_history(run.rollout().next_latent()).size()) +
                                  frames;
                run.on_step = [&](int step, const at::Tensor&, const at::Tensor& velocity) {
                    const std::string flow = of(of(name + "flow/chunk", static_cast<int>(chunk), "/step"), step);
                    if (golden.has_output(flow)) golden.expect(flow, velocity);
                };
                golden.expect(of(name + "latent/chunk", static_cast<int>(chunk)),
                              run.rollout().generate(run.chunk(frames)));
                expect_ends(held);
            }
        }
    }
}

// One chunk alone is what the bidirectional network computes.
TEST(ParitySelfForcing, BidirectionalChunk) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan-bidir")) {
        const GoldenCase golden(folder);
        const auto& c = golden.config();
        WanDit dit = unwrap(WanDit::load(self_forcing_config(c), golden.source(), at::kCPU, at::kFloat));
        dit.set_text(golden.tensor("prompt/0"));
        quant::CacheShape shape;
        shape.layers = c.at("layers");
        shape.heads = c.at("heads");
        shape.head_dim = c.at("head_dim");
        shape.tokens_per_latent = c.at("lat_h").get<int>() / 2 * (c.at("lat_w").get<int>() / 2);
        shape.page_latents = c.at("frames");
        const auto cache = unwrap(quant::KvCache::create(shape, {}, at::kCPU, at::kFloat));
        quant::ReadView view;
        view.latents = c.at("frames");
        for (int i = 0; i < view.latents; ++i) view.new_positions.push_back(static_cast<float>(i));
        dit.fill_rope(view, c.at("lat_h").get<int>() / 2, c.at("lat_w").get<int>() / 2);
        cache->begin_chunk(view);
        for (std::size_t i = 0; i < c.at("timesteps").size(); ++i) {
            DitPass pass;
            pass.latents = golden.tensor("latent");
            pass.timesteps.assign(static_cast<std::size_t>(view.latents), c.at("timesteps")[i].get<double>());
            golden.expect(of("t", static_cast<int>(i), "/flow"), dit.forward(pass, *cache));
        }
    }
}

// bfloat16 is held to the reference's own deviation in bfloat16, with room for another order of rounding.
TEST(ParitySelfForcing, RolloutInBfloat16) {
    const c10::InferenceMode inference;
    const GoldenCase golden(golden_folders("sf-rollout").at(0));
    SelfForcingSetup setup;
    setup.compute = at::kBFloat16;
    SelfForcingRun run(golden, setup);
    for (int chunk = 0; chunk < golden.config().at("chunks").get<int>(); ++chunk) {
        golden.expect(of("latent/chunk", chunk),
                      run.rollout().generate(run.chunk(golden.config().at("frames_per_chunk"))), 0.02);
    }
}

} // namespace
} // namespace wander::testing
