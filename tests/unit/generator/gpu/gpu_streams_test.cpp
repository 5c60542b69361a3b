// The streams of walks on a GPU: their order with what runs outside of them, and a walk that gives the same bits
// whatever its streams' neighbours are at.
#include "generator/gpu_streams.hpp"

#include "generator/device.hpp"
#include "quant/plain/stream_priority.hpp"
#include "tests/support/walk_runner.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <optional>
#include <stop_token>
#include <thread>

namespace wander {
namespace {

const at::Device kGpu(at::kCUDA, 0);

class GpuStreams : public ::testing::Test {
protected:
    void SetUp() override {
        auto picked = pick_device("cuda", "fp32", 1);
        ASSERT_TRUE(picked) << picked.error().message;
    }
    static c10::cuda::CUDAStream current() { return c10::cuda::getCurrentCUDAStream(0); }
    // Work that takes a while on the current stream; the last value of all is `value`.
    static void fill_slowly(const at::Tensor& values, float value) {
        for (int i = 0; i < 300; ++i) values.fill_(-1.0f);
        values.fill_(value);
    }
    static at::Tensor many() { return at::zeros({1 << 25}, at::TensorOptions(at::kFloat).device(kGpu)); }
    // Work with a priority between packing (0) and the passes (-2): it takes packing's places and none of the passes'.
    static void keep_busy(const std::stop_token& stop) {
        const c10::InferenceMode inference;
        const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromPool(-1, 0));
        const at::Tensor values = many();
        while (!stop.stop_requested()) {
            for (int i = 0; i < 100; ++i) values.add_(1.0f);
            current().synchronize();
        }
    }
    static int priority(cudaStream_t stream) {
        int priority = 1;
        EXPECT_EQ(cudaStreamGetPriority(stream, &priority), cudaSuccess);
        return priority;
    }
};

TEST_F(GpuStreams, BothBordersKeepTheOrder) {
    const at::Tensor values = many(), inside = many(), outside = many();
    const auto before = current();
    fill_slowly(values, 1);
    {
        const WalkStream stream(kGpu);
        EXPECT_NE(current(), before);
        inside.copy_(values);
        fill_slowly(values, 2);
    }
    EXPECT_EQ(current(), before);
    outside.copy_(values);
    EXPECT_TRUE(inside.eq(1).all().item<bool>());
    EXPECT_TRUE(outside.eq(2).all().item<bool>());
}

TEST_F(GpuStreams, AreTheSameEveryTimeAndAbovePacking) {
    std::optional<c10::cuda::CUDAStream> first;
    {
        const WalkStream stream(kGpu);
        first = current();
        const WalkStream inner(kGpu); // changes nothing
        EXPECT_EQ(current(), *first);
    }
    const WalkStream again(kGpu);
    EXPECT_EQ(current(), *first);
    EXPECT_EQ(decode_stream(kGpu), decode_stream(kGpu));
    EXPECT_NE(c10::Stream(current()), decode_stream(kGpu));
    EXPECT_EQ(priority(first->stream()), priority(c10::cuda::CUDAStream(decode_stream(kGpu)).stream()));
    EXPECT_LT(priority(first->stream()), quant::kPackPriority);
}

// Packing is late where the GPU is kept busy, and nothing may depend on that.
TEST_F(GpuStreams, AWalkGivesTheSameFramesBesideOtherWork) {
    WalkOptions options;
    options.assets = WANDER_SOURCE_DIR "/assets";
    options.device = "cuda";
    for (const char* const format : {"int2", "qvg-pro", "qvg-stream"}) {
        options.cache_format = format;
        const testing::WalkScript script{"", {{0, {Action::forward, Action::yaw_right}}}, {{9, "bf16"}, {11, format}}};
        const auto alone = testing::run_walk(options, script, 16);
        ASSERT_EQ(alone.error, "");
        const std::jthread neighbour(keep_busy);
        const auto beside = testing::run_walk(options, script, 16);
        ASSERT_EQ(beside.error, "");
        EXPECT_EQ(alone.frames, beside.frames) << format;
    }
}

} // namespace
} // namespace wander
