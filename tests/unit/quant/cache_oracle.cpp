#include "tests/unit/quant/cache_oracle.hpp"

#include "quant/cache/logit_bias.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace wander::test {
namespace {

// These tensors are so small that torch's threads would only wait for each other.
[[maybe_unused]] const bool kOneThread = [] {
    at::set_num_threads(1);
    return true;
}();

at::Tensor uniform(at::IntArrayRef size, double low, double high, std::uint64_t seed) {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    return at::rand(size, generator, at::kDouble) * (high - low) + low;
}

at::Tensor matrices(int count, std::uint64_t seed) {
    // Near the identity, so the inverse is well conditioned.
    return (at::eye(4, at::kDouble) + uniform({count, 4, 4}, -0.15, 0.15, seed)).to(at::kFloat);
}

// rows [n, heads, dim] double; positions: one per latent.
at::Tensor rope(const quant::ReadView& view, const at::Tensor& rows, const std::vector<float>& positions,
                const std::vector<bool>& one_row = {}) {
    const auto latents = static_cast<std::int64_t>(positions.size());
    const at::Tensor position = at::tensor(positions, at::kFloat).to(at::kDouble);
    const std::int64_t tokens = view.space_angles.size(0);
    const at::Tensor time =
        (position.view({latents, 1, 1}) * view.time_frequencies.view({1, 1, -1})).expand({latents, tokens, -1});
    at::Tensor space = view.space_angles.unsqueeze(0).expand({latents, tokens, -1}).clone();
    for (std::size_t n = 0; n < one_row.size(); ++n) {
        if (one_row[n]) space[static_cast<std::int64_t>(n)].copy_(view.space_angles[tokens / 2]);
    }
    const at::Tensor angle = at::cat({time, space}, 2).reshape({latents * tokens, 1, -1});
    const at::Tensor pairs = rows.reshape({rows.size(0), rows.size(1), -1, 2});
    const at::Tensor x = pairs.select(3, 0);
    const at::Tensor y = pairs.select(3, 1);
    return at::stack({x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()}, 3).reshape(rows.sizes());
}

// Every group of 4 channels of latent n's rows times matrix n (column vectors: out = M x).
at::Tensor turn(const at::Tensor& rows, const at::Tensor& matrix, std::int64_t tokens) {
    const std::int64_t latents = matrix.size(0);
    const at::Tensor groups = rows.reshape({latents, tokens, rows.size(1), rows.size(2) / 4, 4});
    return at::einsum("nij,nthgj->nthgi", {matrix.to(at::kDouble), groups}).reshape(rows.sizes());
}

// noise: as dense_attention's, of all keys; undefined: none.
at::Tensor softmax_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& noise) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(2)));
    at::Tensor scores = at::einsum("qhd,khd->hqk", {q, k}) * scale;
    if (noise.defined()) {
        const std::int64_t groups = q.size(2) / quant::kNoiseChannels;
        const at::Tensor energy = q.square().view({q.size(0), q.size(1), groups, quant::kNoiseChannels}).sum(3);
        const at::Tensor beta = at::einsum("qhg,khg->hqk", {energy, noise}) * (scale * scale / 2);
        scores = scores - beta.clamp_max(static_cast<double>(quant::kMaxLogitBias));
    }
    return at::einsum("hqk,khd->qhd", {scores.softmax(2), v});
}

} // namespace

quant::ReadView random_view(const CacheSetup& setup, const std::vector<std::int64_t>& history,
                            std::int64_t first_latent, int latents, std::uint64_t seed) {
    quant::ReadView view;
    const int history_latents = static_cast<int>(history.size());
    view.first_latent = first_latent;
    view.latents = latents;
    for (const std::int64_t latent : history) {
        view.history_positions.push_back(static_cast<float>(latent));
    }
    for (int n = 0; n < latents; ++n) {
        view.new_positions.push_back(static_cast<float>(first_latent + n));
    }
    const int space_pairs = setup.shape.head_dim / 2 - setup.time_pairs;
    view.time_frequencies = uniform({setup.time_pairs}, 0.0, 1.0, 7);
    view.space_angles = uniform({setup.shape.tokens_per_latent, space_pairs}, -3.0, 3.0, 8);
    view.prope = setup.prope;
    if (setup.prope) {
        view.history_inverse = matrices(history_latents, seed * 3 + 1);
        view.new_projection = matrices(latents, seed * 3 + 2);
        view.new_inverse = view.new_projection.to(at::kDouble).inverse().to(at::kFloat);
    }
    return view;
}

at::Tensor random_rows(const CacheSetup& setup, int latents, std::uint64_t seed) {
    const std::int64_t tokens = static_cast<std::int64_t>(latents) * setup.shape.tokens_per_latent;
    // A few channels are large for all tokens, as in real keys.
    at::Tensor rows = uniform({tokens, setup.shape.heads, setup.shape.head_dim}, -1.5, 1.5, seed);
    rows = rows + uniform({1, setup.shape.heads, setup.shape.head_dim}, -1.0, 1.0, 99);
    return rows.to(setup.compute).to(setup.device);
}

quant::TextRows random_text(const CacheSetup& setup, int layer) {
    if (setup.text_tokens == 0) return {};
    const auto seed = static_cast<std::uint64_t>(777 + 2 * layer);
    const auto rows = [&](std::uint64_t rows_seed) {
        return uniform({setup.text_tokens, setup.shape.heads, setup.shape.head_dim}, -2.0, 2.0, rows_seed)
            .to(setup.compute)
            .to(setup.device);
    };
    return {rows(seed), rows(seed + 1)};
}

at::Tensor dense_attention(const CacheSetup& setup, const quant::ReadView& view, const at::Tensor& history_k,
                           const at::Tensor& history_v, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const at::Tensor& history_noise, const std::vector<bool>& one_row,
                           const quant::TextRows& text) {
    const std::int64_t tokens = setup.shape.tokens_per_latent;
    const auto dense = [](const at::Tensor& t) { return t.to(at::kCPU, at::kDouble); };
    const at::Tensor keys = at::cat({dense(history_k), dense(k)}, 0);
    const at::Tensor values = at::cat({dense(history_v), dense(v)}, 0);
    at::Tensor noise;
    if (history_noise.defined()) {
        noise =
            at::cat({dense(history_noise), at::zeros({k.size(0), k.size(1), history_noise.size(2)}, at::kDouble)}, 0);
    }
    const auto with_text = [&](const at::Tensor& front, const at::Tensor& rows) {
        return front.defined() ? at::cat({dense(front), rows}, 0) : rows;
    };
    if (noise.defined() && text.keys.defined()) {
        noise = at::cat({at::zeros({text.keys.size(0), noise.size(1), noise.size(2)}, at::kDouble), noise}, 0);
    }
    std::vector<float> positions = view.history_positions;
    positions.insert(positions.end(), view.new_positions.begin(), view.new_positions.end());

    std::vector<at::Tensor> branches = {softmax_attention(rope(view, dense(q), view.new_positions),
                                                          with_text(text.keys, rope(view, keys, positions, one_row)),
                                                          with_text(text.values, values), noise)};
    if (view.prope) {
        const at::Tensor inverse = at::cat({view.history_inverse, view.new_inverse}, 0);
        const at::Tensor result = softmax_attention(turn(dense(q), view.new_projection.transpose(1, 2), tokens),
                                                    with_text(text.keys, turn(keys, inverse, tokens)),
                                                    with_text(text.values, turn(values, inverse, tokens)), noise);
        branches.push_back(turn(result, view.new_projection, tokens));
    }
    return at::stack(branches, 0);
}

at::Tensor visible_values(const quant::KvCache& cache, const CacheSetup& setup, int layer,
                          const std::vector<std::int64_t>& history, bool keys) {
    std::vector<at::Tensor> parts = {at::empty({0, setup.shape.heads, setup.shape.head_dim},
                                               at::TensorOptions().dtype(setup.compute).device(setup.device))};
    for (const std::int64_t latent : history) {
        parts.push_back(keys ? cache.read_keys(layer, latent, 1) : cache.read_values(layer, latent, 1));
    }
    return at::cat(parts, 0);
}

double relative_error(const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor x = a.to(at::kCPU, at::kDouble);
    const at::Tensor y = b.to(at::kCPU, at::kDouble);
    return ((x - y).abs().max() / y.abs().max().clamp_min(1e-30)).item<double>();
}

double step_and_compare(quant::KvCache& cache, const CacheSetup& setup, std::int64_t first_latent, int latents,
                        std::uint64_t seed) {
    const std::vector<std::int64_t> history = cache.visible_history(first_latent);
    const quant::ReadView view = random_view(setup, history, first_latent, latents, seed);
    cache.begin_chunk(view);
    double worst = 0;
    for (int pass = 0; pass < 2; ++pass) {
        for (int layer = 0; layer < setup.shape.layers; ++layer) {
            const std::uint64_t base = seed * 1000 + static_cast<std::uint64_t>(layer * 10 + pass * 3);
            const at::Tensor q = random_rows(setup, latents, base);
            const at::Tensor k = random_rows(setup, latents, base + 1);
            const at::Tensor v = random_rows(setup, latents, base + 2);
            const at::Tensor expected = dense_attention(setup, view, visible_values(cache, setup, layer, history, true),
                                                        visible_values(cache, setup, layer, history, false), q, k, v,
                                                        {}, {}, random_text(setup, layer));
            const at::Tensor got = cache.attend(layer, q, k, v);
            EXPECT_TRUE(got.transpose(0, 1).is_contiguous()) << "a row's branches are not side by side";
            worst = std::max(worst, relative_error(got, expected));
            if (pass == 1) {
                cache.write(layer, k, v);
            }
        }
    }
    cache.commit();
    return worst;
}

CacheSetup embedded_setup() {
    CacheSetup setup;
    setup.shape = {.layers = 1,
                   .heads = 5,
                   .head_dim = 64,
                   .tokens_per_latent = 84,
                   .page_latents = 4,
                   .sink_latents = 1,
                   .window_latents = 24};
    setup.time_pairs = 12;
    return setup;
}

CacheSetup small_setup(int layers, int sink, int window, int page) {
    CacheSetup setup;
    setup.shape = {.layers = layers,
                   .heads = 2,
                   .head_dim = 16,
                   .tokens_per_latent = 6,
                   .page_latents = page,
                   .sink_latents = sink,
                   .window_latents = window};
    return setup;
}

std::unique_ptr<quant::KvCache> make_cache(const CacheSetup& setup) {
    auto cache = quant::KvCache::create(setup.shape, setup.policy, setup.device, setup.compute);
    if (!cache) throw std::runtime_error(cache.error().message);
    if (setup.text_tokens > 0) {
        std::vector<quant::TextRows> text;
        for (int layer = 0; layer < setup.shape.layers; ++layer) text.push_back(random_text(setup, layer));
        (*cache)->set_text(text);
    }
    return std::move(*cache);
}

double worst_of_walk(const CacheSetup& setup, int chunks, int latents) {
    const auto cache = make_cache(setup);
    double worst = 0;
    for (int n = 0; n < chunks; ++n) {
        worst =
            std::max(worst, step_and_compare(*cache, setup, n * latents, latents, static_cast<std::uint64_t>(n + 1)));
    }
    return worst;
}

double error_of_chosen(const CacheSetup& setup, int chunks, const std::vector<std::int64_t>& chosen) {
    const auto cache = make_cache(setup);
    for (int n = 0; n < chunks; ++n) step_and_compare(*cache, setup, n * 2, 2, static_cast<std::uint64_t>(n + 1));
    quant::ReadView view = random_view(setup, chosen, chunks * 2, 2, 99);
    view.chosen = chosen;
    cache->begin_chunk(view);
    const at::Tensor q = random_rows(setup, 2, 501), k = random_rows(setup, 2, 502), v = random_rows(setup, 2, 503);
    const int layer = setup.shape.layers - 1;
    const at::Tensor expected = dense_attention(setup, view, visible_values(*cache, setup, layer, chosen, true),
                                                visible_values(*cache, setup, layer, chosen, false), q, k, v, {}, {},
                                                random_text(setup, layer));
    return relative_error(cache->attend(layer, q, k, v), expected);
}

} // namespace wander::test
