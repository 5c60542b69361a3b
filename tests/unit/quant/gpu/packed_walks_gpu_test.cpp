// Packing beside the context pass, on a stream of its own: the same bits as packing at the commit, run after run.
#include "quant/format.hpp"
#include "quant/plain/stream_priority.hpp"
#include "tests/support/cuda_runtime.hpp"
#include "tests/unit/quant/packed_walks.hpp"

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

namespace wander::test {
namespace {

class PackedWalksGpu : public testing::Test {
protected:
    void SetUp() override {
        if (!open_cuda()) {
            FAIL() << "no CUDA device";
        }
    }

    // Pages large enough that packing one takes longer than handing over the layers that follow.
    static CacheSetup setup() {
        CacheSetup setup;
        setup.shape = {.layers = 5,
                       .heads = 8,
                       .head_dim = 128,
                       .tokens_per_latent = 200,
                       .page_latents = 3,
                       .sink_latents = 1,
                       .window_latents = 10};
        setup.time_pairs = 22;
        setup.prope = false;
        setup.compute = at::kBFloat16;
        setup.device = at::Device(at::kCUDA, 0);
        setup.policy.format = "int2";
        return setup;
    }

    static std::vector<std::string> formats() {
        std::vector<std::string> names;
        for (const quant::PageFormat* format : quant::FormatRegistry::instance().formats()) {
            names.emplace_back(format->name());
        }
        return names;
    }
};

TEST_F(PackedWalksGpu, EqualThoseThatPackAtTheCommit) {
    for (const std::string& format : formats()) expect_same_walks(setup(), false, {format}, false);
    expect_same_walks(setup(), false, formats(), true);
    expect_same_walks(setup(), false, {"qvg-stream", "bf16", "soft4", "int2"}, true);
}

// As in a walk: packing gets what the passes leave, and is late.
TEST_F(PackedWalksGpu, EqualThoseThatPackAtTheCommitWithPassesOfHigherPriority) {
    cudaDeviceSynchronize(); // rows that other tests drew are there
    {
        const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromPool(quant::pass_priority(), 0));
        for (const char* format : {"int2", "qvg-pro", "pca2"}) expect_same_walks(setup(), false, {format}, false);
        expect_same_walks(setup(), false, formats(), true);
        expect_same_walks(setup(), true, {"qvg-stream", "bf16", "soft4", "int2"}, true);
    }
    cudaDeviceSynchronize();
}

TEST_F(PackedWalksGpu, RepeatThemselves) {
    expect_same_walks(setup(), true, {"qvg-stream", "soft4", "int2", "bf16", "qvg-pro"}, true);
    expect_same_walks(setup(), true, {"int2"}, false);
}

TEST_F(PackedWalksGpu, BrokenPassesLeaveNoTrace) {
    for (const char* format : {"int2", "qvg-stream", "fp8"}) {
        CacheSetup broken = setup();
        broken.shape.tokens_per_latent = 48; // the oracle's products are in double precision
        broken.policy.format = format;
        expect_broken_passes_leave_no_trace(broken, 3e-2);
    }
}

TEST_F(PackedWalksGpu, ReadAsOnTheCpu) {
    for (const char* format : {"int2", "qvg-stream", "soft4", "pca2"}) {
        CacheSetup on_device = setup(), on_host = setup();
        on_device.policy.format = on_host.policy.format = format;
        on_host.device = at::kCPU;
        const auto device = make_cache(on_device);
        const auto host = make_cache(on_host);
        for (std::int64_t n = 0; n < 9; ++n) {
            walk_chunk(*device, on_device, n);
            walk_chunk(*host, on_host, n);
        }
        const auto there = read_everything(*device, on_device, 9);
        const auto here = read_everything(*host, on_host, 9);
        for (std::size_t i = 0; i < here.size(); ++i) {
            EXPECT_TRUE(there[i].cpu().equal(here[i])) << format << " tensor " << i;
        }
        EXPECT_EQ(device->ledger().bytes(), host->ledger().bytes());
    }
}

// A cache that goes while its pages are under way gives back everything, and what comes next may use it at once.
TEST_F(PackedWalksGpu, CanBeDroppedWhileUnderWay) {
    const auto in_use = [] {
        const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
        return stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].current;
    };
    std::int64_t after_first = 0; // what the libraries allocate once and keep included
    for (int round = 0; round < 3; ++round) {
        {
            const CacheSetup setup = PackedWalksGpu::setup();
            const auto cache = make_cache(setup);
            for (std::int64_t n = 0; n < 7; ++n) walk_chunk(*cache, setup, n);
            cache->begin_chunk(random_view(setup, cache->visible_history(7), 7, 1, 1));
            for (int layer = 0; layer < 3; ++layer) {
                cache->write(layer, random_rows(setup, 1, 1), random_rows(setup, 1, 2));
            }
        }
        if (round == 0) after_first = in_use();
        EXPECT_EQ(in_use(), after_first);
    }
}

TEST_F(PackedWalksGpu, HoldNoMoreThanThoseThatPackAtTheCommit) {
    for (const std::string& format : formats()) {
        CacheSetup packed = setup();
        packed.policy.format = format;
        const std::int64_t raw_page = std::int64_t{3} * 200 * 8 * 128 * 2;
        EXPECT_LE(peak_of_walk(packed, true), peak_of_walk(packed, false) + raw_page) << format;
    }
}

} // namespace
} // namespace wander::test
