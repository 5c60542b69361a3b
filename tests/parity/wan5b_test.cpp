// HY-WorldPlay WAN-5B in small against the public code: the network's passes, and a roll-out of five chunks.

#include "generator/rollout/worldplay_rollout.hpp"
#include "generator/wan/wan5b_names.hpp"
#include "tests/support/worldplay_case.hpp"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace wander::testing {
namespace {

std::shared_ptr<WanDit> dit_of(const GoldenCase& golden) {
    const auto& c = golden.config();
    DitConfig config = wan5b_config();
    config.heads = c.at("heads");
    config.head_dim = c.at("head_dim");
    config.dim = config.heads * config.head_dim;
    config.layers = c.at("layers");
    config.ffn = c.at("ffn");
    config.channels = c.at("channels");
    config.text_dim = c.at("text_dim");
    config.text_len = c.at("text_len");
    config.freq_dim = c.at("freq_dim");
    config.eps = c.at("eps");
    config.rope_theta = c.at("rope_theta");
    config.rope_time_channels = c.at("rope_split")[0];
    config.rope_row_channels = c.at("rope_split")[1];
    config.rope_col_channels = c.at("rope_split")[2];
    auto dit =
        std::make_shared<WanDit>(unwrap(WanDit::load(config, wan5b_source(golden.source()), at::kCPU, at::kFloat)));
    dit->set_text(golden.tensor("text")[0]);
    return dit;
}

std::unique_ptr<quant::KvCache> cache_of(const WanDit& dit, int tokens) {
    quant::CacheShape shape;
    shape.layers = dit.config().layers;
    shape.heads = dit.config().heads;
    shape.head_dim = dit.config().head_dim;
    shape.tokens_per_latent = tokens;
    shape.page_latents = kLatentsPerChunk;
    return unwrap(quant::KvCache::create(shape, {}, at::kCPU, at::kFloat));
}

std::vector<LatentCamera> cameras_of(const GoldenCase& golden) {
    return cameras_of(golden, "in.viewmats", "in.Ks", "in.labels");
}

TEST(ParityWan5B, PassesOfTheNetwork) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan5b-dit")) {
        const GoldenCase golden(folder);
        const auto& c = golden.config();
        if (!c.contains("first_labels")) continue;
        const auto dit = dit_of(golden);
        const auto cache = cache_of(*dit, c.at("tokens_per_latent"));
        const auto cameras = cameras_of(golden);
        const auto net = worldplay_net(dit);
        const auto view_after = [&](int history, int count) {
            return view_of(*net, c.at("lat_h"), c.at("lat_w"), history, count, cameras);
        };
        const int context = c.at("context_latents");
        const double context_timestep = c.at("t_context");

        DitPass pass;
        pass.latents = frames_first(golden.tensor("x_first"));
        pass.timesteps = {context_timestep, 1000, 1000, 1000};
        pass.labels = c.at("first_labels").get<std::vector<int>>();
        cache->begin_chunk(view_after(0, 4));
        golden.expect("first.flow", channels_first(dit->forward(pass, *cache)));
        cache->clear();

        pass.latents = frames_first(golden.tensor("x_context"));
        pass.timesteps.assign(static_cast<std::size_t>(context), context_timestep);
        pass.labels = c.at("ctx_labels").get<std::vector<int>>();
        pass.context = true;
        const quant::ReadView view = view_after(0, context);
        cache->begin_chunk(view);
        dit->forward(pass, *cache);
        cache->commit();
        // The reference keeps keys and values as they are read in both branches, side by side.
        for (const int layer : {0, dit->config().layers - 1}) {
            const at::Tensor k = cache->read_keys(layer, 0, context), v = cache->read_values(layer, 0, context);
            const auto heads_first = [](const at::Tensor& plain, const at::Tensor& prope) {
                return at::cat({plain, prope}, 2).transpose(0, 1).unsqueeze(0).contiguous();
            };
            golden.expect(fmt::format("context.k.{}", layer),
                          heads_first(rotated(k, view).to(at::kFloat), turned(k, view.new_inverse)));
            golden.expect(fmt::format("context.v.{}", layer), heads_first(v, turned(v, view.new_inverse)));
        }

        pass.latents = frames_first(golden.tensor("x_now"));
        pass.timesteps.assign(4, c.at("t_now").get<double>());
        pass.labels = c.at("now_labels").get<std::vector<int>>();
        pass.context = false;
        cache->begin_chunk(view_after(context, 4));
        golden.expect("now.flow", channels_first(dit->forward(pass, *cache)));
    }
}

struct SmallWalk {
    explicit SmallWalk(const GoldenCase& golden) : config(golden.config()), cameras(cameras_of(golden)) {
        const auto vector = [](const nlohmann::json& values) {
            return at::tensor(values.get<std::vector<double>>(), at::kDouble).view({-1, 1, 1});
        };
        picture = ((frames_first(golden.tensor("image_sample"))[0] - vector(config.at("latents_mean"))) /
                   vector(config.at("latents_std")))
                      .to(at::kFloat);
        noise = frames_first(golden.tensor("noise"));
        dit = dit_of(golden);
        ball = ball_of(golden, "points.r", "points.phi", "points.u");
    }

    WorldPlayRollout open(std::function<void(std::size_t, const at::Tensor&, const at::Tensor&)> on_step = {},
                          bool fast_context = false) const {
        WorldPlayRollout::Config options;
        options.schedule = WorldPlaySchedule::wan_5b();
        options.schedule.context = {config.at("memory"), config.at("temporal"), 0, kLatentsPerChunk};
        options.rows = config.at("lat_h");
        options.cols = config.at("lat_w");
        options.on_step = std::move(on_step);
        options.fast_context = fast_context;
        return WorldPlayRollout(
            dit, cache_of(*dit, config.at("tokens_per_latent")), options,
            [values = noise](std::int64_t latent, int, const std::vector<std::int64_t>&) {
                return values[latent].clone();
            },
            ViewOverlap(ball));
    }

    std::span<const LatentCamera> next(const WorldPlayRollout& rollout) const {
        const std::int64_t first = std::max<std::int64_t>(rollout.next_latent(), 1);
        return std::span(cameras).subspan(static_cast<std::size_t>(first),
                                          static_cast<std::size_t>(rollout.steered_latents()));
    }

    nlohmann::json config;
    std::vector<LatentCamera> cameras;
    at::Tensor picture, noise;
    std::shared_ptr<WanDit> dit;
    std::vector<BallPoint> ball;
};

TEST(ParityWan5B, FiveChunksFromAPicture) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan5b-rollout")) {
        const GoldenCase golden(folder);
        const SmallWalk walk(golden);
        int flows = 0;
        std::int64_t first = 0;
        WorldPlayRollout rollout = walk.open([&](std::size_t step, const at::Tensor&, const at::Tensor& flow) {
            const std::string name = fmt::format("flow.{}.{}", first, step);
            if (!golden.has_output(name)) return;
            golden.expect(name, channels_first(flow));
            ++flows;
        });
        rollout.start(walk.cameras.front(), walk.picture);
        while (rollout.next_latent() < std::ssize(walk.cameras)) {
            first = rollout.next_latent();
            golden.expect(fmt::format("x.{}", first), channels_first(rollout.generate(walk.next(rollout))));
            if (first == 0) continue;
            const at::Tensor selected = golden.output(fmt::format("selected.{}", first)).to(at::kLong);
            EXPECT_TRUE(at::equal(at::tensor(rollout.context().latents, at::kLong), selected)) << first;
        }
        EXPECT_EQ(flows, 8);

        WorldPlayRollout without = walk.open();
        without.start(walk.cameras.front(), {});
        golden.expect("noimage.x.0", channels_first(without.generate(walk.next(without))));
    }
}

TEST(ParityWan5B, AWalkGoesOnFromItsLatentsAndCameras) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan5b-rollout")) {
        const GoldenCase golden(folder);
        const SmallWalk walk(golden);
        WorldPlayRollout rollout = walk.open();
        rollout.start(walk.cameras.front(), walk.picture);
        for (int chunk = 0; chunk < 3; ++chunk) rollout.generate(walk.next(rollout));
        const WorldPlayHistory saved = rollout.history();
        std::vector<at::Tensor> went_on;
        while (rollout.next_latent() < std::ssize(walk.cameras))
            went_on.push_back(rollout.generate(walk.next(rollout)));
        ASSERT_EQ(went_on.size(), 2u);

        WorldPlayRollout other = walk.open();
        for (WorldPlayRollout* again : {&other, &rollout}) { // another program, and back in time
            again->restore(saved);
            for (const at::Tensor& latents : went_on)
                EXPECT_TRUE(at::equal(again->generate(walk.next(*again)), latents));
        }
    }
}

TEST(ParityWan5B, AContextMadeEarlyIsTheSameOrMadeAgain) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan5b-rollout")) {
        const GoldenCase golden(folder);
        const SmallWalk walk(golden);
        WorldPlayRollout rollout = walk.open();
        rollout.start(walk.cameras.front(), walk.picture);
        // Expected is a camera far away that has seen nothing, which chooses the earliest clip: right while there is no
        // choice, later wrong where the real cameras choose another clip.
        LatentCamera lost = walk.cameras.front();
        lost.camera_to_world[3] += 1000;
        lost.world_to_camera = rigid_inverse(lost.camera_to_world);
        int wrong = 0;
        while (rollout.next_latent() < std::ssize(walk.cameras)) {
            const std::int64_t first = rollout.next_latent();
            const auto real = walk.next(rollout);
            rollout.prepare(std::vector<LatentCamera>(real.size(), lost));
            const auto expected = rollout.context().latents;
            golden.expect(fmt::format("x.{}", first), channels_first(rollout.generate(real)));
            wrong += rollout.context().latents != expected ? 1 : 0;
            EXPECT_EQ(rollout.contexts_made_again(), wrong);
        }
        EXPECT_GT(wrong, 0) << "the case must have a choice that differs";
    }
}

// Fast context is the published one as long as there is one chunk of it; then it is another, still near on this walk.
TEST(ParityWan5B, FastContextBeginsAsThePublishedOne) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan5b-rollout")) {
        const GoldenCase golden(folder);
        const SmallWalk walk(golden);
        WorldPlayRollout rollout = walk.open({}, true);
        rollout.start(walk.cameras.front(), walk.picture);
        for (const char* name : {"x.0", "x.4"})
            golden.expect(name, channels_first(rollout.generate(walk.next(rollout))));
        at::Tensor x;
        while (rollout.next_latent() < std::ssize(walk.cameras)) x = rollout.generate(walk.next(rollout));
        const at::Tensor wanted = frames_first(golden.output(fmt::format("x.{}", rollout.next_latent() - 4)));
        const double difference = ((x - wanted).abs().max() / wanted.abs().max()).item<double>();
        EXPECT_GT(difference, golden.tolerance());
        EXPECT_LT(difference, 0.5);
        RecordProperty("difference", fmt::format("{}", difference));
    }
}

TEST(Wan5BNames, CoverEveryTensorOfThePublishedModel) {
    const DitConfig config = wan5b_config();
    std::set<std::string> published;
    std::int64_t values = 0;
    for (const auto& [name, shape] : config.tensor_shapes()) {
        const auto theirs = wan5b_name(name);
        ASSERT_TRUE(theirs) << name;
        EXPECT_TRUE(published.insert(*theirs).second) << *theirs;
        std::int64_t n = 1;
        for (const std::int64_t s : shape) n *= s;
        values += n;
    }
    // The biases of the second branch's projections are folded into those of the first.
    EXPECT_EQ(published.size() + 30, 889u);
    EXPECT_EQ(values + 30 * 3072, 5'293'225'152);
    EXPECT_FALSE(wan5b_name("blocks.0.self_attn.extra.weight"));
    EXPECT_FALSE(wan5b_name("patch_embedding.weights"));
}

} // namespace
} // namespace wander::testing
