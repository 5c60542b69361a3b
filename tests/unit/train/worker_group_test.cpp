// Two processes of this very program, found again by the test's name.

#include "generator/train/worker_group.hpp"

#include "generator/train/optimizer.hpp"
#include "generator/train/worker_processes.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>

namespace wander::train {
namespace {

at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
    return at::randn(shape, at::detail::createCPUGenerator(seed), at::TensorOptions(at::kFloat));
}

int run_this_test_in_two() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    const std::string filter = std::string("--gtest_filter=") + info->test_suite_name() + "." + info->name();
    const auto code = run_workers(2, {filter}, false);
    EXPECT_TRUE(code);
    return code ? *code : -1;
}

NamedTensors small_network() {
    NamedTensors weights{{"blocks.0.ffn.0.weight", normal({16, 8}, 1)},
                         {"blocks.0.ffn.0.bias", normal({16}, 2)},
                         {"head.head.weight", normal({4, 16}, 3)},
                         {"unused", normal({5}, 4)}};
    for (auto& [name, weight] : weights) weight.set_requires_grad(true);
    return weights;
}

at::Tensor loss_of(const NamedTensors& weights, const at::Tensor& batch) {
    const at::Tensor hidden = at::tanh(at::linear(batch, weights[0].second, weights[1].second));
    return at::linear(hidden, weights[2].second).pow(2).mean();
}

void backward(const at::Tensor& loss) { torch::autograd::backward({loss}, {at::ones_like(loss)}); }

TEST(WorkerGroup, TwoProcessesAverageGradientsAndStayEqual) {
    if (!worker_place().started) {
        EXPECT_EQ(run_this_test_in_two(), 0);
        return;
    }
    auto group = WorkerGroup::join(at::kCPU);
    ASSERT_TRUE(group) << group.error().message;
    ASSERT_EQ(group->size(), 2);
    const NamedTensors both = small_network();
    const NamedTensors own = small_network();
    Optimizer optimizer(own, dit_weight_kind);
    for (std::uint64_t step = 0; step < 3; ++step) {
        const at::Tensor batches[] = {normal({6, 8}, 100 + 2 * step), normal({6, 8}, 101 + 2 * step)};
        // One process over both batches.
        for (const auto& [name, weight] : both) weight.mutable_grad().reset();
        {
            const c10::NoGradGuard no_grad;
            for (std::size_t i = 0; i < both.size(); ++i) both[i].second.copy_(own[i].second);
        }
        backward(loss_of(both, at::cat({batches[0], batches[1]})));
        backward(loss_of(own, batches[group->rank()]));
        ASSERT_TRUE(group->average_gradients(own));
        for (std::size_t i = 0; i + 1 < own.size(); ++i) {
            const at::Tensor one = both[i].second.grad();
            const double error = (own[i].second.grad() - one).abs().max().item<double>();
            EXPECT_LT(error, 1e-6 * (1 + one.abs().max().item<double>())) << own[i].first;
        }
        EXPECT_EQ(own.back().second.grad().abs().max().item<float>(), 0); // nothing reached it
        optimizer.step(1);
        // Bit-equal: what rank 0 has is what this one has.
        NamedTensors first;
        for (const auto& [name, weight] : own) first.emplace_back(name, weight.detach().clone());
        ASSERT_TRUE(group->broadcast(first));
        for (std::size_t i = 0; i < own.size(); ++i) EXPECT_TRUE(at::equal(own[i].second, first[i].second));
    }
    const auto clock = group->broadcast(std::vector<double>{group->is_first() ? 0.25 : 0.75, 1.0});
    ASSERT_TRUE(clock);
    EXPECT_EQ(*clock, (std::vector<double>{0.25, 1.0}));
    EXPECT_TRUE(group->barrier());
}

// A whole network: many tensors, some larger than the store takes at once, for a process that comes late.
TEST(WorkerGroup, HandsRoundManyAndLargeTensors) {
    if (!worker_place().started) {
        EXPECT_EQ(run_this_test_in_two(), 0);
        return;
    }
    auto group = WorkerGroup::join(at::kCPU);
    ASSERT_TRUE(group) << group.error().message;
    const auto rank = static_cast<float>(group->rank());
    NamedTensors many;
    for (int i = 0; i < 150; ++i) many.emplace_back(std::to_string(i), at::full({i == 7 ? 5 << 20 : 3}, rank + i));
    if (!group->is_first()) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ASSERT_TRUE(group->broadcast(many));
    for (std::size_t i = 0; i < many.size(); ++i)
        EXPECT_TRUE(at::equal(many[i].second, at::full_like(many[i].second, static_cast<double>(i)))) << i;

    const NamedTensors large{{"large", at::zeros({5 << 20})}};
    for (int step = 0; step < 3; ++step) {
        large[0].second.mutable_grad() = at::full({5 << 20}, rank + static_cast<float>(step));
        const auto averaged = group->average_gradients(large);
        ASSERT_TRUE(averaged) << averaged.error().message;
        EXPECT_TRUE(at::equal(large[0].second.grad(), at::full({5 << 20}, 0.5F + static_cast<float>(step))));
    }
}

TEST(WorkerGroup, OneThatDiesEndsAll) {
    if (!worker_place().started) {
        EXPECT_NE(run_this_test_in_two(), 0);
        return;
    }
    if (worker_place().rank == 1) std::_Exit(3);
    auto group = WorkerGroup::join(at::kCPU);
    ASSERT_TRUE(group);
    // Waits for the dead one for half an hour, were it not ended.
    EXPECT_TRUE(group->barrier());
}

TEST(WorkerGroup, AloneNothingHappens) {
    if (worker_place().started) return;
    auto group = WorkerGroup::join(at::kCPU);
    ASSERT_TRUE(group);
    EXPECT_EQ(group->size(), 1);
    EXPECT_TRUE(group->is_first());
    EXPECT_EQ(*group->broadcast(std::vector<double>{2.0}), std::vector<double>{2.0});
    EXPECT_TRUE(group->barrier());
}

} // namespace
} // namespace wander::train
