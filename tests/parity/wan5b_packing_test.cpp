// The parity mode of long contexts against Quant-VideoGen's own run of WAN-5B in small: what is kept, in which layout,
// what is packed when, and the latents that come of reading it.

#include "generator/rollout/published_store.hpp"
#include "quant/format.hpp"
#include "quant/qvg/dump.hpp"
#include "tests/support/wan5b_case.hpp"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

namespace wander::testing {
namespace {

// The case's stand-in for the codec: which entries it replaced can be seen, and nothing else.
RowPacker stand_in(double step) {
    return [step](const at::Tensor& rows, std::uint64_t) {
        return PackedRows{[kept = at::floor(rows / step + 0.5) * step] { return kept; }, 1};
    };
}

struct StoredWalk {
    StoredWalk(const SmallWalk& walk, RowPacker packer)
        : store(std::make_shared<PublishedStore>(std::move(packer))), rollout(walk.open({}, false, store)) {
        rollout.start(walk.cameras.front(), walk.picture);
    }
    StoredWalk(const StoredWalk&) = delete;
    StoredWalk& operator=(const StoredWalk&) = delete;

    std::shared_ptr<PublishedStore> store;
    WorldPlayRollout rollout;
};

// Forms side by side, as the reference stores them: [1, heads, tokens, 2 * head_dim].
at::Tensor as_stored(const at::Tensor& forms) { return forms.permute({2, 1, 0, 3}).flatten(2).unsqueeze(0); }

// The stand-in jumps between two of its steps: five entries lie so near there that other sums may take them over, and
// all five together move the latents by 4e-4. Nothing packed moves them by 5e-3 and more.
constexpr double kJump = 1e-3;

// Of all entries, those that are farther off than the tolerance of the case.
double share_off(const at::Tensor& got, const at::Tensor& wanted, double tolerance) {
    const at::Tensor off = (got - wanted).abs() > tolerance * wanted.abs().max();
    return off.to(at::kDouble).mean().item<double>();
}

TEST(ParityWan5BPacking, NothingPackedIsTheStoreOfThePublishedRun) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("qvg-hy-layout")) {
        const GoldenCase golden(folder);
        const SmallWalk walk(golden);
        StoredWalk stored(walk, {});
        while (stored.rollout.next_latent() < std::ssize(walk.cameras)) {
            const std::string name = fmt::format("dense.x.{}", stored.rollout.next_latent());
            golden.expect(name, channels_first(stored.rollout.generate(walk.next(stored.rollout))));
        }
        const std::vector<quant::TextRows> rows = stored.store->rows();
        golden.expect("dense.k", as_stored(rows.back().keys));
        golden.expect("dense.v", as_stored(rows.back().values));
        EXPECT_TRUE(stored.store->events().empty());
        RecordProperty("worst", fmt::format("{}", golden.worst()));

        // The pass that made the newest of them computed others for the older ones, and those are not kept.
        const std::int64_t latents = stored.store->latents(), tokens = rows.back().keys.size(1);
        const at::Tensor fresh = golden.output("fresh.k_rope"),
                         kept = as_stored(rows.back().keys).narrow(3, 0, fresh.size(3));
        const std::int64_t older = tokens / latents * (latents - kLatentsPerChunk);
        EXPECT_EQ(share_off(kept.narrow(2, older, tokens - older), fresh.narrow(2, older, tokens - older),
                            golden.tolerance()),
                  0);
        EXPECT_GT(share_off(kept.narrow(2, 0, older), fresh.narrow(2, 0, older), golden.tolerance()), 0.1);
    }
}

TEST(ParityWan5BPacking, PacksWhatAndWhenThePublishedRunPacks) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("qvg-hy-layout")) {
        const GoldenCase golden(folder);
        const SmallWalk walk(golden);
        StoredWalk stored(walk, stand_in(golden.config().at("standin_step")));
        const at::Tensor events = golden.output("events");
        const std::int64_t packed_from = kLatentsPerChunk * events[0][0].item<std::int64_t>();
        while (stored.rollout.next_latent() < std::ssize(walk.cameras)) {
            const std::int64_t first = stored.rollout.next_latent();
            golden.expect(fmt::format("packed.x.{}", first),
                          channels_first(stored.rollout.generate(walk.next(stored.rollout))),
                          first < packed_from ? golden.tolerance() : kJump);
        }
        ASSERT_EQ(std::ssize(stored.store->events()), events.size(0));
        for (std::int64_t i = 0; i < events.size(0); ++i) {
            const PublishedStore::Event& event = stored.store->events()[static_cast<std::size_t>(i)];
            EXPECT_EQ(event.chunk, events[i][0].item<std::int64_t>());
            EXPECT_EQ(event.first_latent, events[i][1].item<std::int64_t>());
            EXPECT_EQ(event.latents, events[i][2].item<std::int64_t>());
        }
        const std::vector<quant::TextRows> rows = stored.store->rows();
        for (const auto& [name, kept] : {std::pair{"packed.k", rows.back().keys}, {"packed.v", rows.back().values}})
            EXPECT_LE(share_off(as_stored(kept), golden.output(name), golden.tolerance()), 1e-3) << name;
        RecordProperty("worst", fmt::format("{}", golden.worst()));
    }
}

// Three levels, in rows of 48 channels.
RowPacker small_codec() { return published_packer({.clusters = 8, .block = 16}); }

double relative_power(const at::Tensor& got, const at::Tensor& wanted) {
    return ((got - wanted).square().sum() / wanted.square().sum()).item<double>();
}

TEST(ParityWan5BPacking, TheCodecPacksBothFormsOfAHeadAsOneRow) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("qvg-hy-layout")) {
        const GoldenCase golden(folder);
        const SmallWalk walk(golden);
        StoredWalk dense(walk, {}), packed(walk, small_codec());
        const auto to_the_third_chunk = [&](StoredWalk& stored) {
            for (int chunk = 0; chunk < 2; ++chunk) stored.rollout.generate(walk.next(stored.rollout));
            stored.rollout.prepare(walk.next(stored.rollout));
        };
        to_the_third_chunk(dense);
        to_the_third_chunk(packed);
        const auto whole = dense.store->rows(), lossy = packed.store->rows();
        for (std::size_t layer = 0; layer < whole.size(); ++layer) {
            for (const auto& [a, b] :
                 {std::pair{whole[layer].keys, lossy[layer].keys}, {whole[layer].values, lossy[layer].values}}) {
                EXPECT_LT(relative_power(b, a), 0.6) << layer;
                EXPECT_GT(relative_power(b, a), 1e-3) << layer;
            }
        }
        // Codes, ids, scales and centroids, of keys and values.
        const int heads = golden.config().at("heads"), dim = 2 * golden.config().at("head_dim").get<int>();
        const int tokens = 8 * golden.config().at("tokens_per_latent").get<int>();
        const std::int64_t one = std::int64_t{heads} * (tokens * (dim / 4 + 1 + dim / 16) + 8 * dim * 2);
        const PublishedStore::Bytes bytes = packed.store->bytes();
        EXPECT_EQ(bytes.packed, 2 * std::ssize(whole) * one);
        EXPECT_EQ(bytes.packed_as_bf16, 2 * std::ssize(whole) * heads * tokens * dim * 2);
        EXPECT_EQ(bytes.dense, 0);
        packed.rollout.generate(walk.next(packed.rollout));
        packed.rollout.prepare(walk.next(packed.rollout));
        EXPECT_EQ(packed.store->bytes().dense, 2 * std::ssize(whole) * heads * tokens / 2 * dim * 4) << "float32 here";
    }
}

// Published settings and shapes: what one layer's store of 40 latents takes (141.18 MiB, qvg.md 9), and what it is
// smaller than BF16 as that run lays it out. Our pages against the same: one row in place of two.
TEST(ParityWan5BPacking, TheCodecHasThePublishedSizeAndOurPagesAreHalf) {
    const quant::qvg::DumpShape shape{.heads = 24,
                                      .tokens = 7040,
                                      .dim = 256,
                                      .block = PublishedCodec{}.block,
                                      .stages = PublishedCodec{}.stages,
                                      .clusters = PublishedCodec{}.clusters,
                                      .bits = PublishedCodec{}.bits};
    const auto span = static_cast<double>(dump_bytes(shape).total());
    EXPECT_NEAR(2 * 5 * span / (1 << 20), 141.18, 0.005);
    const double as_bf16 = 2.0 * shape.heads * shape.tokens * shape.dim;
    EXPECT_NEAR(as_bf16 / span, 5.84, 0.005);

    const int latents = shape.tokens / 880;
    double ours = 0; // of a span's latents, mean of keys and values
    for (const bool is_key : {true, false}) {
        const quant::PageShape page{.tokens = kLatentsPerChunk * 880,
                                    .heads = shape.heads,
                                    .head_dim = shape.dim / 2,
                                    .is_key = is_key,
                                    .compute = at::kBFloat16,
                                    .tokens_per_latent = 880};
        ours += static_cast<double>(quant::FormatRegistry::instance().find("int2")->bytes(page, {}).total()) *
                (latents / kLatentsPerChunk) / 2;
    }
    EXPECT_GE(as_bf16 / ours, 11.5);
    RecordProperty("int2", fmt::format("{}", as_bf16 / ours));
}

// A chunk that reads one chunk reads it as it was just made: the ordinary pass, turned ahead.
TEST(ParityWan5BPacking, TheSecondChunkIsTheOrdinaryOne) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("qvg-hy-layout")) {
        const GoldenCase golden(folder);
        const SmallWalk walk(golden);
        StoredWalk stored(walk, small_codec());
        WorldPlayRollout ordinary = walk.open();
        ordinary.start(walk.cameras.front(), walk.picture);
        const auto difference = [&] {
            const at::Tensor a = stored.rollout.generate(walk.next(stored.rollout));
            const at::Tensor b = ordinary.generate(walk.next(ordinary));
            return ((a - b).abs().max() / b.abs().max()).item<double>();
        };
        EXPECT_LT(difference(), 1e-6);
        EXPECT_LT(difference(), 1e-6);
        EXPECT_GT(difference(), 1e-3) << "two chunks are packed";
    }
}

TEST(ParityWan5BPacking, AWalkGoesOnFromItsLatentsAndCameras) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("qvg-hy-layout")) {
        const GoldenCase golden(folder);
        const SmallWalk walk(golden);
        StoredWalk stored(walk, small_codec()), other(walk, small_codec());
        for (int chunk = 0; chunk < 3; ++chunk) stored.rollout.generate(walk.next(stored.rollout));
        const WorldPlayHistory saved = stored.rollout.history();
        std::vector<at::Tensor> went_on;
        while (stored.rollout.next_latent() < std::ssize(walk.cameras))
            went_on.push_back(stored.rollout.generate(walk.next(stored.rollout)));
        ASSERT_EQ(went_on.size(), 2U);
        const auto events = stored.store->events();
        for (StoredWalk* again : {&other, &stored}) { // another program, and back in time
            again->rollout.restore(saved);
            for (const at::Tensor& latents : went_on) {
                again->rollout.prepare(walk.next(again->rollout));
                EXPECT_TRUE(at::equal(again->rollout.generate(walk.next(again->rollout)), latents));
            }
            EXPECT_EQ(again->rollout.contexts_made_again(), 0);
            EXPECT_EQ(again->store->events(), events);
        }
    }
}

} // namespace
} // namespace wander::testing
