// HY-WorldPlay WAN-5B in small against the public code: the network's passes, and a roll-out of five chunks.

#include "tests/support/wan5b_case.hpp"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace wander::testing {
namespace {

TEST(ParityWan5B, PassesOfTheNetwork) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan5b-dit")) {
        const GoldenCase golden(folder);
        const auto& c = golden.config();
        if (!c.contains("first_labels")) continue;
        const auto dit = dit_of(golden);
        const auto cache = cache_of(dit->config(), c.at("tokens_per_latent"));
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
