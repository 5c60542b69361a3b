#pragma once
// How one launch of Hopper's attention kernel shares its work out: tiles of queries of one head, each over all tiles of
// keys, to as many thread blocks as there are multiprocessors, all with the same amount. Plain arithmetic, on the host
// and the device alike.
//
// Blocks take whole query tiles in rounds, so that those of one head read the same keys at about the same time. What is
// left for the last round, fewer tiles than blocks, is cut along the keys: the blocks share (tile, key tile) pairs of
// these evenly, in order. A tile that several blocks share has parts, which the block that is done last puts together.

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
    int rounds = 0;      // of whole tiles
    int shared = 0;      // tiles behind those, which are cut
    int sharers = 0;     // blocks that share them
    int pairs = 0;       // (tile, key tile) of the shared ones; times sharers it fits into an int
};

// What a block does at one time: key tiles [first, last) of a query tile.
struct Piece {
    int tile = 0;
    int first = 0, last = 0;
    int shared = -1;  // which shared tile, -1: whole, by this block alone
    int part = 0;     // of the parts of the tile
    int parts = 1;    //
    int first_block = 0; // of the tile's parts; part i is block first_block + i
};

inline Work share_out(int tiles, int key_tiles, int blocks) {
    Work work;
    work.tiles = tiles;
    work.key_tiles = key_tiles;
    work.blocks = blocks;
    work.rounds = tiles / blocks;
    work.shared = tiles % blocks;
    work.pairs = work.shared * key_tiles;
    work.sharers = work.pairs < blocks ? work.pairs : blocks;
    return work;
}

// The first pair of a sharer.
WANDER_BOTH inline int first_pair(const Work& work, int block) { return block * work.pairs / work.sharers; }
// The sharer of a pair: the last one whose first pair is not behind it.
WANDER_BOTH inline int sharer_of(const Work& work, int pair) {
    return ((pair + 1) * work.sharers - 1) / work.pairs;
}
// Partial results have places of their own; blocks and shared tiles go up together, so that no sum occurs twice.
WANDER_BOTH inline int place_of(int shared, int block) { return shared + block; }
inline int places(const Work& work) { return work.shared > 0 ? work.shared + work.sharers : 0; }

// The index-th piece of a block, those of shared tiles first. False behind the last one.
WANDER_BOTH inline bool find_piece(const Work& work, int block, int index, Piece& piece) {
    int shared_pieces = 0;
    if (block < work.sharers) {
        const int from = first_pair(work, block);
        const int to = first_pair(work, block + 1);
        const int first_shared = from / work.key_tiles;
        const int last_shared = (to - 1) / work.key_tiles;
        shared_pieces = last_shared - first_shared + 1;
        if (index < shared_pieces) {
            const int shared = first_shared + index;
            const int begin = shared * work.key_tiles;
            piece.tile = work.rounds * work.blocks + shared;
            piece.first = from > begin ? from - begin : 0;
            piece.last = to < begin + work.key_tiles ? to - begin : work.key_tiles;
            piece.shared = shared;
            piece.first_block = sharer_of(work, begin);
            piece.part = block - piece.first_block;
            piece.parts = sharer_of(work, begin + work.key_tiles - 1) - piece.first_block + 1;
            return true;
        }
    }
    const int round = index - shared_pieces;
    if (round >= work.rounds) {
        return false;
    }
    piece = {round * work.blocks + block, 0, work.key_tiles, -1, 0, 1, block};
    return true;
}

} // namespace wander::quant::cuda::hopper
