// Gradients of as many processes as there are GPUs, at most four, averaged through NCCL: this program again, found by
// the test's name. One GPU is a group of one, which takes the same way.

#include "generator/device.hpp"
#include "generator/train/worker_group.hpp"
#include "generator/train/worker_processes.hpp"

#include <ATen/ATen.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace wander::train {
namespace {

TEST(NcclGroupGpu, AveragesGradients) {
    if (!worker_place().started) {
        const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
        const std::string filter = std::string("--gtest_filter=") + info->test_suite_name() + "." + info->name();
        const auto device = pick_device("cuda", "bf16", 0);
        ASSERT_TRUE(device) << device.error().message;
        const int gpus = std::clamp<int>(at::detail::getCUDAHooks().getNumGPUs(), 1, 4);
        const auto code = run_workers(gpus, {filter}, true);
        ASSERT_TRUE(code) << code.error().message;
        EXPECT_EQ(*code, 0);
        return;
    }
    const auto picked = pick_device("cuda", "bf16", 0);
    ASSERT_TRUE(picked) << picked.error().message;
    const at::Device device = picked->device;
    auto group = WorkerGroup::join(device);
    ASSERT_TRUE(group) << group.error().message;
    const auto options = at::TensorOptions(at::kFloat).device(device);
    const auto size = static_cast<float>(group->size()), rank = static_cast<float>(group->rank());
    NamedTensors weights;
    for (int i = 0; i < 40; ++i) weights.emplace_back(std::to_string(i), at::zeros({i == 3 ? 10 << 20 : 321}, options));
    for (int step = 0; step < 5; ++step) {
        for (int i = 0; i < 39; ++i) { // nothing reaches the last one
            at::Tensor& weight = weights[static_cast<std::size_t>(i)].second;
            weight.mutable_grad() = at::full(weight.sizes(), rank + static_cast<float>(i + step), options);
        }
        weights.back().second.mutable_grad().reset();
        const auto averaged = group->average_gradients(weights);
        ASSERT_TRUE(averaged) << averaged.error().message;
        for (int i = 0; i < 39; ++i) {
            const double wanted = (size - 1) / 2 + static_cast<float>(i + step);
            const at::Tensor& gradient = weights[static_cast<std::size_t>(i)].second.grad();
            EXPECT_NEAR(gradient.min().item<double>(), wanted, 1e-5) << i;
            EXPECT_NEAR(gradient.max().item<double>(), wanted, 1e-5) << i;
        }
        EXPECT_EQ(weights.back().second.grad().abs().max().item<float>(), 0);
    }
    NamedTensors given{{"given", at::full({70}, rank, options)}};
    ASSERT_TRUE(group->broadcast(given));
    EXPECT_EQ(given[0].second.max().item<float>(), 0); // what the first one has
    EXPECT_TRUE(group->barrier());
}

} // namespace
} // namespace wander::train
