// Traps 7 and 9 of self-forcing.md 14: what a token sees. The roll-out must equal its plain twin, and each way to fall
// into a trap is a twin that sees otherwise, from which the roll-out must be far away. So a network that fell in would
// equal the wrong twin and fail both.

#include "generator/rollout/rollout.hpp"
#include "tests/unit/generator/full_sequence.hpp"
#include "tests/unit/generator/small_dit.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace wander {
namespace {

using test::FullSequence;
using test::kCols;
using test::kRows;
using test::small_config;
using test::small_dit;

constexpr int kChunk = 3;
constexpr double kSame = 1e-10;
constexpr double kFar = 1e-3; // seven orders of magnitude above rounding
constexpr int kPublishedClip = 21;

using Sees = std::function<bool(int from, int to)>; // latents

double relative(const at::Tensor& a, const at::Tensor& b) {
    return ((a - b).abs().max() / b.abs().max()).item<double>();
}

struct Size {
    int rows, cols; // of a latent
    std::int64_t tokens() const { return std::int64_t{rows} / 2 * (cols / 2); }
};

// The newest chunk of a walk: its first pass, and everything that it could see.
struct Newest {
    at::Tensor velocity;
    at::Tensor sequence; // clean latents, then its noise
    double timestep = 0;
};

// sink + window latents are visible beside the chunk; window 0: all.
Newest walk(const DitConfig& config, Size size, int chunks, int sink = 0, int window = 0) {
    Rollout::Config setup;
    setup.sampler = SamplerConfig::self_forcing(5, {1000});
    setup.rows = size.rows;
    setup.cols = size.cols;
    Newest newest;
    newest.timestep = setup.sampler.timesteps[0];
    at::Tensor input;
    setup.on_step = [&](int, const at::Tensor& x, const at::Tensor& v) {
        input = x.to(at::kDouble);
        newest.velocity = v.clone();
    };
    const quant::CacheShape shape{config.layers, config.heads, config.head_dim, static_cast<int>(size.tokens()),
                                  kChunk,        sink,         window};
    auto cache = quant::KvCache::create(shape, {}, at::kCPU, at::kDouble);
    EXPECT_TRUE(cache);
    Rollout rollout(std::make_shared<WanDit>(small_dit(config)), std::move(*cache), setup, keyed_noise(3));
    std::vector<at::Tensor> clean;
    for (int i = 0; i < chunks; ++i) {
        ChunkInput chunk;
        chunk.latents = kChunk;
        const at::Tensor latents = rollout.generate(chunk);
        if (i + 1 == chunks) clean.push_back(input);
        clean.push_back(latents);
    }
    clean.pop_back();
    newest.sequence = at::cat(clean);
    return newest;
}

std::vector<double> counted(std::int64_t latents) {
    std::vector<double> positions(static_cast<std::size_t>(latents));
    std::iota(positions.begin(), positions.end(), 0.0);
    return positions;
}

// What a network with other sight, or other places, would say of the newest chunk.
at::Tensor twin(const DitConfig& config, Size size, const Newest& newest, const Sees& sees,
                const std::vector<double>& positions) {
    const std::int64_t latents = newest.sequence.size(0);
    std::vector<double> times(static_cast<std::size_t>(latents), 0.0);
    std::fill(times.end() - kChunk, times.end(), newest.timestep);
    return FullSequence(config, size.rows, size.cols)(newest.sequence, times, positions, sees)
        .narrow(0, latents - kChunk, kChunk);
}
at::Tensor twin(const DitConfig& config, Size size, const Newest& newest, const Sees& sees) {
    return twin(config, size, newest, sees, counted(newest.sequence.size(0)));
}

bool chunk_by_chunk(int from, int to) { return to / kChunk <= from / kChunk; }

// Trap 7: attention inside a chunk is full. The wrong twins are causal from latent to latent, as a mask for a whole
// sequence would be; see themselves and history, not their neighbours; or see no latent behind the chunk's first.
TEST(SelfForcingTraps, NothingIsMaskedInsideAChunk) {
    const c10::InferenceMode inference;
    const DitConfig config = small_config();
    const Size size{kRows, kCols};
    for (const int chunks : {1, 3}) {
        const Newest newest = walk(config, size, chunks);
        EXPECT_LE(relative(newest.velocity, twin(config, size, newest, chunk_by_chunk)), kSame) << chunks;
        const Sees wrong[] = {
            [](int from, int to) { return to <= from; },
            [](int from, int to) { return to == from || to / kChunk < from / kChunk; },
            [](int from, int to) { return to / kChunk < from / kChunk || to <= from / kChunk * kChunk; },
        };
        for (const Sees& sees : wrong)
            EXPECT_GT(relative(newest.velocity, twin(config, size, newest, sees)), kFar) << chunks;
    }
}

// The same without a twin: what is newest in a chunk is heard in its first latent, and the other way round.
TEST(SelfForcingTraps, BothEndsOfAChunkHearEachOther) {
    const c10::InferenceMode inference;
    const DitConfig config = small_config();
    const WanDit dit = small_dit(config);
    const auto velocity = [&](int changed) {
        const auto cache = test::cache_for(config, kChunk, 0, 0);
        quant::ReadView view;
        view.latents = kChunk;
        view.new_positions = {0, 1, 2};
        dit.fill_rope(view, kRows / 2, kCols / 2);
        cache->begin_chunk(view);
        DitPass pass;
        pass.latents = gaussian_tensor(4, {kChunk, 16, kRows, kCols});
        if (changed >= 0) pass.latents[changed].add_(1);
        pass.timesteps.assign(kChunk, 900);
        return dit.forward(pass, *cache);
    };
    const at::Tensor plain = velocity(-1);
    EXPECT_GT(relative(velocity(kChunk - 1)[0], plain[0]), kFar);
    EXPECT_GT(relative(velocity(0)[kChunk - 1], plain[kChunk - 1]), kFar);
}

// Trap 9: 1,560 tokens a latent and 32,760 of a clip are the published picture's, not the network's. The wrong twin
// counts places in another picture's tokens, so all latents of the chunk stand at one place.
TEST(SelfForcingTraps, AnyPictureHasItsOwnTokens) {
    const c10::InferenceMode inference;
    const DitConfig config = small_config();
    for (const Size size : {Size{kRows, kCols}, Size{6, 4}, Size{2, 10}, Size{8, 8}}) {
        const Newest newest = walk(config, size, 3);
        EXPECT_LE(relative(newest.velocity, twin(config, size, newest, chunk_by_chunk)), kSame) << size.rows;
        std::vector<double> places;
        for (int latent = 0; latent < 3 * kChunk; ++latent)
            places.push_back(static_cast<double>(latent * size.tokens() / 1560));
        EXPECT_GT(relative(newest.velocity, twin(config, size, newest, chunk_by_chunk, places)), kFar) << size.rows;
    }
}

// Trap 9: a walk goes on behind the 21 latents of a published clip. Without a window it sees everything; with one the
// sink and the newest. The wrong twins are the reference's limit (the last 21 latents, the chunk's own among them)
// where nothing limits the walk, no limit where there is a window, and a window that forgets the sink.
TEST(SelfForcingTraps, LongerThanAClip) {
    const c10::InferenceMode inference;
    const DitConfig config = small_config();
    const Size size{kRows, kCols};
    constexpr int kChunks = 9, kLatents = kChunks * kChunk;
    static_assert(kLatents > kPublishedClip);
    const auto last = [](int latents) -> Sees { // of those that a chunk sees, its own among them
        return [latents](int from, int to) {
            return chunk_by_chunk(from, to) && to >= from / kChunk * kChunk + kChunk - latents;
        };
    };
    const Newest whole = walk(config, size, kChunks);
    EXPECT_LE(relative(whole.velocity, twin(config, size, whole, chunk_by_chunk)), kSame);
    EXPECT_GT(relative(whole.velocity, twin(config, size, whole, last(kPublishedClip))), kFar);

    constexpr int kSink = 3, kView = kPublishedClip;
    const Newest rolled = walk(config, size, kChunks, kSink, kView - kSink - kChunk);
    const Sees with_sink = [&](int from, int to) {
        return last(kView - kSink)(from, to) || (to < kSink && chunk_by_chunk(from, to));
    };
    EXPECT_LE(relative(rolled.velocity, twin(config, size, rolled, with_sink)), kSame);
    EXPECT_GT(relative(rolled.velocity, twin(config, size, rolled, chunk_by_chunk)), kFar);
    EXPECT_GT(relative(rolled.velocity, twin(config, size, rolled, last(kView - kSink))), kFar);
}

} // namespace
} // namespace wander
