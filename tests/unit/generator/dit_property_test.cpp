// In float64: a cached roll-out equals the same network run over the whole sequence with a block-causal mask, written
// here once more in the plainest way. And what must not change a result does not.

#include "generator/rollout/rollout.hpp"
#include "generator/wan/dit_weights.hpp"
#include "tests/unit/generator/small_dit.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace wander {
namespace {

using test::cache_for;
using test::kCols;
using test::kRows;
using test::kTokens;
using test::random_weight;
using test::small_config;
using test::small_dit;

// The network over a list of latents, each with its own timestep; latent i sees those for which sees(i, j).
class FullSequence {
public:
    explicit FullSequence(const DitConfig& config) : c_(config) {}

    at::Tensor operator()(const at::Tensor& latents, const std::vector<double>& times,
                          const std::vector<double>& positions, const std::function<bool(int, int)>& sees) const {
        const std::int64_t n = latents.size(0);
        at::Tensor x = at::conv3d(latents.to(at::kDouble).transpose(0, 1).unsqueeze(0),
                                  w("patch_embedding.weight", {c_.dim, 16, 1, 2, 2}),
                                  w("patch_embedding.bias", {c_.dim}), {1, 2, 2})[0]
                           .flatten(1)
                           .t();
        std::vector<at::Tensor> rows;
        for (const double t : times) rows.push_back(sinusoidal_embedding({t}, c_.freq_dim));
        const at::Tensor e =
            linear("time_embedding.2", at::silu(linear("time_embedding.0", at::cat(rows), c_.dim)), c_.dim);
        const at::Tensor e0 = linear("time_projection.1", at::silu(e), 6 * c_.dim).view({n, 6, c_.dim});
        at::Tensor text = at::zeros({c_.text_len, c_.text_dim}, at::kDouble);
        text.narrow(0, 0, 4).copy_(gaussian_tensor(1, {4, c_.text_dim}));
        text = linear("text_embedding.2", at::gelu(linear("text_embedding.0", text, c_.dim), "tanh"), c_.dim);
        at::Tensor mask = at::zeros({n * kTokens, n * kTokens}, at::kDouble);
        for (int i = 0; i < n; ++i) {
            for (int j = 0; j < n; ++j) {
                if (!sees(i, j)) mask.narrow(0, i * kTokens, kTokens).narrow(1, j * kTokens, kTokens).fill_(-INFINITY);
            }
        }
        for (int layer = 0; layer < c_.layers; ++layer) x = block(layer, x, e0, text, positions, mask);
        const at::Tensor m = w("head.modulation", {1, 2, c_.dim}) + e.unsqueeze(1);
        x = linear("head.head", norm(x) * (1 + per_token(m.select(1, 1))) + per_token(m.select(1, 0)), 64);
        return x.view({n, kRows / 2, kCols / 2, 2, 2, 16}).permute({0, 5, 1, 3, 2, 4}).reshape({n, 16, kRows, kCols});
    }

private:
    at::Tensor w(const std::string& name, const std::vector<std::int64_t>& shape) const {
        return random_weight(name, shape);
    }
    at::Tensor linear(const std::string& name, const at::Tensor& x, std::int64_t out) const {
        return at::matmul(x, w(name + ".weight", {out, x.size(-1)}).t()) + w(name + ".bias", {out});
    }
    at::Tensor norm(const at::Tensor& x) const {
        const at::Tensor centred = x - x.mean(-1, true);
        return centred / at::sqrt(centred.square().mean(-1, true) + c_.eps);
    }
    at::Tensor rms(const std::string& name, const at::Tensor& x) const {
        return x / at::sqrt(x.square().mean(-1, true) + c_.eps) * w(name, {c_.dim});
    }
    static at::Tensor per_token(const at::Tensor& rows) { return rows.repeat_interleave(kTokens, 0); }
    at::Tensor heads(const at::Tensor& x) const { return x.view({-1, c_.heads, c_.head_dim}).transpose(0, 1); }
    at::Tensor rope(const at::Tensor& x, const std::vector<double>& positions) const {
        at::Tensor out = at::empty_like(x);
        for (std::int64_t row = 0; row < x.size(1); ++row) {
            const double place[] = {positions[static_cast<std::size_t>(row / kTokens)],
                                    static_cast<double>(row % kTokens / (kCols / 2)),
                                    static_cast<double>(row % (kCols / 2))};
            const int widths[] = {c_.rope_time_channels, c_.rope_row_channels, c_.rope_col_channels};
            int channel = 0;
            for (int axis = 0; axis < 3; ++axis) {
                for (int j = 0; j < widths[axis] / 2; ++j, channel += 2) {
                    const double angle = place[axis] * std::pow(c_.rope_theta, -2.0 * j / widths[axis]);
                    const at::Tensor a = x.select(1, row).select(-1, channel),
                                     b = x.select(1, row).select(-1, channel + 1);
                    out.select(1, row).select(-1, channel).copy_(a * std::cos(angle) - b * std::sin(angle));
                    out.select(1, row).select(-1, channel + 1).copy_(a * std::sin(angle) + b * std::cos(angle));
                }
            }
        }
        return out;
    }
    at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) const {
        at::Tensor scores = at::matmul(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(c_.head_dim));
        if (mask.defined()) scores = scores + mask;
        return at::matmul(at::softmax(scores, -1), v).transpose(0, 1).reshape({-1, c_.dim});
    }
    at::Tensor block(int layer, at::Tensor x, const at::Tensor& e0, const at::Tensor& text,
                     const std::vector<double>& positions, const at::Tensor& mask) const {
        const std::string b = "blocks." + std::to_string(layer) + ".", s = b + "self_attn.", t = b + "cross_attn.";
        const at::Tensor e = w(b + "modulation", {1, 6, c_.dim}) + e0;
        const auto slot = [&](int i) { return per_token(e.select(1, i)); };
        const auto project = [&](const std::string& name, const at::Tensor& h) { return linear(name, h, c_.dim); };
        at::Tensor h = norm(x) * (1 + slot(1)) + slot(0);
        const at::Tensor q = rope(heads(rms(s + "norm_q.weight", project(s + "q", h))), positions);
        const at::Tensor k = rope(heads(rms(s + "norm_k.weight", project(s + "k", h))), positions);
        x = x + project(s + "o", attention(q, k, heads(project(s + "v", h)), mask)) * slot(2);
        h = norm(x) * w(b + "norm3.weight", {c_.dim}) + w(b + "norm3.bias", {c_.dim});
        x = x + project(t + "o", attention(heads(rms(t + "norm_q.weight", project(t + "q", h))),
                                           heads(rms(t + "norm_k.weight", project(t + "k", text))),
                                           heads(project(t + "v", text)), {}));
        h = norm(x) * (1 + slot(4)) + slot(3);
        return x + linear(b + "ffn.2", at::gelu(linear(b + "ffn.0", h, c_.ffn), "tanh"), c_.dim) * slot(5);
    }

    DitConfig c_;
};

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
