// Session codebooks: versions, who keeps them alive, what they cost, and that a walk can begin again.
#include "quant/cache/codebook_store.hpp"
#include "quant/format.hpp"
#include "quant/qvg/page_rules.hpp"
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace wander::test {
namespace {

using quant::Codebook;

CacheSetup stream_setup() {
    CacheSetup setup;
    setup.shape = {.layers = 2,
                   .heads = 2,
                   .head_dim = 32,
                   .tokens_per_latent = 12,
                   .page_latents = 2,
                   .sink_latents = 1,
                   .window_latents = 4};
    setup.time_pairs = 6;
    setup.policy.format = "qvg-stream";
    setup.policy.centroids = 6;
    return setup;
}

std::unique_ptr<quant::KvCache> make(const CacheSetup& setup) {
    auto cache = quant::KvCache::create(setup.shape, setup.policy, setup.device, setup.compute);
    EXPECT_TRUE(cache) << (cache ? "" : cache.error().message);
    return std::move(*cache);
}

double walk(quant::KvCache& cache, const CacheSetup& setup, std::int64_t from, std::int64_t to) {
    double worst = 0;
    for (std::int64_t n = from; n < to; ++n) {
        worst = std::max(worst, step_and_compare(cache, setup, n, 1, static_cast<std::uint64_t>(n)));
    }
    return worst;
}

constexpr std::int64_t kBookBytes = 2 * 6 * (32 * 2 + 4); // heads, centroids, values and weight

struct Fixture {
    quant::PageArena arena{at::kCPU};
    quant::CodebookStore store{arena};
    const quant::PageFormat& format = *quant::FormatRegistry::instance().find("qvg-stream");
    const quant::CodebookTrainer& trainer = dynamic_cast<const quant::CodebookTrainer&>(format);

    std::shared_ptr<const Codebook> pack(std::uint64_t seed) {
        quant::EncodeJob job;
        job.source = random_rows(stream_setup(), 2, seed);
        job.shape = {24, 2, 32, true, at::kFloat, 12};
        job.options.centroids = 6;
        auto book = store.for_page(trainer, 0, job);
        job.options.codebook = book.get();
        job.page = at::empty({format.bytes(job.shape, job.options).total()}, at::kByte);
        format.encode(job.source, job.shape, job.options, job.page);
        store.note_packed(trainer, 0, job);
        return book;
    }
};

TEST(SessionCodebook, EveryFewPagesPublishAVersionAndOldOnesStayAsTheyWere) {
    Fixture fixture;
    std::vector<std::shared_ptr<const Codebook>> books;
    std::vector<at::Tensor> before;
    for (std::uint64_t n = 0; n < 2 * quant::qvg::kSessionPages + 1; ++n) {
        books.push_back(fixture.pack(n));
        before.push_back(books.back()->memory.clone());
        EXPECT_EQ(books.back()->version, n / quant::qvg::kSessionPages + 1);
    }
    for (std::size_t n = 0; n < books.size(); ++n) {
        EXPECT_TRUE(books[n]->memory.equal(before[n]));
    }
    EXPECT_FALSE(books.front()->centroids.equal(books.back()->centroids));
    EXPECT_EQ(fixture.arena.page_bytes(), 3 * kBookBytes);
    books.erase(books.begin(), books.begin() + quant::qvg::kSessionPages);
    EXPECT_EQ(fixture.arena.page_bytes(), 2 * kBookBytes); // nobody holds the first version any more
    fixture.store.drop_unused();
    EXPECT_EQ(fixture.arena.page_bytes(), 2 * kBookBytes);
    books.clear();
    fixture.store.drop_unused();
    EXPECT_EQ(fixture.arena.page_bytes(), 0);
}

TEST(SessionCodebook, AnUpdateIsTheDecayedMean) {
    Fixture fixture;
    std::vector<std::shared_ptr<const Codebook>> books;
    for (std::uint64_t n = 0; n <= quant::qvg::kSessionPages; ++n) {
        books.push_back(fixture.pack(n));
    }
    const Codebook& old = *books.front();
    const Codebook& fresh = *books.back();
    // What the page of the update holds, the obvious way.
    const at::Tensor rows =
        random_rows(stream_setup(), 2, quant::qvg::kSessionPages - 1).to(at::kBFloat16).to(at::kFloat);
    for (int head = 0; head < 2; ++head) {
        const at::Tensor x = rows.select(1, head);
        const at::Tensor about_mean = (x - random_rows(stream_setup(), 2, quant::qvg::kSessionPages - 1)
                                               .select(1, head)
                                               .mean(0, true)
                                               .to(at::kBFloat16)
                                               .to(at::kFloat))
                                          .to(at::kBFloat16)
                                          .to(at::kFloat);
        const at::Tensor centroids = old.centroids[head].to(at::kFloat);
        const at::Tensor ids = at::cdist(about_mean, centroids).argmin(1);
        for (int k = 0; k < 6; ++k) {
            const at::Tensor members = about_mean.index({ids == k});
            const double weight = 0.5 * old.weights[head][k].item<double>() + static_cast<double>(members.size(0));
            EXPECT_NEAR(fresh.weights[head][k].item<double>(), weight, 1e-4);
            if (members.size(0) > 0) {
                const at::Tensor wanted =
                    centroids[k] + (members.mean(0) - centroids[k]) * (static_cast<double>(members.size(0)) / weight);
                EXPECT_LT(relative_error(fresh.centroids[head][k], wanted), 1e-2); // bfloat16
            } else {
                EXPECT_TRUE(fresh.centroids[head][k].equal(old.centroids[head][k]));
            }
        }
    }
}

TEST(SessionCodebook, OutlivesItsFirstPageAndTheLedgerCountsItOnce) {
    const CacheSetup setup = stream_setup();
    auto cache = make(setup);
    EXPECT_LT(walk(*cache, setup, 0, 16), 1e-5); // the first page left the window long ago
    const MemoryLedger ledger = cache->ledger();
    const quant::PageShape shape{24, 2, 32, true, at::kFloat, 12};
    quant::EncodeOptions options;
    options.centroids = 6;
    const quant::PageBytes page = quant::FormatRegistry::instance().find("qvg-stream")->bytes(shape, options);
    std::int64_t packed_groups = 0;
    for (const PageCell& cell : cache->pages()) {
        packed_groups += cell.format == "qvg-stream" ? 1 : 0;
    }
    ASSERT_GT(packed_groups, 1);
    EXPECT_EQ(ledger.packed_bytes, packed_groups * 4 * page.total() + 4 * kBookBytes);
    EXPECT_EQ(ledger.keys.codebooks, packed_groups * 2 * page.codebooks + 2 * kBookBytes);
    EXPECT_GE(ledger.peak_bytes, ledger.bytes() + ledger.scratch_bytes);
}

TEST(SessionCodebook, VersionsLiveInTheSameWindow) {
    CacheSetup setup = stream_setup();
    setup.shape.window_latents = 24;
    auto cache = make(setup);
    EXPECT_LT(walk(*cache, setup, 0, 26), 1e-5); // twelve pages, two versions
    EXPECT_GT(cache->ledger().keys.codebooks, 0);
}

TEST(SessionCodebook, ClearBeginsAnewAndSameWalkGivesTheSameBits) {
    const CacheSetup setup = stream_setup();
    auto cache = make(setup);
    auto other = make(setup);
    walk(*other, setup, 0, 7);
    const at::Tensor fresh = other->read_keys(1, 3, 2);
    walk(*cache, setup, 0, 23);
    cache->clear();
    EXPECT_EQ(cache->ledger().bytes(), 0);
    walk(*cache, setup, 0, 7);
    EXPECT_TRUE(cache->read_keys(1, 3, 2).equal(fresh));
}

TEST(SessionCodebook, AnotherFormatFreesThem) {
    const CacheSetup setup = stream_setup();
    auto cache = make(setup);
    walk(*cache, setup, 0, 9);
    ASSERT_TRUE(cache->set_format("bf16"));
    walk(*cache, setup, 9, 14);
    ASSERT_TRUE(cache->converter_idle());
    const MemoryLedger ledger = cache->ledger();
    EXPECT_EQ(ledger.packed_bytes, 0);
    EXPECT_EQ(ledger.keys.codebooks, 0);
}

// Random toggles among all formats whose rows are all there, and clears: what is read is what was attended to, and no
// byte is lost or counted twice.
TEST(SessionCodebook, RandomTogglesAmongAllFormats) {
    CacheSetup setup = stream_setup();
    setup.shape.window_latents = 9;
    setup.shape.head_dim = 64;
    setup.time_pairs = 12;
    setup.policy.convert_groups_per_commit = 2;
    setup.policy.layer_formats = {{1, 1, "qvg-stream"}};
    std::vector<std::string> names;
    for (const quant::PageFormat* format : quant::FormatRegistry::instance().formats()) {
        if (!format->prunes()) {
            names.emplace_back(format->name());
        }
    }
    auto cache = make(setup);
    std::mt19937 draw(5);
    std::int64_t next = 0;
    for (int step = 0; step < 90; ++step) {
        SCOPED_TRACE(testing::Message() << "step " << step);
        if (draw() % 3 == 0) {
            const std::string& name = names[draw() % names.size()];
            const auto selected = cache->set_format(name); // pages may be too short for some
            if (!selected) {
                EXPECT_EQ(selected.error().code, ErrorCode::wrong_use) << name;
            }
        }
        if (draw() % 20 == 0) {
            cache->clear();
            EXPECT_EQ(cache->ledger().bytes(), 0);
            next = 0;
        }
        EXPECT_LT(step_and_compare(*cache, setup, next++, 1, draw()), 1e-5) << cache->format();
        const MemoryLedger ledger = cache->ledger();
        std::int64_t cells = 0;
        for (const PageCell& cell : cache->pages()) {
            cells += cell.bytes;
        }
        const std::int64_t books = ledger.bytes() - cells;
        EXPECT_EQ(books % (2 * 6 * (64 * 2 + 4)), 0) << cache->format(); // whole codebooks of 6 centroids
        EXPECT_LE(ledger.bytes() + ledger.scratch_bytes, ledger.peak_bytes);
    }
}

} // namespace
} // namespace wander::test
