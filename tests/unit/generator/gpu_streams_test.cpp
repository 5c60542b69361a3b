#include "generator/gpu_streams.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace wander {
namespace {

// A program without a GPU has no streams: nothing of CUDA is touched, inside or at the end.
TEST(WalkStream, IsNothingOnTheCpu) {
    const WalkStream stream(at::kCPU);
    {
        const WalkStream inner(at::kCPU);
        EXPECT_TRUE(at::ones({2}).sum().item<float>() == 2);
    }
}

} // namespace
} // namespace wander
