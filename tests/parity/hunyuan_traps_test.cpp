// Mistakes that are easily made with HY-WorldPlay's 8B transformer (hy-worldplay.md 13). Each is made here on purpose,
// one at a time, and must move the golden's denoise pass far beyond its tolerance: so a test above sees it.

#include "generator/rollout/worldplay_schedule.hpp"
#include "tests/support/hunyuan_case.hpp"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>

namespace wander::testing {
namespace {

using Source = HunyuanDit::TensorSource;

// Everything that a denoise pass over text and context depends on; the defaults are right.
struct Recipe {
    Source source;
    HunyuanPrompt prompt;
    double context_timestep = 14;
    double timestep = 1000;
    int label_shift = 0;          // labels of the latent so much earlier
    bool positions_go_on = false; // RoPE numbers of the chunk as if it were the walk's first latents
    bool picture_in_context = true;
    bool picture_in_chunk = false;
    bool move_world = false;
    bool text = true;
};

class Passes {
public:
    explicit Passes(const GoldenCase& golden)
        : golden_(golden), c_(golden.config()), cameras_(cameras_of(golden, "in.w2c", "in.K", "in.label")) {}

    Recipe right() const { return {golden_.source(), hunyuan_prompt_of(golden_)}; }

    // The velocity of the first step.
    at::Tensor velocity(const Recipe& recipe) const {
        const HunyuanConfig config = hunyuan_config_of(golden_);
        const auto side = unwrap(HunyuanTextSide::load(config, recipe.source, at::kCPU, at::kFloat));
        const auto dit = unwrap(HunyuanDit::load(config, recipe.source, at::kCPU, at::kFloat));
        const int rows = c_.at("hw")[0], cols = c_.at("hw")[1];
        const auto cache = hunyuan_cache(config, rows * cols, side.encode(recipe.prompt));
        if (!recipe.text) cache->set_text({});
        std::vector<LatentCamera> cameras = cameras_;
        if (recipe.move_world) {
            const Matrix4 motion = moved({1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1},
                                         {.forward = 0.6, .right = -0.4, .yaw = 0.7, .pitch = 0.2});
            for (LatentCamera& camera : cameras) camera.world_to_camera = multiply(camera.world_to_camera, motion);
        }
        const auto ctx = c_.at("ctx").get<std::vector<int>>(), cur = c_.at("cur").get<std::vector<int>>();
        const at::Tensor latents = frames_first(golden_.tensor("latents"));
        const at::Tensor picture = frames_first(golden_.tensor("cond0"));
        const auto pass_of = [&](const std::vector<int>& indices, double timestep) {
            WorldPlayPass pass;
            std::vector<at::Tensor> chosen;
            for (const int i : indices) {
                chosen.push_back(latents[i]);
                pass.labels.push_back(cameras_[static_cast<std::size_t>(std::max(i - recipe.label_shift, 0))].label);
            }
            pass.latents = at::stack(chosen);
            pass.timesteps.assign(indices.size(), timestep);
            return pass;
        };
        const auto in_pass = [&](std::vector<int> indices) {
            std::vector<LatentCamera> list;
            for (const int i : indices) list.push_back(cameras[static_cast<std::size_t>(i)]);
            return list;
        };
        const int count = static_cast<int>(ctx.size());
        WorldPlayPass pass = pass_of(ctx, recipe.context_timestep);
        pass.context = true;
        if (recipe.picture_in_context) pass.picture = picture;
        cache->begin_chunk(view_of(dit, rows, cols, 0, count, in_pass(ctx)));
        dit.forward(pass, *cache);
        cache->commit();
        std::vector<int> both = ctx;
        both.insert(both.end(), cur.begin(), cur.end());
        quant::ReadView view = view_of(dit, rows, cols, count, static_cast<int>(cur.size()), in_pass(both));
        if (recipe.positions_go_on)
            for (float& position : view.new_positions) position -= static_cast<float>(count);
        cache->begin_chunk(view);
        pass = pass_of(cur, recipe.timestep);
        if (recipe.picture_in_chunk) pass.picture = picture;
        return dit.forward(pass, *cache);
    }

    // Against the golden, largest difference over largest value.
    double error(const Recipe& recipe) const {
        const at::Tensor wanted = golden_.output("velocity")[0].transpose(0, 1);
        return ((velocity(recipe) - wanted).abs().max() / wanted.abs().max()).item<double>();
    }

    double tolerance() const { return golden_.tolerance(); }
    int label_of(int latent) const { return cameras_[static_cast<std::size_t>(latent)].label; }

private:
    const GoldenCase& golden_;
    nlohmann::json c_;
    std::vector<LatentCamera> cameras_;
};

// Tensors whose name ends so, with their two halves exchanged.
Source halves_swapped(Source source, std::string part) {
    return [source = std::move(source), part = std::move(part)](
               const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        auto tensor = source(name, shape);
        if (!tensor || name.find(part) == std::string::npos) return tensor;
        const std::vector<at::Tensor> halves = tensor->chunk(2, 0);
        return at::cat({halves[1], halves[0]});
    };
}

// The tensors of two layers exchanged.
Source exchanged(Source source, std::string one, std::string other) {
    return [source = std::move(source), one = std::move(one), other = std::move(other)](
               const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        for (const auto& [from, to] : {std::pair(one, other), std::pair(other, one)}) {
            const std::size_t at = name.find(from);
            if (at != std::string::npos && name.compare(at + from.size(), 1, ".") == 0)
                return source(name.substr(0, at) + to + name.substr(at + from.size()), shape);
        }
        return source(name, shape);
    };
}

class HunyuanTraps : public ::testing::Test {
protected:
    HunyuanTraps() : golden_(golden_folders("hy-transformer").at(0)), passes_(golden_) {}

    // A hundred tolerances away is no rounding.
    void expect_caught(const char* what, const Recipe& recipe) const {
        EXPECT_GT(passes_.error(recipe), 100 * passes_.tolerance()) << what;
    }

    c10::InferenceMode inference_;
    GoldenCase golden_;
    Passes passes_;
};

TEST_F(HunyuanTraps, RightIsRight) { EXPECT_LE(passes_.error(passes_.right()), passes_.tolerance()); }

// 1: shift before scale in the last layer, the attention's gate before the feed forward's in the refiner.
TEST_F(HunyuanTraps, OrderOfHalves) {
    Recipe recipe = passes_.right();
    recipe.source = halves_swapped(golden_.source(), "final_layer.adaLN_modulation");
    expect_caught("scale before shift", recipe);
    recipe.source = halves_swapped(golden_.source(), "refiner.blocks.0.adaLN_modulation");
    expect_caught("gates", recipe);
}

// 2: the branches have projections of their own.
TEST_F(HunyuanTraps, ProjectionsOfTheBranches) {
    Recipe recipe = passes_.right();
    recipe.source = exchanged(golden_.source(), "img_attn_proj", "img_attn_prope_proj");
    expect_caught("projections", recipe);
    recipe.source = exchanged(golden_.source(), "img_attn_q", "img_attn_k");
    expect_caught("queries and keys", recipe);
}

// 3: text is not turned with the cameras, so the absolute pose matters; among pictures alone it does not.
TEST_F(HunyuanTraps, TheWorldIsNotRecentred) {
    Recipe recipe = passes_.right();
    recipe.move_world = true;
    expect_caught("another origin", recipe);
    recipe.text = false;
    Recipe still = passes_.right();
    still.text = false;
    const at::Tensor a = passes_.velocity(recipe), b = passes_.velocity(still);
    EXPECT_LT(((a - b).abs().max() / b.abs().max()).item<double>(), 2e-5);
    expect_caught("no text at all", still);
}

// 4: the context stands at timestep 14 whatever the chunk's is.
TEST_F(HunyuanTraps, TimestepOfTheContext) {
    for (const double timestep : {0.0, 13.0, 15.0, 1000.0}) {
        Recipe recipe = passes_.right();
        recipe.context_timestep = timestep;
        expect_caught("context timestep", recipe);
    }
}

// 2.6: timesteps are not rounded to bfloat16.
TEST_F(HunyuanTraps, TimestepsKeepTheirFraction) {
    Recipe exact = passes_.right(), rounded = passes_.right();
    exact.timestep = 937.5;
    rounded.timestep = 936;
    const at::Tensor a = passes_.velocity(exact), b = passes_.velocity(rounded);
    EXPECT_GT(((a - b).abs().max() / a.abs().max()).item<double>(), 100 * passes_.tolerance());
}

// 5: the label of a latent describes the move that led to it.
TEST_F(HunyuanTraps, LabelsBelongToTheLatentMovedTo) {
    Recipe recipe = passes_.right();
    recipe.label_shift = 1;
    expect_caught("labels of the latent before", recipe);
}

// 6: context 0..n-1, then the chunk.
TEST_F(HunyuanTraps, PositionsBeginAnewAtTheContext) {
    Recipe recipe = passes_.right();
    recipe.positions_go_on = true;
    expect_caught("the chunk where the context is", recipe);
}

// The picture's channels belong to latent 0 alone, which keeps them in the context.
TEST_F(HunyuanTraps, PictureChannels) {
    Recipe recipe = passes_.right();
    recipe.picture_in_context = false;
    expect_caught("latent 0 without its picture", recipe);
    recipe = passes_.right();
    recipe.picture_in_chunk = true;
    expect_caught("a later latent with it", recipe);
}

// Padding rows of the encoders are dropped, the picture's tokens are not.
TEST_F(HunyuanTraps, TokensOfTheText) {
    Recipe recipe = passes_.right();
    recipe.prompt.text = golden_.tensor("text_states")[0];
    expect_caught("padding", recipe);
    recipe = passes_.right();
    recipe.prompt.vision.reset();
    expect_caught("no picture tokens", recipe);
    recipe = passes_.right();
    recipe.source = halves_swapped(golden_.source(), "txt_mod.linear");
    expect_caught("text modulation", recipe);
}

// What the checkpoint lacks is listed.
TEST_F(HunyuanTraps, LoadingIsStrict) {
    const Source without = [source = golden_.source()](const std::string& name,
                                                       const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        if (name.ends_with("1.img_attn_prope_proj.bias") || name == "cond_type_embedding.weight")
            return Error{ErrorCode::bad_input, "no tensor " + name};
        return source(name, shape);
    };
    const HunyuanConfig config = hunyuan_config_of(golden_);
    const auto dit = HunyuanDit::load(config, without, at::kCPU, at::kFloat);
    ASSERT_FALSE(dit);
    EXPECT_NE(dit.error().message.find("img_attn_prope_proj.bias"), std::string::npos) << dit.error().message;
    const auto side = HunyuanTextSide::load(config, without, at::kCPU, at::kFloat);
    ASSERT_FALSE(side);
    EXPECT_NE(side.error().message.find("cond_type_embedding"), std::string::npos) << side.error().message;
    HunyuanConfig odd = config;
    odd.rope_time_channels += 2;
    EXPECT_FALSE(HunyuanDit::load(odd, golden_.source(), at::kCPU, at::kFloat));
    EXPECT_FALSE(HunyuanDit::load(config, golden_.source(), at::kCPU, at::kBFloat16, nn::WeightType::e4m3));
}

} // namespace

TEST(HunyuanConfig, PublishedTensors) {
    const HunyuanConfig config;
    EXPECT_EQ(config.problem(), "");
    const auto count = [](const HunyuanConfig::Shapes& shapes) {
        std::int64_t values = 0;
        for (const auto& [name, shape] : shapes) {
            std::int64_t n = 1;
            for (const std::int64_t s : shape) n *= s;
            values += n;
        }
        return values;
    };
    EXPECT_EQ(config.tensor_shapes().size(), 1905U);
    EXPECT_EQ(count(config.tensor_shapes()), 8'557'933'856);
    EXPECT_EQ(config.image_shapes().size() + config.text_shapes().size(), 1905U + 4) << "time_in is in both";
    EXPECT_EQ(config.image_shapes().at("img_in.proj.weight"), (std::vector<std::int64_t>{2048, 65, 1, 1, 1}));
}

} // namespace wander::testing
