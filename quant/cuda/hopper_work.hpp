#pragma once
// How one launch of Hopper's attention kernel shares its work out: tiles of queries of one head, each over all tiles of
// keys, to as many thread blocks as there are multiprocessors, all with the same amount. Plain arithmetic, on the host
// and the device alike. Where blocks go in pairs, a block here is a pair, which has a tile of twice as many queries.
//
// Blocks take whole query tiles in rounds. What is left for the last round, fewer tiles than blocks, is cut along the
// keys: each of these tiles gets the same number of blocks of its own, with a section of the keys each, and the blocks
// that remain share what the sections leave. (Where there are few of those, all blocks share the whole tiles so.)
// Blocks that do the same section of tiles of one head read the same keys at the same time, which keeps them in the L2
// cache. A tile that several blocks share has parts, which the block that is done last puts together.

#ifdef __CUDACC__
#define WANDER_BOTH __host__ __device__
#else
#define WANDER_BOTH
#endif

namespace wander::quant::cuda::hopper {

struct Work {
    int tiles = 0;     // of queries, all heads
    int key_tiles = 0; // of each
    int blocks = 0;
    int rounds = 0;   // of whole tiles
    int shared = 0;   // tiles behind those, which are cut
    int sections = 0; // of each, done by blocks of their own
    int section = 0;  // key tiles of one
    int rest = 0;     // key tiles of each that the sections leave
    int helpers = 0;  // blocks that share the rests
};

// What a block does at one time: key tiles [first, last) of a query tile.
struct Piece {
    int tile = 0;
    int first = 0, last = 0;
    int shared = -1; // which shared tile, -1: whole, by this block alone
    int part = 0;    // of the parts of the tile
    int parts = 1;
};

WANDER_BOTH inline int rests(const Work& work) { return work.shared * work.rest; }
// The first of the key tiles of all rests that a helper does, and the helper of one of them.
WANDER_BOTH inline int first_rest(const Work& work, int helper) { return helper * rests(work) / work.helpers; }
WANDER_BOTH inline int helper_of(const Work& work, int rest) { return ((rest + 1) * work.helpers - 1) / rests(work); }

inline Work share_out(int tiles, int key_tiles, int blocks) {
    Work work;
    work.tiles = tiles;
    work.key_tiles = key_tiles;
    work.blocks = blocks;
    work.rounds = tiles / blocks;
    work.shared = tiles % blocks;
    if (work.shared == 0) {
        return work;
    }
    work.section = (work.shared * key_tiles + blocks - 1) / blocks; // what each block has to do
    work.sections = blocks / work.shared;
    if (work.sections * work.section > key_tiles) { // short rows
        work.sections = key_tiles / work.section;
    }
    if (work.shared > 2 * (blocks - work.sections * work.shared)) {
        work.sections = work.section = 0; // too many pieces for each of the others: they all share the whole
    }
    work.rest = key_tiles - work.sections * work.section;
    const int others = blocks - work.sections * work.shared;
    work.helpers = rests(work) < others ? rests(work) : others;
    return work;
}

// About how long the launch takes, in key tiles of one block: what the busiest block does, and what pieces and launches
// cost beside it. Where all blocks share whole tiles, they read keys at many places at once, which the cache does not
// like.
inline long long cost_of(const Work& work) {
    constexpr int kPiece = 3, kLaunch = 6;
    long long cost = static_cast<long long>(work.rounds) * (work.key_tiles + kPiece) + kLaunch;
    if (work.shared == 0) {
        return cost;
    }
    const int of_a_helper = work.helpers > 0 ? (rests(work) + work.helpers - 1) / work.helpers : 0;
    const int pieces = work.rest > 0 ? (of_a_helper + work.rest - 1) / work.rest + 1 : 1;
    const int busiest = of_a_helper + pieces * kPiece;
    if (work.sections == 0) {
        return cost + busiest + busiest / 5;
    }
    return cost + (busiest > work.section + kPiece ? busiest : work.section + kPiece);
}

// Parts that wait for others have places of their own. Helpers and tiles go up together, so that no sum of them occurs
// twice.
WANDER_BOTH inline int place_of(const Work& work, int shared, int part) {
    if (part < work.sections) {
        return part * work.shared + shared;
    }
    const int helper = helper_of(work, shared * work.rest) + part - work.sections;
    return work.sections * work.shared + shared + helper;
}
inline int places(const Work& work) { return work.shared == 0 ? 0 : (work.sections + 1) * work.shared + work.helpers; }

// The index-th piece of a block, those of shared tiles first. False behind the last one.
WANDER_BOTH inline bool find_piece(const Work& work, int block, int index, Piece& piece) {
    const int owners = work.sections * work.shared;
    int before = 0; // pieces of shared tiles
    if (block < owners + work.helpers) {
        int shared = block % work.shared;
        int helper = -1, from = 0, to = 0;
        before = 1;
        if (block >= owners) {
            helper = block - owners;
            from = first_rest(work, helper);
            to = first_rest(work, helper + 1);
            shared = from / work.rest + index;
            before = (to - 1) / work.rest - from / work.rest + 1;
        }
        if (index < before) {
            piece.tile = work.rounds * work.blocks + shared;
            piece.shared = shared;
            piece.parts = work.sections;
            int first_helper = 0;
            if (work.rest > 0) {
                first_helper = helper_of(work, shared * work.rest);
                piece.parts += helper_of(work, shared * work.rest + work.rest - 1) - first_helper + 1;
            }
            if (helper < 0) {
                piece.part = block / work.shared;
                piece.first = piece.part * work.section;
                piece.last = piece.first + work.section;
            } else {
                const int begin = shared * work.rest; // of this tile's
                const int skipped = work.sections * work.section;
                piece.part = work.sections + helper - first_helper;
                piece.first = skipped + (from > begin ? from - begin : 0);
                piece.last = skipped + (to < begin + work.rest ? to - begin : work.rest);
            }
            return true;
        }
    }
    const int round = index - before;
    if (round >= work.rounds) {
        return false;
    }
    piece = {round * work.blocks + block, 0, work.key_tiles, -1, 0, 1};
    return true;
}

} // namespace wander::quant::cuda::hopper
