#include "tests/unit/quant/packed_walks.hpp"

#include <ATen/ATen.h>

#include <map>
#include <tuple>

namespace wander::test {
namespace {

struct ChunkRows {
    at::Tensor q, k, v;
};

// One of a few dozen: drawing takes longer than all the rest of a walk.
at::Tensor drawn_rows(const CacheSetup& setup, std::uint64_t which) {
    using Kind = std::tuple<int, int, int, at::ScalarType, at::DeviceType, std::uint64_t>;
    static std::map<Kind, at::Tensor> drawn;
    at::Tensor& rows = drawn[{setup.shape.heads, setup.shape.head_dim, setup.shape.tokens_per_latent, setup.compute,
                              setup.device.type(), which}];
    if (!rows.defined()) rows = random_rows(setup, 1, which);
    return rows.clone(); // attention may write over queries
}

ChunkRows rows_of(const CacheSetup& setup, std::int64_t first, int pass, int layer) {
    const auto base = static_cast<std::uint64_t>(first * 7 + pass * 31 + layer * 3);
    // Keys with something in common, so that formats differ in what they keep.
    return {drawn_rows(setup, base % 41), drawn_rows(setup, (base + 1) % 41) + 1, drawn_rows(setup, (base + 2) % 41)};
}

quant::ReadView view_for(const quant::KvCache& cache, const CacheSetup& setup, std::int64_t first) {
    return random_view(setup, cache.visible_history(first), first, 1, static_cast<std::uint64_t>(first + 1));
}

} // namespace

std::vector<at::Tensor> walk_chunk(quant::KvCache& cache, const CacheSetup& setup, std::int64_t first) {
    std::vector<at::Tensor> results;
    cache.begin_chunk(view_for(cache, setup, first));
    for (int pass = 0; pass < 2; ++pass) {
        for (int layer = 0; layer < setup.shape.layers; ++layer) {
            const ChunkRows rows = rows_of(setup, first, pass, layer);
            if (pass == 1) cache.write(layer, rows.k, rows.v);
            if (pass == 1 && layer + 1 == setup.shape.layers) continue;
            results.push_back(cache.attend(layer, rows.q, rows.k, rows.v));
        }
    }
    cache.commit();
    return results;
}

std::vector<at::Tensor> read_everything(const quant::KvCache& cache, const CacheSetup& setup, std::int64_t next) {
    std::vector<at::Tensor> values;
    for (int layer = 0; layer < setup.shape.layers; ++layer) {
        for (const bool keys : {true, false}) {
            values.push_back(visible_values(cache, setup, layer, cache.visible_history(next), keys));
        }
    }
    return values;
}

testing::AssertionResult same(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
    if (a.size() != b.size()) return testing::AssertionFailure() << a.size() << " and " << b.size() << " tensors";
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!a[i].equal(b[i])) return testing::AssertionFailure() << "tensor " << i << " differs";
    }
    return testing::AssertionSuccess();
}

void expect_same_walks(const CacheSetup& setup, bool other_beside, const std::vector<std::string>& formats,
                       bool rules) {
    CacheSetup beside = setup, other = setup;
    beside.policy.pack_beside = true;
    other.policy.pack_beside = other_beside;
    beside.policy.format = other.policy.format = formats.front();
    const auto a = make_cache(beside);
    const auto b = make_cache(other);
    std::int64_t n = 0;
    for (int step = 0; step < 30; ++step, ++n) {
        SCOPED_TRACE(testing::Message() << "step " << step << " format " << a->format());
        for (quant::KvCache* cache : {a.get(), b.get()}) {
            if (step % 5 == 4) {
                ASSERT_TRUE(cache->set_format(formats[static_cast<std::size_t>(step / 5 + 1) % formats.size()]));
            }
            if (rules && step % 7 == 6) {
                quant::CacheRules changed;
                changed.keep_recent = 1 + step % 3;
                changed.keep_sink = step % 2 == 0;
                changed.bias_correction = step % 3 != 0;
                changed.layer_formats.push_back({0, 0, formats[static_cast<std::size_t>(step) % formats.size()]});
                ASSERT_TRUE(cache->set_rules(changed));
            }
            if (rules && step == 17) cache->clear();
        }
        if (rules && step == 17) n = 0;
        ASSERT_TRUE(same(walk_chunk(*a, beside, n), walk_chunk(*b, other, n)));
        ASSERT_TRUE(same(read_everything(*a, beside, n + 1), read_everything(*b, other, n + 1)));
        ASSERT_EQ(a->ledger().bytes(), b->ledger().bytes());
        ASSERT_EQ(a->ledger().pages_waiting, b->ledger().pages_waiting);
    }
}

void expect_broken_passes_leave_no_trace(const CacheSetup& setup, double tolerance) {
    const auto cache = make_cache(setup);
    std::int64_t n = 0;
    std::vector<ChunkRows> written; // of the newest chunk, by layer
    for (int step = 0; step < 24; ++step, ++n) {
        SCOPED_TRACE(testing::Message() << "step " << step);
        if (step % 4 == 3) { // begun and given up, with pages of its first layers under way
            cache->begin_chunk(view_for(*cache, setup, n));
            for (int layer = 0; layer + 1 < setup.shape.layers; ++layer) {
                const ChunkRows rows = rows_of(setup, n + 500, 0, layer);
                cache->write(layer, rows.k, rows.v);
            }
        }
        if (step == 11) {
            cache->clear();
            EXPECT_EQ(cache->ledger().bytes(), 0);
            written.clear();
            n = 0;
        }
        const quant::ReadView view = view_for(*cache, setup, n);
        const auto history = cache->visible_history(n);
        cache->begin_chunk(view);
        for (std::size_t layer = 0; layer < written.size(); ++layer) { // not full, so never packed
            if ((n - setup.shape.sink_latents) % setup.shape.page_latents == 0) break;
            EXPECT_TRUE(cache->read_keys(static_cast<int>(layer), n - 1, 1).equal(written[layer].k));
        }
        written.clear();
        for (int layer = 0; layer < setup.shape.layers; ++layer) {
            const ChunkRows rows = rows_of(setup, n, 1, layer);
            cache->write(layer, rows.k, rows.v);
            written.push_back(rows);
            // Asks for the layer that was left just now, too.
            for (int again = std::max(0, layer - 1); again <= layer; ++again) {
                const auto [q, k, v] = rows_of(setup, n, 0, again);
                const at::Tensor got = cache->attend(again, q, k, v);
                const at::Tensor expected =
                    dense_attention(setup, view, visible_values(*cache, setup, again, history, true),
                                    visible_values(*cache, setup, again, history, false), q, k, v);
                EXPECT_LT(relative_error(got, expected), tolerance) << "layer " << again << " of " << layer;
            }
        }
        cache->commit();
    }
}

std::int64_t peak_of_walk(CacheSetup setup, bool beside) {
    setup.policy.pack_beside = beside;
    const auto cache = make_cache(setup);
    for (std::int64_t n = 0; n < 20; ++n) walk_chunk(*cache, setup, n);
    return cache->ledger().peak_bytes;
}

} // namespace wander::test
