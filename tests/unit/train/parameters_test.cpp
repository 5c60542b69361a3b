#include "generator/train/parameters.hpp"

#include "tests/unit/train/small_network.hpp"

#include <gtest/gtest.h>

namespace wander::train {
namespace {

TEST(Parameters, FirstValuesAreTheRecipes) {
    DitConfig config = test::small_network();
    config.dim = 320;
    config.heads = 5;
    const auto shapes = config.tensor_shapes();
    const Parameters p = random_dit(shapes, at::kCPU, test::generator_of(7));
    EXPECT_EQ(p.shapes(), shapes);
    for (const char* zero : {"time_projection.1.weight", "head.head.weight", "action_in.mlp.2.weight",
                             "blocks.0.self_attn.q.bias", "blocks.1.modulation", "head.modulation"}) {
        EXPECT_EQ(p.at(zero).abs().max().item<float>(), 0) << zero;
    }
    EXPECT_EQ(p.at("blocks.0.self_attn.norm_q.weight").min().item<float>(), 1);
    const auto near = [&](const char* name, double deviation) {
        EXPECT_NEAR(p.at(name).std().item<double>() / deviation, 1, 0.1) << name;
    };
    near("blocks.0.self_attn.q.weight", 0.7 / std::sqrt(320.0));
    near("patch_embedding.weight", 0.04);
    near("pose_embedding.0.weight", 0.06);
    near("map_embedding.fine", 0.3);
    EXPECT_NEAR(p.at("pose_embedding.world").std().item<double>(), 0.3, 0.1); // 48 values
    // The same seed, the same network; another seed another one.
    EXPECT_TRUE(at::equal(random_dit(shapes, at::kCPU, test::generator_of(7)).at("map_embedding.fine"),
                          p.at("map_embedding.fine")));
    EXPECT_FALSE(at::equal(random_dit(shapes, at::kCPU, test::generator_of(8)).at("map_embedding.fine"),
                           p.at("map_embedding.fine")));
}

TEST(Parameters, OtherPlacesKeepWhatIsKnown) {
    const DitConfig known = test::small_network(); // two places
    DitConfig wider = known;
    wider.pose_worlds = 4;
    const Parameters source = test::lively_parameters(known, 1);
    const auto loaded = load_dit_for_places(wider.tensor_shapes(), source.source(), known.tensor_shapes(),
                                            {1, -1, 0, -1}, at::kCPU, test::generator_of(2));
    ASSERT_TRUE(loaded) << loaded.error().message;
    for (const char* name : {"map_embedding.fine", "map_embedding.coarse", "pose_embedding.world"}) {
        EXPECT_TRUE(at::equal(loaded->at(name)[0], source.at(name)[1])) << name;
        EXPECT_TRUE(at::equal(loaded->at(name)[2], source.at(name)[0])) << name;
        EXPECT_GT(loaded->at(name)[1].abs().max().item<float>(), 0) << name;
        EXPECT_FALSE(at::equal(loaded->at(name)[1], loaded->at(name)[3])) << name;
    }
    EXPECT_TRUE(at::equal(loaded->at("head.head.weight"), source.at("head.head.weight")));
}

// A finer map says the same everywhere that lies between two cells of the coarser one, across the tile's border too.
TEST(Parameters, MapsOfOtherCellsAreResampled) {
    const DitConfig known = test::small_network();
    DitConfig finer = known;
    finer.map_fine_cells = known.map_fine_cells * 3 / 2;
    const Parameters source = test::lively_parameters(known, 1);
    const auto loaded = load_dit_for_places(finer.tensor_shapes(), source.source(), known.tensor_shapes(), {1, 0},
                                            at::kCPU, test::generator_of(2));
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_TRUE(at::equal(loaded->at("map_embedding.coarse")[0], source.at("map_embedding.coarse")[1]));
    const at::Tensor coarse = source.at("map_embedding.fine")[1], fine = loaded->at("map_embedding.fine")[0];
    const int n = known.map_fine_cells, m = finer.map_fine_cells;
    ASSERT_EQ(fine.size(2), m);
    for (const auto& [row, col] : {std::pair{0, 0}, {3, 6}, {4, 5}, {m - 1, 2}, {m - 1, m - 1}}) {
        const double z = row * static_cast<double>(n) / m, x = col * static_cast<double>(n) / m;
        const int z0 = static_cast<int>(z), x0 = static_cast<int>(x), z1 = (z0 + 1) % n, x1 = (x0 + 1) % n;
        const at::Tensor upper =
            coarse.select(1, z0).select(1, x0) * (1 - x + x0) + coarse.select(1, z0).select(1, x1) * (x - x0);
        const at::Tensor lower =
            coarse.select(1, z1).select(1, x0) * (1 - x + x0) + coarse.select(1, z1).select(1, x1) * (x - x0);
        const at::Tensor wanted = upper * (1 - z + z0) + lower * (z - z0);
        EXPECT_LT((fine.select(1, row).select(1, col) - wanted).abs().max().item<double>(), 1e-6) << row << ", " << col;
    }
}

TEST(Parameters, MissingTensorsAreNamed) {
    const DitConfig config = test::small_network();
    auto tensors = test::lively_parameters(config, 1).tensors();
    tensors.erase("head.head.bias");
    const auto loaded = Parameters::load(config.tensor_shapes(), Parameters(tensors).source(), at::kCPU, "transformer");
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::bad_input);
    EXPECT_NE(loaded.error().message.find("head.head.bias"), std::string::npos) << loaded.error().message;
}

TEST(Parameters, CopiesShareNothing) {
    Parameters first = test::lively_parameters(test::small_network(), 1);
    first.require_gradients(true);
    Parameters second = first.deep_copy();
    EXPECT_FALSE(second.at("head.head.bias").requires_grad());
    second.at("head.head.bias").fill_(5);
    EXPECT_NE(first.at("head.head.bias").max().item<float>(), 5);
    second.copy_from(first);
    EXPECT_TRUE(at::equal(second.at("head.head.bias"), first.at("head.head.bias")));
    EXPECT_EQ(first.count(), second.count());
}

} // namespace
} // namespace wander::train
