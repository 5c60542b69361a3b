// How Hopper's attention kernel shares its work out: every (tile, key tile) once, evenly, and the parts of a tile know
// each other.
#include "quant/cuda/hopper_work.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace wander::test {
namespace {

using namespace quant::cuda::hopper;

void check(int tiles, int key_tiles, int blocks) {
    SCOPED_TRACE(testing::Message() << tiles << " tiles of " << key_tiles << " on " << blocks);
    const Work work = share_out(tiles, key_tiles, blocks);
    std::vector<int> seen(static_cast<std::size_t>(tiles * key_tiles));
    std::vector<std::vector<Piece>> parts(static_cast<std::size_t>(work.shared));
    std::set<int> used;
    int most = 0, least = tiles * key_tiles;
    for (int block = 0; block < blocks; ++block) {
        int load = 0;
        Piece piece;
        for (int i = 0; find_piece(work, block, i, piece); ++i) {
            ASSERT_LT(piece.first, piece.last);
            load += piece.last - piece.first;
            for (int key = piece.first; key < piece.last; ++key)
                ++seen[static_cast<std::size_t>(piece.tile * key_tiles + key)];
            if (piece.shared < 0) {
                EXPECT_EQ(piece.parts, 1);
                continue;
            }
            const int place = place_of(work, piece.shared, piece.part);
            EXPECT_LT(place, places(work));
            EXPECT_TRUE(used.insert(place).second);
            parts[static_cast<std::size_t>(piece.shared)].push_back(piece);
        }
        most = std::max(most, load);
        least = std::min(least, load);
    }
    EXPECT_EQ(*std::min_element(seen.begin(), seen.end()), 1);
    EXPECT_EQ(*std::max_element(seen.begin(), seen.end()), 1);
    // Nobody has more than an even share, rounded up.
    EXPECT_LE(most, (tiles * key_tiles + blocks - 1) / blocks + 1);
    EXPECT_LE(least, most);
    for (const auto& tile : parts) {
        ASSERT_FALSE(tile.empty());
        std::set<int> indices;
        for (const Piece& piece : tile) {
            EXPECT_EQ(piece.parts, static_cast<int>(tile.size()));
            indices.insert(piece.part);
        }
        EXPECT_EQ(indices.size(), tile.size());
        EXPECT_EQ(*indices.begin(), 0);
        EXPECT_EQ(*indices.rbegin(), static_cast<int>(tile.size()) - 1);
    }
}

TEST(HopperWork, CoversEverythingOnce) {
    check(444, 187, 132);
    check(111, 27, 132);
    check(37, 1596, 132);
    check(264, 5, 132); // whole rounds alone
    check(1, 1, 132);
    check(3, 7, 132); // fewer pairs than blocks
    check(131, 1, 132);
    check(133, 2, 132);
    check(5, 3, 1);
    check(66, 27, 132); // no helpers
    check(74, 187, 132);
    check(148, 187, 132);
    for (int tiles = 1; tiles < 300; tiles += 7)
        for (int key_tiles = 1; key_tiles < 60; key_tiles += 4)
            for (const int blocks : {1, 57, 66, 132}) check(tiles, key_tiles, blocks);
}

} // namespace
} // namespace wander::test
