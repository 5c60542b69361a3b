// The order of packing and passes on a GPU: who waits for whom, and who does not.
#include "quant/cache/pack_stream.hpp"

#include "quant/plain/stream_priority.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace wander::test {
namespace {

using quant::PackStream;

const at::Device kGpu(at::kCUDA, 0);

// Work on the current stream that ends when the gate opens, at the latest after ten seconds.
class Gate {
public:
    void hold_current_stream() {
        ASSERT_EQ(cudaLaunchHostFunc(c10::cuda::getCurrentCUDAStream().stream(), wait, this), cudaSuccess);
    }
    void open() { open_ = true; }
    bool timed_out() const { return timed_out_; }

private:
    static void wait(void* gate) {
        auto& self = *static_cast<Gate*>(gate);
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!self.open_) {
            if (std::chrono::steady_clock::now() > end) {
                self.timed_out_ = true;
                return;
            }
            std::this_thread::yield();
        }
    }
    std::atomic<bool> open_ = false;
    std::atomic<bool> timed_out_ = false;
};

class PackStreamGpu : public testing::Test {
protected:
    void SetUp() override {
        if (!open_cuda()) FAIL() << "no CUDA device";
        // What is loaded at its first use is loaded now: that may wait for all streams, and the tests hold some.
        const at::Tensor values = bytes();
        values.fill_(1);
        bytes().copy_(values);
        EXPECT_TRUE(values.eq(1).all().item<bool>());
    }

    static at::Tensor bytes() { return at::zeros({1 << 20}, at::TensorOptions(at::kByte).device(kGpu)); }
    // Whether the current stream comes through to here; asks for two seconds at most.
    static bool current_stream_ends() {
        cudaEvent_t event = nullptr;
        EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
        EXPECT_EQ(cudaEventRecord(event, c10::cuda::getCurrentCUDAStream().stream()), cudaSuccess);
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
        bool done = false;
        while (!done && std::chrono::steady_clock::now() < end) {
            done = cudaEventQuery(event) == cudaSuccess;
            std::this_thread::yield();
        }
        cudaEventDestroy(event);
        return done;
    }
};

TEST_F(PackStreamGpu, AJoinedTurnIsThereAndALaterOneMayBeUnderWay) {
    quant::PageArena arena(kGpu);
    PackStream packing(arena, kGpu, true);
    const at::Tensor first = bytes(), second = bytes(), seen = bytes();
    Gate gate;
    const PackStream::Ticket one = packing.pack(PackStream::kNoPages, [&] { first.fill_(1); });
    const PackStream::Ticket two = packing.pack(PackStream::kNoPages, [&] {
        gate.hold_current_stream();
        second.fill_(2);
    });
    EXPECT_LT(one, two);
    packing.join_turn(one);
    seen.copy_(first);
    EXPECT_TRUE(current_stream_ends()) << "the first turn's reader waits for the second turn";
    gate.open();
    packing.join_turn(two);
    EXPECT_TRUE(second.eq(2).all().item<bool>());
    EXPECT_TRUE(seen.eq(1).all().item<bool>());
    EXPECT_FALSE(gate.timed_out());
}

TEST_F(PackStreamGpu, WhoJoinsATurnWaitsForIt) {
    quant::PageArena arena(kGpu);
    PackStream packing(arena, kGpu, true);
    for (const bool whole : {true, false}) {
        const at::Tensor values = bytes(), seen = bytes();
        Gate gate;
        const PackStream::Ticket turn = packing.pack(PackStream::kNoPages, [&] {
            gate.hold_current_stream();
            values.fill_(3);
        });
        if (whole) packing.join();
        if (!whole) packing.join_turn(turn);
        seen.copy_(values);
        EXPECT_EQ(cudaStreamQuery(c10::cuda::getCurrentCUDAStream().stream()), cudaErrorNotReady);
        (void)cudaGetLastError();
        gate.open();
        EXPECT_TRUE(seen.eq(3).all().item<bool>());
        EXPECT_FALSE(gate.timed_out());
    }
}

TEST_F(PackStreamGpu, NoMoreThanAFewTurnsAreUnderWay) {
    quant::PageArena arena(kGpu);
    PackStream packing(arena, kGpu, true);
    const at::Tensor values = bytes(), seen = bytes();
    Gate gate;
    packing.pack(PackStream::kNoPages, [&] {
        gate.hold_current_stream();
        values.fill_(4);
    });
    for (int i = 1; i < PackStream::kUnderWay; ++i) packing.pack(PackStream::kNoPages, [] {});
    EXPECT_TRUE(current_stream_ends()) << "so many may be under way";
    packing.pack(PackStream::kNoPages, [] {});
    seen.copy_(values);
    EXPECT_EQ(cudaStreamQuery(c10::cuda::getCurrentCUDAStream().stream()), cudaErrorNotReady);
    (void)cudaGetLastError();
    gate.open();
    EXPECT_TRUE(seen.eq(4).all().item<bool>());
    EXPECT_FALSE(gate.timed_out());
}

// What a turn released stays until all of it is joined, and a turn that changes pages finds all before it done.
TEST_F(PackStreamGpu, WhatWasReleasedIsFreeBehindTheJoinOfAll) {
    quant::PageArena arena(kGpu);
    PackStream packing(arena, kGpu, true);
    at::Tensor page = arena.allocate(1 << 20);
    const PackStream::Ticket one = packing.pack(PackStream::kNoPages, [] {});
    packing.pack(PackStream::kNoPages, [&] { arena.release(page); });
    packing.join_turn(one);
    EXPECT_EQ(arena.page_bytes(), 1 << 20);
    packing.pack(0, [] {});
    EXPECT_EQ(arena.page_bytes(), 0);
    packing.join_layer(0);
}

// A cache may be dropped while another stream is current: its memory's own stream waits as well.
TEST_F(PackStreamGpu, TheStreamThatPackingCameFromWaitsToo) {
    quant::PageArena arena(kGpu);
    PackStream packing(arena, kGpu, true);
    const c10::cuda::CUDAStream worker = c10::cuda::getStreamFromPool(-2, 0);
    Gate gate;
    {
        const c10::cuda::CUDAStreamGuard guard(worker);
        packing.pack(PackStream::kNoPages, [&] { gate.hold_current_stream(); });
    }
    packing.join();
    EXPECT_EQ(cudaStreamQuery(worker.stream()), cudaErrorNotReady);
    (void)cudaGetLastError();
    gate.open();
    worker.synchronize();
    EXPECT_FALSE(gate.timed_out());
}

TEST_F(PackStreamGpu, PackingHasTheLowestPriority) {
    quant::PageArena arena(kGpu);
    PackStream packing(arena, kGpu, true);
    int packs = 1, least = 1, greatest = 1;
    packing.pack(PackStream::kNoPages, [&] {
        ASSERT_EQ(cudaStreamGetPriority(c10::cuda::getCurrentCUDAStream().stream(), &packs), cudaSuccess);
    });
    packing.join();
    ASSERT_EQ(cudaDeviceGetStreamPriorityRange(&least, &greatest), cudaSuccess);
    EXPECT_EQ(packs, least);
    EXPECT_LT(quant::pass_priority(), packs);
}

} // namespace
} // namespace wander::test
