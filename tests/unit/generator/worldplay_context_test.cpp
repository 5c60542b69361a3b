// Both ways to make a HY-WorldPlay context against one dense network over all latents at once, written here once more
// in the plainest way, in float64: the published pass (the context sees all of itself) and fast context (a chunk sees
// itself and what was before it). And what fast context keeps, drops and makes again.

#include "generator/rollout/worldplay_rollout.hpp"
#include "tests/unit/generator/small_hunyuan.hpp"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <set>
#include <span>

namespace wander {
namespace {

using test::good;
using test::kCols;
using test::kRows;
using test::kTokens;
using test::random_hunyuan_weight;
using test::small_hunyuan;
using test::small_hunyuan_cache;

struct Latent {
    at::Tensor values; // [C, h, w]
    double timestep = 0;
    LatentCamera camera;
};

// The image side over a list of latents, at their places in the list in time; latent i sees those for which sees(i, j).
class Dense {
public:
    Dense(const HunyuanTextCache& text, const at::Tensor& picture) : text_(text), picture_(picture) {}

    // Of all latents, [n, C, h, w].
    at::Tensor operator()(const std::vector<Latent>& latents, const std::function<bool(int, int)>& sees) const {
        const auto n = std::ssize(latents);
        std::vector<at::Tensor> rows;
        at::Tensor vectors = at::empty({n, c_.dim}, at::kDouble);
        for (std::int64_t i = 0; i < n; ++i) {
            const Latent& latent = latents[static_cast<std::size_t>(i)];
            at::Tensor input = at::zeros({2 * c_.channels + 1, kRows, kCols}, at::kDouble);
            input.narrow(0, 0, c_.channels).copy_(latent.values);
            if (i == 0) {
                input.narrow(0, c_.channels, c_.channels).copy_(picture_);
                input[2 * c_.channels].fill_(1);
            }
            rows.push_back(input.flatten(1).t());
            vectors[i].copy_(embedded("time_in", latent.timestep) + embedded("action_in", latent.camera.label));
        }
        at::Tensor x = linear("img_in.proj", at::cat(rows), c_.dim, true);
        for (int layer = 0; layer < c_.layers; ++layer) x = block(layer, x, vectors, latents, sees);
        const std::vector<at::Tensor> m =
            linear("final_layer.adaLN_modulation.1", at::silu(vectors), 2 * c_.dim).chunk(2, 1);
        x = linear("final_layer.linear", norm(x) * (1 + tokens_of(m[1])) + tokens_of(m[0]), c_.channels);
        return x.view({n, kRows, kCols, c_.channels}).permute({0, 3, 1, 2});
    }

private:
    static at::Tensor weight(const std::string& name, const std::vector<std::int64_t>& shape) {
        return *random_hunyuan_weight(name, shape);
    }
    static at::Tensor linear(const std::string& name, const at::Tensor& x, std::int64_t out, bool convolution = false) {
        std::vector<std::int64_t> shape = {out, x.size(-1)};
        if (convolution) shape.insert(shape.end(), {1, 1, 1});
        return at::matmul(x, weight(name + ".weight", shape).flatten(1).t()) + weight(name + ".bias", {out});
    }
    at::Tensor embedded(const std::string& name, double value) const {
        at::Tensor waves = at::empty({c_.freq_dim}, at::kDouble);
        const int half = c_.freq_dim / 2;
        for (int j = 0; j < half; ++j) {
            const double angle = value * std::exp(-std::log(10000.0) * j / half);
            waves[j] = std::cos(angle);
            waves[half + j] = std::sin(angle);
        }
        return linear(name + ".mlp.2", at::silu(linear(name + ".mlp.0", waves, c_.dim)), c_.dim);
    }
    static at::Tensor tokens_of(const at::Tensor& rows) { return rows.repeat_interleave(kTokens, 0); }
    at::Tensor norm(const at::Tensor& x) const {
        const at::Tensor centred = x - x.mean(-1, true);
        return centred / at::sqrt(centred.square().mean(-1, true) + c_.eps);
    }
    at::Tensor heads(const at::Tensor& x) const { return x.view({-1, c_.heads, c_.head_dim}); }
    at::Tensor head_norm(const std::string& name, const at::Tensor& x) const {
        return x / at::sqrt(x.square().mean(-1, true) + c_.eps) * weight(name + ".weight", {c_.head_dim});
    }
    at::Tensor rope(const at::Tensor& x) const {
        at::Tensor angles = at::empty({x.size(0), 1, c_.head_dim / 2}, at::kDouble);
        double* angle = angles.mutable_data_ptr<double>();
        for (std::int64_t row = 0; row < x.size(0); ++row) {
            const double place[] = {static_cast<double>(row / kTokens), static_cast<double>(row % kTokens / kCols),
                                    static_cast<double>(row % kCols)};
            const int widths[] = {c_.rope_time_channels, c_.rope_row_channels, c_.rope_col_channels};
            for (int axis = 0; axis < 3; ++axis)
                for (int j = 0; j < widths[axis] / 2; ++j)
                    *angle++ = place[axis] * std::pow(c_.rope_theta, -2.0 * j / widths[axis]);
        }
        const at::Tensor pairs = x.unflatten(2, {-1, 2}), a = pairs.select(3, 0), b = pairs.select(3, 1);
        return at::stack({a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()}, 3).flatten(2);
    }
    enum class Turn { transposed, inverse, projection };
    static at::Tensor turned(const at::Tensor& x, const std::vector<Latent>& latents, Turn turn) {
        at::Tensor out = at::empty_like(x);
        for (std::int64_t row = 0; row < x.size(0); ++row) {
            const LatentCamera& camera = latents[static_cast<std::size_t>(row / kTokens)].camera;
            PropeMatrices pair = prope_matrices(camera.world_to_camera, camera.focal);
            Matrix4& values = turn == Turn::inverse ? pair.inverse : pair.projection;
            at::Tensor matrix = at::from_blob(values.data(), {4, 4}, at::kDouble);
            if (turn == Turn::transposed) matrix = matrix.t();
            out[row].copy_(at::einsum("ij,hgj->hgi", {matrix, x[row].view({x.size(1), -1, 4})}).reshape_as(x[row]));
        }
        return out;
    }
    // Text in front, which everything sees.
    at::Tensor attention(int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const std::function<bool(int, int)>& sees) const {
        const quant::TextRows& text = text_.layers[static_cast<std::size_t>(layer)];
        const at::Tensor keys = at::cat({text.keys, k}), values = at::cat({text.values, v});
        at::Tensor scores = at::einsum("qhd,khd->hqk", {q, keys}) / std::sqrt(static_cast<double>(c_.head_dim));
        const int n = static_cast<int>(q.size(0)) / kTokens;
        for (int i = 0; i < n; ++i) {
            for (int j = 0; j < n; ++j) {
                if (sees(i, j)) continue;
                scores.narrow(1, i * kTokens, kTokens)
                    .narrow(2, text.keys.size(0) + j * kTokens, kTokens)
                    .fill_(-std::numeric_limits<double>::infinity());
            }
        }
        return at::einsum("hqk,khd->qhd", {scores.softmax(-1), values});
    }
    at::Tensor block(int layer, at::Tensor x, const at::Tensor& vectors, const std::vector<Latent>& latents,
                     const std::function<bool(int, int)>& sees) const {
        const std::string b = "double_blocks." + std::to_string(layer) + ".img_";
        const std::vector<at::Tensor> m = linear(b + "mod.linear", at::silu(vectors), 6 * c_.dim).chunk(6, 1);
        const auto slot = [&](std::size_t i) { return tokens_of(m[i]); };
        at::Tensor h = norm(x) * (1 + slot(1)) + slot(0);
        const at::Tensor q = head_norm(b + "attn_q_norm", heads(linear(b + "attn_q", h, c_.dim)));
        const at::Tensor k = head_norm(b + "attn_k_norm", heads(linear(b + "attn_k", h, c_.dim)));
        const at::Tensor v = heads(linear(b + "attn_v", h, c_.dim));
        const at::Tensor first = attention(layer, rope(q), rope(k), v, sees);
        const at::Tensor second =
            turned(attention(layer, turned(q, latents, Turn::transposed), turned(k, latents, Turn::inverse),
                             turned(v, latents, Turn::inverse), sees),
                   latents, Turn::projection);
        x = x + slot(2) * (linear(b + "attn_proj", first.flatten(1), c_.dim) +
                           linear(b + "attn_prope_proj", second.flatten(1), c_.dim));
        h = norm(x) * (1 + slot(4)) + slot(3);
        return x + slot(5) * linear(b + "mlp.fc2", at::gelu(linear(b + "mlp.fc1", h, c_.mlp), "tanh"), c_.dim);
    }

    HunyuanConfig c_ = small_hunyuan();
    const HunyuanTextCache& text_;
    at::Tensor picture_;
};

std::shared_ptr<const HunyuanDit> small_net(at::ScalarType compute = at::kDouble) {
    return std::make_shared<HunyuanDit>(
        good(HunyuanDit::load(small_hunyuan(), random_hunyuan_weight, at::kCPU, compute)));
}

HunyuanTextCache small_text(at::ScalarType compute = at::kDouble) {
    const HunyuanTextSide side = good(HunyuanTextSide::load(small_hunyuan(), random_hunyuan_weight, at::kCPU, compute));
    HunyuanPrompt prompt;
    prompt.text = gaussian_tensor(1, {5, 12});
    prompt.vision = gaussian_tensor(2, {7, 10});
    return side.encode(prompt);
}

// A path that turns away and comes back.
std::vector<LatentCamera> path(int latents) {
    std::vector<CameraMove> moves;
    for (int i = 1; i < latents; ++i) {
        moves.push_back(
            {.forward = i % 3 == 0 ? 0.0 : kLatentMove, .yaw = (i / 10 % 2 == 0 ? 1 : -1) * kLatentTurn * 2});
    }
    return cameras_from_moves(moves);
}

class WorldPlayContext : public testing::Test {
protected:
    // These tensors are so small that torch's threads would only wait for each other.
    WorldPlayContext() { at::set_num_threads(1); }

    struct Walk {
        std::unique_ptr<WorldPlayRollout> rollout;
        std::vector<LatentCamera> cameras = path(64);

        at::Tensor next() {
            const auto first = std::max<std::int64_t>(rollout->next_latent(), 1);
            return rollout->generate(std::span(cameras).subspan(static_cast<std::size_t>(first),
                                                                static_cast<std::size_t>(rollout->steered_latents())));
        }
    };

    Walk open(bool fast, std::unique_ptr<quant::KvCache> cache, ContextRules rules = ContextRules::worldplay_8b(),
              std::function<void(std::size_t, const at::Tensor&, const at::Tensor&)> on_step = {}) {
        cache->set_text(text_.layers);
        WorldPlayRollout::Config config;
        config.schedule = WorldPlaySchedule::worldplay_8b();
        config.schedule.context = rules;
        config.rows = kRows;
        config.cols = kCols;
        config.fast_context = fast;
        config.on_step = std::move(on_step);
        Walk walk;
        walk.rollout = std::make_unique<WorldPlayRollout>(std::shared_ptr<const WorldPlayNet>(net_), std::move(cache),
                                                          config, keyed_noise(3), ViewOverlap::of_seed(4));
        walk.rollout->start(walk.cameras.front(), picture_);
        return walk;
    }

    static double relative(const at::Tensor& a, const at::Tensor& b) {
        return ((a - b).abs().max() / b.abs().max()).item<double>();
    }

    c10::InferenceMode inference_;
    std::shared_ptr<const HunyuanDit> net_ = small_net();
    HunyuanTextCache text_ = small_text();
    at::Tensor picture_ = gaussian_tensor(9, {4, kRows, kCols}).to(at::kDouble);
    ContextRules few_ = {12, 4, 4, 4}; // a context with all its parts from the fourth chunk on
};

TEST_F(WorldPlayContext, BothEqualTheDenseNetwork) {
    const Dense dense(text_, picture_);
    for (const bool fast : {false, true}) {
        std::vector<at::Tensor> inputs, flows;
        Walk walk = open(fast, small_hunyuan_cache(), ContextRules::worldplay_8b(),
                         [&](std::size_t, const at::Tensor& x, const at::Tensor& flow) {
                             inputs.push_back(x.clone());
                             flows.push_back(flow.clone());
                         });
        for (int chunk = 0; chunk < 4; ++chunk) walk.next();
        const at::Tensor clean = walk.rollout->history().latents;
        const auto timesteps = WorldPlaySchedule::worldplay_8b().sampler.timesteps;
        for (const int chunk : {0, 1, 3}) {
            for (const int step : {0, 2}) {
                std::vector<Latent> latents;
                for (int i = 0; i < 4 * chunk; ++i)
                    latents.push_back({clean[i], 14, walk.cameras[static_cast<std::size_t>(i)]});
                const auto index = static_cast<std::size_t>(4 * chunk + step);
                for (int i = 0; i < 4; ++i) {
                    latents.push_back({inputs[index][i], timesteps[static_cast<std::size_t>(step)],
                                       walk.cameras[static_cast<std::size_t>(4 * chunk + i)]});
                }
                const at::Tensor wanted = dense(
                    latents, [&](int i, int j) { return fast ? j / 4 <= i / 4 : i / 4 == chunk || j / 4 < chunk; });
                // Matrices are kept in float32.
                EXPECT_LT(relative(flows[index], wanted.narrow(0, 4 * chunk, 4)), 1e-5)
                    << (fast ? "fast" : "published") << ", chunk " << chunk << ", step " << step;
            }
        }
    }
}

TEST_F(WorldPlayContext, FastDiffersFromTheThirdChunkOn) {
    Walk exact = open(false, small_hunyuan_cache()), fast = open(true, small_hunyuan_cache());
    for (int chunk = 0; chunk < 2; ++chunk) EXPECT_LT(relative(fast.next(), exact.next()), 1e-12) << chunk;
    EXPECT_GT(relative(fast.next(), exact.next()), 1e-6) << "the published context is not causal";
}

// What the keys choose is read from the cache: nothing is made again when they choose otherwise.
TEST_F(WorldPlayContext, FastMakesEveryChunkOnce) {
    Walk early = open(true, small_hunyuan_cache(), few_), late = open(true, small_hunyuan_cache(), few_);
    int clips = 0;
    for (int chunk = 0; chunk < 12; ++chunk) {
        LatentCamera lost = early.cameras.front();
        lost.camera_to_world[3] += 1000;
        lost.world_to_camera = rigid_inverse(lost.camera_to_world);
        early.rollout->prepare(
            std::vector<LatentCamera>(static_cast<std::size_t>(early.rollout->steered_latents()), lost));
        const auto expected = early.rollout->context().latents;
        EXPECT_TRUE(at::equal(early.next(), late.next())) << chunk;
        clips += early.rollout->context().latents != expected ? 1 : 0;
    }
    EXPECT_GT(clips, 0) << "the case must have a choice that differs";
    EXPECT_EQ(early.rollout->contexts_made_again(), 0);
}

TEST_F(WorldPlayContext, FastGoesOnFromItsLatents) {
    for (const int window : {0, 16}) {
        const auto cache = [&] { return small_hunyuan_cache(window > 0 ? 4 : 0, window); };
        Walk walk = open(true, cache(), few_), other = open(true, cache(), few_);
        for (int chunk = 0; chunk < 8; ++chunk) walk.next();
        const WorldPlayHistory saved = walk.rollout->history();
        std::vector<at::Tensor> went_on;
        for (int chunk = 0; chunk < 3; ++chunk) went_on.push_back(walk.next());
        for (Walk* again : {&other, &walk}) { // another program, and back in time
            again->rollout->restore(saved);
            for (const at::Tensor& latents : went_on) EXPECT_TRUE(at::equal(again->next(), latents)) << window;
        }
    }
}

// A bounded cache: the anchor and the newest latents, and clips out of those alone.
TEST_F(WorldPlayContext, FastForgetsWhatLeavesTheWindow) {
    Walk walk = open(true, small_hunyuan_cache(4, 16), few_), whole = open(true, small_hunyuan_cache(), few_);
    bool differs = false;
    std::int64_t most = 0;
    for (int chunk = 0; chunk < 14; ++chunk) {
        const std::int64_t first = walk.rollout->next_latent();
        walk.next();
        whole.next();
        const auto& choice = walk.rollout->context();
        EXPECT_GE(choice.clip.value_or(first), first - 16);
        differs = differs || choice.latents != whole.rollout->context().latents;
        most = std::max(most, walk.rollout->cache().ledger().bytes());
    }
    EXPECT_TRUE(differs) << "the case must find an older clip where it may";
    // Anchor, window, the chunk being made.
    EXPECT_LE(most, std::int64_t{4 + 16 + 4} * kTokens * 64 * 8 * 2 * 3);
    EXPECT_GT(whole.rollout->cache().ledger().bytes(), most);
    EXPECT_THROW(open(true, small_hunyuan_cache(4, 4), few_), c10::Error);
    EXPECT_THROW(open(true, small_hunyuan_cache(0, 16), few_), c10::Error);
}

// What KvCache::history_number() promises to who keeps expanded rows: the passes of a chunk read alike, and of fast
// context the one that makes its keys and values too; nothing else reads like them, a walk that went back included.
TEST_F(WorldPlayContext, PassesOfAChunkReadTheSameHistory) {
    for (const bool fast : {false, true}) {
        SCOPED_TRACE(fast ? "fast" : "published");
        Walk walk = open(fast, small_hunyuan_cache(), few_);
        std::vector<std::uint64_t> seen;
        walk.rollout->set_between_blocks([&] { seen.push_back(walk.rollout->cache().history_number()); });
        std::set<std::uint64_t> all;
        const auto alike = [&] { // since it was asked last
            const bool same = !seen.empty() && std::ranges::count(seen, seen.front()) == std::ssize(seen);
            EXPECT_TRUE(all.insert(seen.front()).second) << "an earlier chunk's number";
            seen.clear();
            return same;
        };
        const auto prepare = [&](std::int64_t first) {
            walk.rollout->prepare(std::span(walk.cameras).subspan(static_cast<std::size_t>(first), 4));
        };
        WorldPlayHistory middle;
        const auto chunk = [&] {
            walk.next();
            if (!fast) {
                EXPECT_TRUE(alike());
            }
            prepare(walk.rollout->next_latent());
            EXPECT_TRUE(alike() || (fast && walk.rollout->next_latent() == kLatentsPerChunk)); // there is no history
        };
        for (int i = 0; i < 5; ++i) {
            chunk();
            if (i == 2) middle = walk.rollout->history();
        }
        walk.rollout->restore(middle);
        prepare(12); // fast: all chunks' keys and values again, each with a history of its own
        for (const std::uint64_t number : seen) EXPECT_FALSE(all.contains(number));
        seen.clear();
        chunk();
        walk.rollout->set_text(text_.layers); // published: what was prepared is read behind another text
        walk.next();
        EXPECT_TRUE(alike());
        walk.rollout->set_text({});
        prepare(walk.rollout->next_latent());
        EXPECT_TRUE(alike());
    }
}

TEST_F(WorldPlayContext, PackedPagesServeFastContext) {
    net_ = small_net(at::kFloat);
    text_ = small_text(at::kFloat);
    picture_ = picture_.to(at::kFloat);
    quant::CachePolicy fp8;
    fp8.format = "fp8";
    Walk packed = open(true, small_hunyuan_cache(0, 0, fp8, at::kFloat), few_);
    Walk plain = open(true, small_hunyuan_cache(0, 0, {}, at::kFloat), few_);
    double worst = 0;
    for (int chunk = 0; chunk < 6; ++chunk) worst = std::max(worst, relative(packed.next(), plain.next()));
    EXPECT_GT(worst, 0);
    EXPECT_LT(worst, 0.1);
    EXPECT_GT(packed.rollout->cache().ledger().packed_bytes, 0);
}

} // namespace
} // namespace wander
