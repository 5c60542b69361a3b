// In float64: a cached roll-out equals the same network run over the whole sequence with a block-causal mask, written
// once more in the plainest way (full_sequence.hpp). And what must not change a result does not.

#include "generator/rollout/rollout.hpp"
#include "tests/unit/generator/full_sequence.hpp"
#include "tests/unit/generator/small_dit.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace wander {
namespace {

using test::cache_for;
using test::FullSequence;
using test::kCols;
using test::kRows;
using test::random_weight;
using test::small_config;
using test::small_dit;

struct Scheme {
    int chunk, sink, window, chunks;
};

class CachedRollout : public testing::TestWithParam<Scheme> {};

// History is what the context pass (t = 0) left of the clean latents; the noisy chunk sees it and itself.
TEST_P(CachedRollout, EqualsTheFullSequence) {
    const c10::InferenceMode inference;
    const auto [chunk, sink, window, chunks] = GetParam();
    const DitConfig config = small_config();
    const FullSequence full(config);
    Rollout::Config setup;
    setup.sampler = SamplerConfig::self_forcing(5, {1000, 500});
    setup.rows = kRows;
    setup.cols = kCols;
    std::vector<at::Tensor> inputs, velocities;
    setup.on_step = [&](int, const at::Tensor& x, const at::Tensor& v) {
        inputs.push_back(x.clone());
        velocities.push_back(v.clone());
    };
    Rollout rollout(std::make_shared<WanDit>(small_dit(config)), cache_for(config, chunk, sink, window), setup,
                    keyed_noise(3));
    std::vector<at::Tensor> clean;
    double worst = 0;
    for (int i = 0; i < chunks; ++i) {
        inputs.clear();
        velocities.clear();
        ChunkInput input;
        input.latents = chunk;
        const at::Tensor latents = rollout.generate(input);
        const int first = i * chunk;
        for (std::size_t step = 0; step < inputs.size(); ++step) {
            std::vector<at::Tensor> sequence = clean;
            sequence.push_back(inputs[step].to(at::kDouble));
            std::vector<double> times(static_cast<std::size_t>(first), 0.0), positions;
            times.insert(times.end(), static_cast<std::size_t>(chunk), setup.sampler.timesteps[step]);
            for (int p = 0; p < first + chunk; ++p) positions.push_back(p);
            const auto sees = [&](int a, int b) {
                const int begin = a / chunk * chunk; // of the chunk that a is in
                if (b >= begin) return b < begin + chunk;
                return b < sink || window <= 0 || b >= begin - window;
            };
            const at::Tensor expected = full(at::cat(sequence), times, positions, sees).narrow(0, first, chunk);
            worst = std::max(worst, ((velocities[step] - expected).abs().max() / expected.abs().max()).item<double>());
        }
        clean.push_back(latents);
    }
    EXPECT_LE(worst, 1e-10);
}

INSTANTIATE_TEST_SUITE_P(Schemes, CachedRollout,
                         testing::Values(Scheme{3, 0, 0, 3}, Scheme{2, 0, 4, 4}, Scheme{2, 2, 3, 5},
                                         Scheme{1, 1, 2, 5}));

// Only differences of positions matter, so a history that starts elsewhere gives the same pictures.
TEST(DitProperties, ShiftedPositionsChangeNothing) {
    const c10::InferenceMode inference;
    const DitConfig config = small_config();
    const WanDit dit = small_dit(config);
    at::Tensor first;
    for (const float shift : {0.0f, 5000.0f}) { // past the reference's table of 1,024 positions
        const auto cache = cache_for(config, 2, 0, 0);
        quant::ReadView view;
        view.latents = 2;
        dit.fill_rope(view, kRows / 2, kCols / 2);
        DitPass pass;
        pass.timesteps = {0, 0};
        for (int chunk = 0; chunk < 2; ++chunk) {
            view.first_latent = 2 * chunk;
            view.new_positions = {2 * static_cast<float>(chunk) + shift, 2 * static_cast<float>(chunk) + 1 + shift};
            view.history_positions = chunk == 0 ? std::vector<float>{} : std::vector<float>{shift, 1 + shift};
            cache->begin_chunk(view);
            pass.latents = gaussian_tensor(static_cast<std::uint64_t>(chunk), {2, 16, kRows, kCols});
            const at::Tensor velocity = dit.forward(pass, *cache);
            if (chunk == 1 && shift == 0) first = velocity;
            if (chunk == 1 && shift > 0) {
                EXPECT_LE((velocity - first).abs().max().item<double>(), 1e-9);
            }
            pass.context = true;
            dit.forward(pass, *cache);
            cache->commit();
            pass.context = false;
        }
    }
}

// Timesteps and labels may differ inside a chunk; each latent gets its own modulation.
TEST(DitProperties, EveryLatentHasItsOwnTimestep) {
    const c10::InferenceMode inference;
    const DitConfig config = small_config();
    const WanDit dit = small_dit(config);
    const auto cache = cache_for(config, 2, 0, 0);
    quant::ReadView view;
    view.latents = 2;
    view.new_positions = {0, 1};
    dit.fill_rope(view, kRows / 2, kCols / 2);
    cache->begin_chunk(view);
    DitPass pass;
    pass.latents = gaussian_tensor(9, {2, 16, kRows, kCols});
    pass.timesteps = {14, 937.5};
    const at::Tensor expected =
        FullSequence(config)(pass.latents, pass.timesteps, {0, 1}, [](int, int) { return true; });
    EXPECT_LE((dit.forward(pass, *cache) - expected).abs().max().item<double>(), 1e-10);
}

TEST(DitLoading, ListsTheDifferences) {
    const auto dit = WanDit::load(
        small_config(),
        [](const std::string& name, const auto& shape) -> Result<at::Tensor> {
            if (name.find("blocks.1.self_attn.q") == 0)
                return Error{ErrorCode::bad_input, "tensor '" + name + "' is missing"};
            return random_weight(name, shape);
        },
        at::kCPU, at::kDouble);
    ASSERT_FALSE(dit);
    EXPECT_EQ(dit.error().code, ErrorCode::bad_input);
    EXPECT_NE(dit.error().message.find("blocks.1.self_attn.q.bias"), std::string::npos);
    EXPECT_NE(dit.error().message.find("blocks.1.self_attn.q.weight"), std::string::npos);
}

// self-forcing.md 1.1: 825 tensors, 1,418,996,800 values.
TEST(DitLoading, PublishedSizeHasThePublishedCount) {
    DitConfig config;
    config.dim = 1536;
    config.layers = 30;
    config.heads = 12;
    config.head_dim = 128;
    config.ffn = 8960;
    config.text_dim = 4096;
    config.text_len = 512;
    std::int64_t values = 0;
    const auto shapes = config.tensor_shapes();
    for (const auto& [name, shape] : shapes) {
        std::int64_t product = 1;
        for (const std::int64_t size : shape) product *= size;
        values += product;
    }
    EXPECT_EQ(shapes.size(), 825U);
    EXPECT_EQ(values, 1418996800);
}

} // namespace
} // namespace wander
