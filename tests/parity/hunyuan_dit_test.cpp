// HY-WorldPlay's 8B transformer in small against the public code: text pass, context pass, denoise passes with and
// without context, and a roll-out of ten chunks.

#include "generator/hunyuan/hunyuan_dit_weights.hpp"
#include "generator/rollout/worldplay_rollout.hpp"
#include "tests/support/hunyuan_case.hpp"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>

namespace wander::testing {
namespace {

HunyuanTextSide text_side_of(const GoldenCase& golden) {
    return unwrap(HunyuanTextSide::load(hunyuan_config_of(golden), golden.source(), at::kCPU, at::kFloat));
}

std::shared_ptr<HunyuanDit> dit_of(const GoldenCase& golden) {
    return std::make_shared<HunyuanDit>(
        unwrap(HunyuanDit::load(hunyuan_config_of(golden), golden.source(), at::kCPU, at::kFloat)));
}

// [tokens, heads, d] -> [1, heads, tokens, d]
at::Tensor heads_first(const at::Tensor& rows) { return rows.transpose(0, 1).unsqueeze(0).contiguous(); }

void expect_text(const GoldenCase& golden, const HunyuanTextCache& cache) {
    for (std::size_t layer = 0; layer < cache.layers.size(); ++layer) {
        golden.expect(fmt::format("text.k.{}", layer), heads_first(cache.layers[layer].keys));
        golden.expect(fmt::format("text.v.{}", layer), heads_first(cache.layers[layer].values));
    }
}

TEST(ParityHunyuanDit, TextPass) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-transformer")) {
        const GoldenCase golden(folder);
        const HunyuanTextSide side = text_side_of(golden);
        const HunyuanPrompt prompt = hunyuan_prompt_of(golden);
        golden.expect("text.refined", side.refined(prompt.text));
        golden.expect("text.vision", side.mapped_vision(prompt.vision));
        golden.expect("text.sequence", side.sequence(prompt));
        expect_text(golden, side.encode(prompt, [&](int layer, const at::Tensor& stream) {
            golden.expect(fmt::format("text.block.{}", layer), stream);
        }));
        RecordProperty("worst", fmt::format("{}", golden.worst()));
        EXPECT_EQ(golden.compared(), 3 + 3 * golden.config().at("depth").get<int>() - 1);
    }
}

TEST(ParityHunyuanDit, TextPassWithQuotedText) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-glyph")) {
        const GoldenCase golden(folder);
        if (!golden.has_output("glyph.mapped")) continue; // another case's name begins alike
        const HunyuanTextSide side = text_side_of(golden);
        const HunyuanPrompt prompt = hunyuan_prompt_of(golden);
        golden.expect("glyph.mapped", side.mapped_glyph(prompt.glyph));
        golden.expect("text.sequence", side.sequence(prompt));
        expect_text(golden, side.encode(prompt));
        RecordProperty("worst", fmt::format("{}", golden.worst()));
    }
}

struct SmallNet {
    explicit SmallNet(const GoldenCase& golden)
        : c(golden.config()),
          rows(c.at("hw")[0]),
          cols(c.at("hw")[1]),
          dit(dit_of(golden)),
          cameras(cameras_of(golden, "in.w2c", "in.K", "in.label")),
          text(text_side_of(golden).encode(hunyuan_prompt_of(golden))),
          cache(hunyuan_cache(dit->config(), rows * cols, text)),
          picture(frames_first(golden.tensor("cond0"))) {}

    quant::ReadView view(int history, const std::vector<int>& latents) const {
        std::vector<LatentCamera> of_pass;
        for (int i = 0; i < history; ++i) of_pass.push_back(cameras[static_cast<std::size_t>(i)]);
        for (const int latent : latents) of_pass.push_back(cameras[static_cast<std::size_t>(latent)]);
        return view_of(*dit, rows, cols, history, static_cast<int>(latents.size()), of_pass);
    }
    WorldPlayPass pass(const at::Tensor& latents, const std::vector<int>& indices, double timestep) const {
        WorldPlayPass pass;
        pass.latents = latents;
        pass.timesteps.assign(indices.size(), timestep);
        for (const int latent : indices) pass.labels.push_back(cameras[static_cast<std::size_t>(latent)].label);
        if (indices.front() == 0) pass.picture = picture;
        return pass;
    }

    nlohmann::json c;
    int rows, cols;
    std::shared_ptr<HunyuanDit> dit;
    std::vector<LatentCamera> cameras;
    HunyuanTextCache text;
    std::unique_ptr<quant::KvCache> cache;
    at::Tensor picture;
};

at::Tensor chosen(const at::Tensor& latents, const std::vector<int>& indices) {
    std::vector<at::Tensor> rows;
    for (const int index : indices) rows.push_back(latents[index]);
    return at::stack(rows);
}

TEST(ParityHunyuanDit, PassesOfTheNetwork) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-transformer")) {
        const GoldenCase golden(folder);
        SmallNet net(golden);
        const auto& w = net.dit->weights();
        const int last = net.dit->config().layers - 1;
        const at::Tensor latents = frames_first(golden.tensor("latents"));
        const auto ctx = net.c.at("ctx").get<std::vector<int>>(), cur = net.c.at("cur").get<std::vector<int>>();
        const SamplerConfig sampler = WorldPlaySchedule::worldplay_8b().sampler;

        const std::vector<int> first = {0, 1, 2, 3};
        net.cache->begin_chunk(net.view(0, first));
        golden.expect("first.velocity",
                      channels_first(
                          net.dit->forward(net.pass(chosen(latents, first), first, sampler.timesteps[0]), *net.cache)));
        net.cache->clear();

        WorldPlayPass pass = net.pass(chosen(latents, ctx), ctx, net.c.at("context_timestep"));
        pass.context = true;
        golden.expect("context.vec", w.vectors(pass.timesteps, pass.labels));
        golden.expect("context.img_in", w.embed_tokens(pass.latents, pass.picture));
        const quant::ReadView view = net.view(0, ctx);
        net.cache->begin_chunk(view);
        net.dit->forward(pass, *net.cache);
        net.cache->commit();
        for (const int layer : {0, last}) {
            const int count = static_cast<int>(ctx.size());
            const at::Tensor k = net.cache->read_keys(layer, 0, count), v = net.cache->read_values(layer, 0, count);
            golden.expect(fmt::format("context.k.{}", layer), at::cat({heads_first(rotated(k, view).to(at::kFloat)),
                                                                       heads_first(turned(k, view.new_inverse))}));
            golden.expect(fmt::format("context.v.{}", layer),
                          at::cat({heads_first(v), heads_first(turned(v, view.new_inverse))}));
        }

        net.cache->begin_chunk(net.view(static_cast<int>(ctx.size()), cur));
        at::Tensor x = chosen(latents, cur);
        const at::Tensor x_wanted = golden.output("x"), flow_wanted = golden.output("velocity");
        const auto expect_part = [&](const char* name, const at::Tensor& all, std::int64_t index,
                                     const at::Tensor& got) {
            const at::Tensor wanted = all[index].transpose(0, 1);
            EXPECT_LE((got - wanted).abs().max().item<double>(), golden.tolerance() * wanted.abs().max().item<double>())
                << name << " " << index;
        };
        expect_part("x", x_wanted, 0, x);
        golden.expect("denoise.vec", w.vectors(std::vector<double>(4, sampler.timesteps[0]),
                                               net.pass(x, cur, sampler.timesteps[0]).labels));
        for (std::size_t step = 0; step < sampler.timesteps.size(); ++step) {
            const at::Tensor flow = net.dit->forward(net.pass(x, cur, sampler.timesteps[step]), *net.cache);
            expect_part("velocity", flow_wanted, static_cast<std::int64_t>(step), flow);
            x = euler_step(sampler, step, x, flow, 0);
            expect_part("x", x_wanted, static_cast<std::int64_t>(step) + 1, x);
        }

        // Block by block, the first step again.
        pass = net.pass(chosen(latents, cur), cur, sampler.timesteps[0]);
        const auto factors = w.modulation_of(pass);
        at::Tensor stream = w.embed_tokens(pass.latents, pass.picture);
        const auto norm_before = [&](int layer) -> HunyuanDit::Weights::NextNorm {
            if (layer > last) return {factors.head[0], factors.head[1], at::kFloat};
            return {factors.blocks[layer][0], factors.blocks[layer][1], at::kFloat};
        };
        nn::Activation normed = nn::add_gated_norm(stream, at::Tensor(), {}, norm_before(0).shift, norm_before(0).scale,
                                                   w.config.eps, at::kFloat);
        const at::Tensor branches = w.attend(0, normed, {*net.cache});
        golden.expect("denoise.attn.0", branches.narrow(1, 0, w.config.dim));
        golden.expect("denoise.attn_prope.0", branches.narrow(1, w.config.dim, w.config.dim));
        for (int layer = 0; layer <= last; ++layer) {
            normed = w.run_block(layer, stream, normed, factors.blocks[layer], norm_before(layer + 1), {*net.cache});
            golden.expect(fmt::format("denoise.block.{}", layer), stream);
        }
        RecordProperty("worst", fmt::format("{}", golden.worst()));
    }
}

TEST(ParityHunyuanDit, TenChunksFromAPicture) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-rollout")) {
        const GoldenCase golden(folder);
        const HunyuanWalk walk(golden);
        const double tolerance = golden.tolerance_of("latents");
        const at::Tensor wanted = frames_first(golden.output("latents"));
        const at::Tensor selected = golden.output("selected").to(at::kLong);
        WorldPlayRollout rollout = walk.open();
        rollout.start(walk.cameras.front(), walk.picture);
        double worst = 0;
        std::vector<at::Tensor> all;
        while (rollout.next_latent() < wanted.size(0)) {
            const std::int64_t first = rollout.next_latent();
            all.push_back(rollout.generate(walk.next(rollout)));
            const at::Tensor part = wanted.narrow(0, first, kLatentsPerChunk);
            const double difference = ((all.back() - part).abs().max() / part.abs().max()).item<double>();
            EXPECT_LE(difference, tolerance) << "chunk at latent " << first;
            worst = std::max(worst, difference);
            std::vector<std::int64_t> context = rollout.context().latents;
            context.resize(static_cast<std::size_t>(selected.size(1)), -1);
            EXPECT_TRUE(at::equal(at::tensor(context, at::kLong), selected[first / kLatentsPerChunk])) << first;
        }
        RecordProperty("worst", fmt::format("{}", worst));
        EXPECT_LE(((at::cat(all) - wanted).abs().max() / wanted.abs().max()).item<double>(), tolerance);
    }
}

TEST(ParityHunyuanDit, AWalkGoesOnFromItsLatentsCamerasAndPicture) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-rollout")) {
        const GoldenCase golden(folder);
        const HunyuanWalk walk(golden);
        WorldPlayRollout rollout = walk.open();
        rollout.start(walk.cameras.front(), walk.picture);
        for (int chunk = 0; chunk < 6; ++chunk) rollout.generate(walk.next(rollout));
        const WorldPlayHistory saved = rollout.history();
        std::vector<at::Tensor> went_on;
        for (int chunk = 0; chunk < 2; ++chunk) went_on.push_back(rollout.generate(walk.next(rollout)));

        WorldPlayRollout other = walk.open();
        for (WorldPlayRollout* again : {&other, &rollout}) { // another program, and back in time
            again->restore(saved);
            for (const at::Tensor& latents : went_on)
                EXPECT_TRUE(at::equal(again->generate(walk.next(*again)), latents));
        }
        WorldPlayHistory without = saved;
        without.picture.reset();
        other.restore(without);
        EXPECT_FALSE(at::equal(other.generate(walk.next(other)), went_on[0])) << "latent 0 keeps its picture channels";
    }
}

// What half precision costs a pass: the reference itself runs in it.
TEST(ParityHunyuanDit, Bfloat16StaysNear) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-rollout")) {
        const GoldenCase golden(folder);
        const HunyuanWalk walk(golden, at::kCPU, at::kBFloat16);
        const at::Tensor wanted = frames_first(golden.output("latents"));
        WorldPlayRollout rollout = walk.open();
        rollout.start(walk.cameras.front(), walk.picture);
        double worst = 0;
        for (int chunk = 0; chunk < 3; ++chunk) {
            const std::int64_t first = rollout.next_latent();
            const at::Tensor part = wanted.narrow(0, first, kLatentsPerChunk);
            const at::Tensor got = rollout.generate(walk.next(rollout)).to(at::kFloat);
            worst = std::max(worst, ((got - part).abs().max() / part.abs().max()).item<double>());
        }
        RecordProperty("worst", fmt::format("{}", worst));
        EXPECT_LT(worst, 0.05);
    }
}

} // namespace
} // namespace wander::testing
