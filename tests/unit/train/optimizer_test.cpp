#include "generator/train/optimizer.hpp"

#include "generator/train/ema.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>

namespace wander::train {
namespace {

at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
    return at::randn(shape, at::detail::createCPUGenerator(seed), at::TensorOptions(at::kFloat));
}

at::Tensor leaf(at::IntArrayRef shape, std::uint64_t seed) { return normal(shape, seed).set_requires_grad(true); }

// The update written out in double, one matrix at a time.
at::Tensor slow_orthogonalised(const at::Tensor& x) {
    at::Tensor y = x.to(at::kDouble);
    y = y / (y.norm().item<double>() + 1e-7);
    for (int i = 0; i < 5; ++i) {
        const at::Tensor a = y.mm(y.t());
        y = 3.4445 * y - 4.7750 * a.mm(y) + 2.0315 * a.mm(a).mm(y);
    }
    return y;
}

TEST(Optimizer, OrthogonalisedUpdateIsTheSlowOneWithinBfloat16) {
    for (const auto& [rows, columns] : {std::pair{24, 64}, std::pair{64, 24}, std::pair{32, 32}}) {
        const at::Tensor x = normal({3, rows, columns}, 5);
        const at::Tensor fast = orthogonalised(x);
        for (int i = 0; i < 3; ++i) {
            const at::Tensor slow = slow_orthogonalised(x[i]);
            const double error = (fast[i].to(at::kDouble) - slow).norm().item<double>() / slow.norm().item<double>();
            EXPECT_LT(error, 0.1) << rows << "x" << columns;
            const auto singular = std::get<1>(at::linalg_svd(fast[i]));
            EXPECT_LT(singular.max().item<float>(), 1.35F);
        }
    }
}

TEST(Optimizer, MatrixStepIsMomentumNesterovDecayAndAspect) {
    at::Tensor tall = leaf({48, 12}, 1);
    const at::Tensor before = tall.detach().clone();
    OptimizerConfig config;
    Optimizer optimizer({{"blocks.0.ffn.0.weight", tall}}, dit_weight_kind, config);
    at::Tensor momentum = at::zeros({48, 12});
    at::Tensor expected = before.clone();
    for (int i = 0; i < 3; ++i) {
        const at::Tensor gradient = normal({48, 12}, 10 + static_cast<std::uint64_t>(i));
        tall.mutable_grad() = gradient.clone();
        optimizer.step(0.5);
        EXPECT_FALSE(tall.grad().defined());
        momentum = momentum * 0.95 + gradient * 0.05;
        const at::Tensor update = orthogonalised((gradient * 0.05 + momentum * 0.95).unsqueeze(0))[0] * 2.0;
        expected = expected * (1 - 0.006 * 0.02) - 0.006 * update;
    }
    EXPECT_LT((tall.detach() - expected).abs().max().item<float>(), 2e-4F);
    EXPECT_GT((tall.detach() - before).abs().max().item<float>(), 1e-3F);
}

TEST(Optimizer, OthersAreAdamWAndMapsHaveTheirOwnRate) {
    at::Tensor bias = leaf({7}, 2);
    at::Tensor map = leaf({1, 2, 3, 3}, 3);
    const at::Tensor bias_before = bias.detach().clone();
    const at::Tensor map_before = map.detach().clone();
    Optimizer optimizer({{"blocks.0.ffn.0.bias", bias}, {"map_embedding.fine", map}}, dit_weight_kind);
    at::Tensor mean = at::zeros({7});
    at::Tensor square = at::zeros({7});
    at::Tensor expected = bias_before.clone();
    for (int i = 1; i <= 3; ++i) {
        const at::Tensor gradient = normal({7}, 20 + static_cast<std::uint64_t>(i));
        bias.mutable_grad() = gradient.clone();
        map.mutable_grad() = at::ones_like(map_before);
        optimizer.step(1);
        mean = 0.9 * mean + 0.1 * gradient;
        square = 0.98 * square + 0.02 * gradient * gradient;
        const at::Tensor update = (mean / (1 - std::pow(0.9, i))) / ((square / (1 - std::pow(0.98, i))).sqrt() + 1e-10);
        expected = expected * (1 - 1e-3 * 0.01) - 1e-3 * update;
    }
    EXPECT_LT((bias.detach() - expected).abs().max().item<float>(), 1e-6F);
    // A constant gradient moves every cell by the rate each time.
    EXPECT_LT((map.detach() - (map_before - 0.03)).abs().max().item<float>(), 1e-5F);
}

TEST(Optimizer, GoesOnFromItsStateWithTheSameBytes) {
    const auto run = [](bool interrupted) {
        at::Tensor a = leaf({16, 8}, 1);
        at::Tensor b = leaf({8}, 2);
        const NamedTensors weights{{"blocks.0.self_attn.q.weight", a}, {"blocks.0.self_attn.q.bias", b}};
        auto optimizer = std::make_unique<Optimizer>(weights, dit_weight_kind);
        for (int i = 0; i < 6; ++i) {
            if (interrupted && i == 3) {
                std::map<std::string, at::Tensor> saved;
                for (const auto& [name, tensor] : optimizer->state()) saved[name] = tensor.clone();
                optimizer = std::make_unique<Optimizer>(weights, dit_weight_kind);
                EXPECT_TRUE(optimizer->load_state(saved));
                saved.erase("steps/blocks.0.self_attn.q.bias");
                EXPECT_FALSE(optimizer->load_state(saved));
            }
            a.mutable_grad() = normal({16, 8}, 30 + static_cast<std::uint64_t>(i));
            b.mutable_grad() = normal({8}, 40 + static_cast<std::uint64_t>(i));
            optimizer->step(1);
        }
        return at::cat({a.detach().flatten(), b.detach()});
    };
    EXPECT_TRUE(at::equal(run(false), run(true)));
}

TEST(Optimizer, KindsFollowNamesAndShapes) {
    const at::Tensor matrix = at::zeros({20, 30});
    EXPECT_EQ(dit_weight_kind("blocks.3.self_attn.prope_proj.weight", matrix), WeightKind::matrix);
    EXPECT_EQ(dit_weight_kind("pose_embedding.2.weight", matrix), WeightKind::matrix);
    EXPECT_EQ(dit_weight_kind("pose_embedding.0.weight", matrix), WeightKind::other);
    EXPECT_EQ(dit_weight_kind("head.head.weight", matrix), WeightKind::other);
    EXPECT_EQ(dit_weight_kind("blocks.0.modulation", at::zeros({1, 6, 20})), WeightKind::other);
    EXPECT_EQ(dit_weight_kind("map_embedding.coarse", at::zeros({3, 16, 4, 4})), WeightKind::map);
    EXPECT_EQ(vae_weight_kind("decoder.conv1.weight", at::zeros({96, 16, 3, 3, 3})), WeightKind::matrix);
    EXPECT_EQ(vae_weight_kind("decoder.head.2.weight", at::zeros({12, 48, 1, 3, 3})), WeightKind::other);
    EXPECT_EQ(vae_weight_kind("decoder.head.0.gamma", at::zeros({48, 1, 1, 1})), WeightKind::other);
    EXPECT_EQ(vae_weight_kind("decoder.conv1.bias", at::zeros({96})), WeightKind::other);
}

TEST(Ema, RisesFromTheNewestToTheSlowest) {
    at::Tensor live = at::zeros({2});
    at::Tensor mean = at::full({2}, 9.0F);
    Ema ema({{"a", mean}}, {{"a", live}}, 0.5);
    ema.restart();
    EXPECT_EQ(mean[0].item<float>(), 0);
    live.fill_(1);
    ema.update(0);
    EXPECT_NEAR(mean[0].item<float>(), 1 - 1.0 / 20, 1e-6);
    mean.zero_();
    ema.update(1000);
    EXPECT_NEAR(mean[0].item<float>(), 0.5, 1e-6);
}

} // namespace
} // namespace wander::train
