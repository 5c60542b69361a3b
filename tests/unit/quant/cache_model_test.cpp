// The cache against an independent model of it: random chunks, toggles and clears; what is visible, what every page
// group is stored as, what it costs in bytes, and what attention gives.
#include "quant/format.hpp"
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace wander::test {
namespace {

// What the rules of quant/kv_cache.hpp say, in the plainest form: every latent ever committed, groups found by
// division.
class CacheModel {
public:
    CacheModel(const CacheSetup& setup) : setup_(setup), format_(setup.policy.format) {}

    void clear() {
        keys_.clear();
        values_.clear();
        groups_.clear();
        next_ = 0;
    }
    void select(const std::string& format) { format_ = format; }
    const std::string& format() const { return format_; }
    std::int64_t next() const { return next_; }

    std::vector<std::int64_t> visible(std::int64_t first) const {
        std::vector<std::int64_t> latents;
        for (std::int64_t latent = 0; latent < first; ++latent) {
            const bool recent = setup_.shape.window_latents <= 0 || latent >= first - setup_.shape.window_latents;
            if (latent < setup_.shape.sink_latents || recent) {
                latents.push_back(latent);
            }
        }
        return latents;
    }

    void begin(std::int64_t first) {
        std::erase_if(groups_, [&](const auto& entry) {
            const Group& group = entry.second;
            const auto seen = visible(first);
            return std::none_of(seen.begin(), seen.end(),
                                [&](std::int64_t l) { return l >= group.first && l < group.end; });
        });
    }

    void commit(std::int64_t first, int latents, std::vector<at::Tensor> keys, std::vector<at::Tensor> values) {
        for (int n = 0; n < latents; ++n) {
            const std::int64_t latent = first + n;
            keys_[latent] = slice(keys, n);
            values_[latent] = slice(values, n);
            const std::int64_t sink = setup_.shape.sink_latents;
            const std::int64_t page = setup_.shape.page_latents;
            const std::int64_t start = latent < sink ? 0 : sink + (latent - sink) / page * page;
            groups_.try_emplace(start, Group{start, latent < sink ? sink : start + page, "bf16", latent < sink, false});
        }
        next_ = first + latents;
        for (auto& [start, group] : groups_) {
            if (!group.sink && !group.settled && group.end <= first) {
                group.settled = true;
                group.format = format_;
            }
        }
        int visits = setup_.policy.convert_groups_per_commit;
        for (auto& [start, group] : groups_) {
            if (group.settled && group.format != format_ && visits-- > 0) {
                group.format = format_;
            }
        }
    }

    const std::string& format_of(std::int64_t latent) const {
        return std::prev(groups_.upper_bound(latent))->second.format;
    }
    const at::Tensor& keys(std::int64_t latent, int layer) const {
        return keys_.at(latent)[static_cast<std::size_t>(layer)];
    }
    const at::Tensor& values(std::int64_t latent, int layer) const {
        return values_.at(latent)[static_cast<std::size_t>(layer)];
    }

    std::int64_t bytes() const {
        std::int64_t sum = 0;
        for (const auto& [start, group] : groups_) {
            const int tokens = static_cast<int>(group.end - group.first) * setup_.shape.tokens_per_latent;
            const quant::PageFormat* format = quant::FormatRegistry::instance().find(group.format);
            const quant::PageShape shape{tokens, setup_.shape.heads, setup_.shape.head_dim, true, setup_.compute};
            sum += 2 * setup_.shape.layers * format->bytes(shape, {setup_.policy.centroids, 0}).total();
        }
        return sum;
    }
    std::int64_t waiting() const {
        return std::count_if(groups_.begin(), groups_.end(),
                             [&](const auto& entry) { return entry.second.settled && entry.second.format != format_; });
    }

private:
    struct Group {
        std::int64_t first;
        std::int64_t end;
        std::string format;
        bool sink;
        bool settled;
    };
    std::vector<at::Tensor> slice(const std::vector<at::Tensor>& layers, int n) const {
        std::vector<at::Tensor> out;
        for (const at::Tensor& layer : layers) {
            out.push_back(layer.narrow(0, n * setup_.shape.tokens_per_latent, setup_.shape.tokens_per_latent));
        }
        return out;
    }

    CacheSetup setup_;
    std::string format_;
    std::int64_t next_ = 0;
    std::map<std::int64_t, std::vector<at::Tensor>> keys_, values_;
    std::map<std::int64_t, Group> groups_;
};

// Rows of the oracle for attention: what went in where the page is uncompressed, what the cache reads where it is
// packed (checked to be near what went in).
at::Tensor history_rows(const quant::KvCache& cache, const CacheModel& model, const CacheSetup& setup, int layer,
                        const std::vector<std::int64_t>& history, bool keys, bool ever_packed) {
    std::vector<at::Tensor> parts = {at::empty({0, setup.shape.heads, setup.shape.head_dim}, setup.compute)};
    for (const std::int64_t latent : history) {
        const at::Tensor& original = keys ? model.keys(latent, layer) : model.values(latent, layer);
        const at::Tensor read = keys ? cache.read_keys(layer, latent, 1) : cache.read_values(layer, latent, 1);
        if (!ever_packed) {
            EXPECT_TRUE(read.equal(original)) << "latent " << latent;
        } else {
            const at::Tensor error = (read - original).to(at::kFloat);
            EXPECT_LT(error.square().mean().sqrt().item<double>(), 0.6) << "latent " << latent;
        }
        parts.push_back(ever_packed ? read : original);
    }
    return at::cat(parts, 0);
}

void run_machine(CacheSetup setup, unsigned seed, int steps, bool toggles, double tolerance) {
    std::mt19937 draw(seed);
    auto made = quant::KvCache::create(setup.shape, setup.policy, at::kCPU, setup.compute);
    ASSERT_TRUE(made) << made.error().message;
    quant::KvCache& cache = **made;
    CacheModel model(setup);
    const std::string formats[] = {"bf16", "int2", "qvg-int2"};
    for (int step = 0; step < steps; ++step) {
        SCOPED_TRACE(testing::Message() << "seed " << seed << " step " << step);
        if (toggles && draw() % 3 == 0) {
            const std::string& format = formats[draw() % 3];
            ASSERT_TRUE(cache.set_format(format));
            model.select(format);
        }
        if (draw() % 17 == 0) {
            cache.clear();
            model.clear();
            EXPECT_EQ(cache.ledger().bytes(), 0);
        }
        const std::int64_t first = model.next();
        const int latents = 1 + static_cast<int>(draw() % 3);
        const auto history = cache.visible_history(first);
        ASSERT_EQ(history, model.visible(first));

        const quant::ReadView view = random_view(setup, history, first, latents, draw());
        cache.begin_chunk(view);
        model.begin(first);
        if (draw() % 8 == 0) { // an abandoned chunk leaves nothing behind
            cache.write(0, random_rows(setup, latents, draw()), random_rows(setup, latents, draw()));
            cache.begin_chunk(view);
        }
        std::vector<at::Tensor> keys;
        std::vector<at::Tensor> values;
        for (int layer = 0; layer < setup.shape.layers; ++layer) {
            keys.push_back(random_rows(setup, latents, draw()));
            values.push_back(random_rows(setup, latents, draw()));
            const at::Tensor q = random_rows(setup, latents, draw());
            const at::Tensor expected = dense_attention(
                setup, view, history_rows(cache, model, setup, layer, history, true, toggles),
                history_rows(cache, model, setup, layer, history, false, toggles), q, keys.back(), values.back());
            EXPECT_LT(relative_error(cache.attend(layer, q, keys.back(), values.back()), expected), tolerance);
            cache.write(layer, keys.back(), values.back());
        }
        cache.commit();
        model.commit(first, latents, keys, values);

        EXPECT_EQ(cache.ledger().bytes(), model.bytes());
        EXPECT_EQ(cache.ledger().pages_waiting, model.waiting());
        EXPECT_EQ(cache.converter_idle(), model.waiting() == 0);
        for (const PageCell& cell : cache.pages()) {
            if (cell.format != "open") {
                EXPECT_EQ(cell.format, model.format_of(cell.first_latent)) << "latent " << cell.first_latent;
            }
        }
        // The newest chunk is uncompressed in every format.
        EXPECT_TRUE(cache.read_keys(0, first, latents).equal(keys[0]));
        EXPECT_TRUE(cache.read_values(setup.shape.layers - 1, first, latents).equal(values.back()));
    }
}

CacheSetup machine_setup(int sink, int window, int page) {
    CacheSetup setup;
    setup.shape = {.layers = 2,
                   .heads = 2,
                   .head_dim = 16,
                   .tokens_per_latent = 6,
                   .page_latents = page,
                   .sink_latents = sink,
                   .window_latents = window};
    return setup;
}

TEST(CacheModel, UncompressedWalks) {
    run_machine(machine_setup(1, 6, 4), 1, 40, false, 1e-5);
    run_machine(machine_setup(0, 5, 3), 2, 40, false, 1e-5);
    run_machine(machine_setup(3, 1, 3), 3, 30, false, 1e-5);
    run_machine(machine_setup(2, 0, 4), 4, 20, false, 1e-5);
}

TEST(CacheModel, WalksThatToggle) {
    run_machine(machine_setup(1, 9, 4), 5, 40, true, 1e-5);
    run_machine(machine_setup(0, 7, 3), 6, 40, true, 1e-5);
    CacheSetup two_at_once = machine_setup(3, 12, 2);
    two_at_once.policy.convert_groups_per_commit = 2;
    run_machine(two_at_once, 7, 40, true, 1e-5);
}

TEST(CacheModel, WalksThatToggleInBfloat16) {
    CacheSetup setup = machine_setup(1, 9, 4);
    setup.compute = at::kBFloat16;
    run_machine(setup, 8, 40, true, 2e-2);
}

// Self-Forcing's sequences (self-forcing.md 5.3): latents held after each chunk of 3. Its window counts sink and chunk.
TEST(CacheModel, SelfForcingWindows) {
    const auto held_after_chunks = [](int sink, int window, int first_chunk) {
        CacheSetup setup = machine_setup(sink, window, 3);
        auto cache = quant::KvCache::create(setup.shape, setup.policy, at::kCPU, at::kFloat);
        std::vector<std::int64_t> sizes;
        std::int64_t next = 0;
        for (int chunk = 0; chunk < 5; ++chunk) {
            const int latents = chunk == 0 ? first_chunk : 3;
            sizes.push_back(static_cast<std::int64_t>((*cache)->visible_history(next).size()) + latents);
            step_and_compare(**cache, setup, next, latents, static_cast<std::uint64_t>(chunk));
            next += latents;
        }
        return sizes;
    };
    EXPECT_EQ(held_after_chunks(0, 3, 3), (std::vector<std::int64_t>{3, 6, 6, 6, 6}));
    EXPECT_EQ(held_after_chunks(0, 4, 3), (std::vector<std::int64_t>{3, 6, 7, 7, 7}));
    EXPECT_EQ(held_after_chunks(3, 1, 3), (std::vector<std::int64_t>{3, 6, 7, 7, 7}));
    EXPECT_EQ(held_after_chunks(0, 3, 1), (std::vector<std::int64_t>{1, 4, 6, 6, 6}));
}

} // namespace
} // namespace wander::test
