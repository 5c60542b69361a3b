// Packing layer by layer in the context pass changes nothing but when it happens.
#include "tests/unit/quant/packed_walks.hpp"

#include "quant/format.hpp"

namespace wander::test {
namespace {

CacheSetup small_setup() {
    CacheSetup setup;
    setup.shape = {.layers = 3,
                   .heads = 2,
                   .head_dim = 64,
                   .tokens_per_latent = 16,
                   .page_latents = 4,
                   .sink_latents = 1,
                   .window_latents = 11};
    setup.time_pairs = 8;
    setup.policy.format = "int2";
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

TEST(PackedWalks, EqualThoseThatPackAtTheCommit) {
    const std::vector<std::string> formats = usable_formats(small_setup());
    ASSERT_GE(formats.size(), 10u);
    for (const std::string& format : formats) expect_same_walks(small_setup(), false, {format}, false);
    expect_same_walks(small_setup(), false, formats, true);
    expect_same_walks(small_setup(), false, {"qvg-stream", "bf16", "soft4", "int2"}, true);
}

TEST(PackedWalks, RepeatThemselves) {
    expect_same_walks(small_setup(), true, {"qvg-stream", "soft4", "int2", "bf16"}, true);
}

TEST(PackedWalks, BrokenPassesLeaveNoTrace) { expect_broken_passes_leave_no_trace(small_setup(), 1e-5); }

// The packed pages of one layer beside the raw ones, no more.
TEST(PackedWalks, HoldNoMoreThanThoseThatPackAtTheCommit) {
    const CacheSetup setup = small_setup();
    EXPECT_LE(peak_of_walk(setup, true), peak_of_walk(setup, false));
}

} // namespace
} // namespace wander::test
