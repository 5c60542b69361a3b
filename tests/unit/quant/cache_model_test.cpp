// The cache against an independent model of it (cache_model.hpp): random chunks, switches of format and rules, clears;
// what is visible, what every page group is stored as, what it costs in bytes, and what attention gives.
#include "tests/unit/quant/cache_model.hpp"
#include "quant/format.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace wander::test {
namespace {

// Rows of the oracle for attention: what went in where a page was never packed, what the cache reads where it was
// (checked to be near what went in; a pruned latent is not).
at::Tensor history_rows(const quant::KvCache& cache, const CacheModel& model, const CacheSetup& setup, int layer,
                        const std::vector<std::int64_t>& history, bool keys, double read_error) {
    std::vector<at::Tensor> parts = {at::empty({0, setup.shape.heads, setup.shape.head_dim}, setup.compute)};
    for (const std::int64_t latent : history) {
        const at::Tensor& original = keys ? model.keys(latent, layer) : model.values(latent, layer);
        const at::Tensor read = keys ? cache.read_keys(layer, latent, 1) : cache.read_values(layer, latent, 1);
        if (model.untouched(latent, layer)) {
            EXPECT_TRUE(read.equal(original)) << "latent " << latent;
        } else if (read_error > 0) {
            const at::Tensor error = (read - original).to(at::kFloat);
            EXPECT_LT(error.square().mean().sqrt().item<double>(), read_error) << "latent " << latent;
        }
        parts.push_back(read);
    }
    return at::cat(parts, 0);
}

struct Machine {
    int steps = 40;
    std::vector<std::string> formats; // to switch between; empty: never
    bool rules = false;               // switches them too
    double tolerance = 1e-5;
    double read_error = 0.6; // of a packed value, root mean square; 0: not asked
};

Machine short_run(int steps) {
    Machine machine;
    machine.steps = steps;
    return machine;
}

quant::CacheRules random_rules(std::mt19937& draw, const Machine& machine, int layers) {
    quant::CacheRules rules;
    rules.keep_recent = 1 + static_cast<int>(draw() % 3);
    rules.keep_sink = draw() % 2 == 0;
    rules.bias_correction = draw() % 2 == 0;
    for (unsigned entries = draw() % 3; entries > 0; --entries) {
        const int first = static_cast<int>(draw() % static_cast<unsigned>(layers));
        const int last = first + static_cast<int>(draw() % static_cast<unsigned>(layers - first));
        rules.layer_formats.push_back({first, last, machine.formats[draw() % machine.formats.size()]});
    }
    return rules;
}

void check_ledger(const quant::KvCache& cache, const CacheModel& model) {
    const MemoryLedger ledger = cache.ledger();
    if (model.used_session_codebooks()) {
        EXPECT_GE(ledger.bytes(), model.bytes());
    } else {
        EXPECT_EQ(ledger.bytes(), model.bytes());
    }
    EXPECT_EQ(ledger.pages_waiting, model.waiting());
    EXPECT_EQ(cache.converter_idle(), model.waiting() == 0);
    for (const PageCell& cell : cache.pages()) {
        if (cell.format == "open") continue;
        EXPECT_EQ(cell.format, model.cell_format(cell.first_latent)) << "latent " << cell.first_latent;
        EXPECT_EQ(cell.lossy_history, model.lossy_history(cell.first_latent)) << "latent " << cell.first_latent;
    }
}

void run_machine(const CacheSetup& setup, unsigned seed, const Machine& machine) {
    std::mt19937 draw(seed);
    auto made = quant::KvCache::create(setup.shape, setup.policy, at::kCPU, setup.compute);
    ASSERT_TRUE(made) << made.error().message;
    quant::KvCache& cache = **made;
    CacheModel model(setup);
    for (int step = 0; step < machine.steps; ++step) {
        SCOPED_TRACE(testing::Message() << "seed " << seed << " step " << step << " format " << cache.format());
        if (!machine.formats.empty() && draw() % 3 == 0) {
            const std::string& format = machine.formats[draw() % machine.formats.size()];
            ASSERT_TRUE(cache.set_format(format)) << format;
            model.select(format);
        }
        if (machine.rules && draw() % 4 == 0) {
            const quant::CacheRules rules = random_rules(draw, machine, setup.shape.layers);
            ASSERT_TRUE(cache.set_rules(rules));
            model.set_rules(rules);
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
        model.before_writes(cache);
        std::vector<at::Tensor> keys;
        std::vector<at::Tensor> values;
        for (int layer = 0; layer < setup.shape.layers; ++layer) {
            keys.push_back(random_rows(setup, latents, draw()));
            values.push_back(random_rows(setup, latents, draw()));
            const at::Tensor q = random_rows(setup, latents, draw());
            const at::Tensor expected = dense_attention(
                setup, view, history_rows(cache, model, setup, layer, history, true, machine.read_error),
                history_rows(cache, model, setup, layer, history, false, machine.read_error), q, keys.back(),
                values.back(), model.noise(history, layer), model.one_row(history, layer));
            EXPECT_LT(relative_error(cache.attend(layer, q, keys.back(), values.back()), expected), machine.tolerance);
            cache.write(layer, keys.back(), values.back());
        }
        cache.commit();
        model.commit(cache, first, latents, keys, values);
        check_ledger(cache, model);
        // The newest chunk is uncompressed in every format.
        EXPECT_TRUE(cache.read_keys(0, first, latents).equal(keys[0]));
        EXPECT_TRUE(cache.read_values(setup.shape.layers - 1, first, latents).equal(values.back()));
        if (testing::Test::HasFailure()) return; // the rest would only repeat it
    }
}

TEST(CacheModel, UncompressedWalks) {
    run_machine(small_setup(2, 1, 6, 4), 1, {});
    run_machine(small_setup(2, 0, 5, 3), 2, {});
    run_machine(small_setup(2, 3, 1, 3), 3, short_run(30));
    run_machine(small_setup(2, 2, 0, 4), 4, short_run(20));
}

TEST(CacheModel, WalksThatToggle) {
    const Machine toggles{.formats = {"bf16", "int2", "qvg-int2"}};
    run_machine(small_setup(2, 1, 9, 4), 5, toggles);
    run_machine(small_setup(2, 0, 7, 3), 6, toggles);
    CacheSetup two_at_once = small_setup(2, 3, 12, 2);
    two_at_once.policy.convert_groups_per_commit = 2;
    run_machine(two_at_once, 7, toggles);
}

TEST(CacheModel, WalksThatToggleInBfloat16) {
    CacheSetup setup = small_setup(2, 1, 9, 4);
    setup.compute = at::kBFloat16;
    run_machine(setup, 8, {.formats = {"bf16", "int2", "qvg-int2"}, .tolerance = 2e-2});
}

// Pages large enough that most formats are smaller than BF16 there.
CacheSetup rules_setup(int sink, int window) {
    CacheSetup setup;
    setup.shape = {.layers = 3,
                   .heads = 2,
                   .head_dim = 64,
                   .tokens_per_latent = 16,
                   .page_latents = 4,
                   .sink_latents = sink,
                   .window_latents = window};
    setup.time_pairs = 8;
    return setup;
}

std::vector<std::string> usable_formats(const CacheSetup& setup) {
    std::vector<std::string> names;
    for (const quant::PageFormat* format : quant::FormatRegistry::instance().formats()) {
        quant::CachePolicy policy = setup.policy;
        policy.format = format->name();
        if (quant::KvCache::create(setup.shape, policy, at::kCPU, setup.compute)) names.push_back(policy.format);
    }
    return names;
}

// Every format of the registry, with every rule, into and out of each other.
TEST(CacheModel, WalksThatSwitchFormatsAndRules) {
    const CacheSetup setup = rules_setup(1, 11);
    Machine machine;
    machine.formats = usable_formats(setup);
    machine.rules = true;
    machine.read_error = 0; // after some conversions a value may be anywhere near
    ASSERT_GE(machine.formats.size(), 3u);
    for (unsigned seed = 20; seed < 26; ++seed) run_machine(setup, seed, machine);
    run_machine(rules_setup(4, 9), 30, machine); // the sink can be packed
    CacheSetup two_at_once = rules_setup(2, 13);
    two_at_once.policy.convert_groups_per_commit = 2;
    run_machine(two_at_once, 31, machine);
}

// One format alone, so that each is packed and read in every run of the tests.
TEST(CacheModel, EveryFormatAloneWithTheBiasCorrection) {
    CacheSetup setup = rules_setup(4, 10);
    setup.policy.bias_correction = true;
    setup.policy.keep_sink = false;
    for (const std::string& format : usable_formats(setup)) {
        SCOPED_TRACE(format);
        setup.policy.format = format;
        Machine machine = short_run(14);
        machine.read_error = 0;
        run_machine(setup, 40, machine);
    }
}

TEST(CacheModel, WalksThatSwitchFormatsAndRulesInBfloat16) {
    CacheSetup setup = rules_setup(1, 11);
    setup.compute = at::kBFloat16;
    Machine machine;
    machine.formats = usable_formats(setup);
    machine.rules = true;
    machine.tolerance = 3e-2;
    machine.read_error = 0;
    run_machine(setup, 50, machine);
}

// A context that is made in one piece: its pages are there only after the chunk's plan was made.
TEST(CacheModel, WithNothingRecentKeptPagesArePackedAtTheirCommit) {
    CacheSetup setup = rules_setup(1, 11);
    setup.shape.sink_latents = 0;
    setup.shape.window_latents = 0;
    setup.policy.format = "fp8";
    for (const int keep_recent : {1, 0}) {
        setup.policy.keep_recent = keep_recent;
        auto cache = quant::KvCache::create(setup.shape, setup.policy, at::kCPU, setup.compute);
        ASSERT_TRUE(cache) << cache.error().message;
        const int latents = 2 * setup.shape.page_latents;
        (*cache)->begin_chunk(random_view(setup, {}, 0, latents, 1));
        const at::Tensor keys = random_rows(setup, latents, 2);
        for (int layer = 0; layer < setup.shape.layers; ++layer) (*cache)->write(layer, keys, keys);
        (*cache)->commit();
        for (int layer = 0; layer < setup.shape.layers; ++layer)
            EXPECT_EQ((*cache)->read_keys(layer, 0, latents).equal(keys), keep_recent == 1) << layer;
    }
}

TEST(CacheModel, WrongRulesChangeNothing) {
    const CacheSetup setup = rules_setup(1, 11);
    auto cache = quant::KvCache::create(setup.shape, setup.policy, at::kCPU, setup.compute);
    ASSERT_TRUE(cache);
    const quant::CacheRules before = (*cache)->rules();
    quant::CacheRules negative_recent;
    negative_recent.keep_recent = -1;
    const auto with_table = [](quant::LayerFormat entry) {
        quant::CacheRules rules;
        rules.layer_formats.push_back(std::move(entry));
        return rules;
    };
    for (const quant::CacheRules& wrong :
         {negative_recent, with_table({0, 3, "int2"}), with_table({2, 1, "int2"}), with_table({0, 0, "int3"})}) {
        const auto set = (*cache)->set_rules(wrong);
        ASSERT_FALSE(set);
        EXPECT_EQ(set.error().code, ErrorCode::wrong_use);
        EXPECT_EQ((*cache)->rules(), before);
    }
}

// Self-Forcing's sequences (self-forcing.md 5.3): latents held after each chunk of 3. Its window counts sink and chunk.
TEST(CacheModel, SelfForcingWindows) {
    const auto held_after_chunks = [](int sink, int window, int first_chunk) {
        CacheSetup setup = small_setup(2, sink, window, 3);
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
