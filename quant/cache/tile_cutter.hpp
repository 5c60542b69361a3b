#pragma once
// How the rows that a layer reads are cut into tiles, for the CPU. Not thread safe.

#include "quant/cache/page_codec.hpp"
#include "quant/cache/page_table.hpp"
#include "quant/cpu/tiles.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace wander::quant {

// One tile of the history or of the chunk itself: where its rows lie, and how they turn.
template <class E>
struct Tile {
    const PageGroup* group = nullptr; // of a packed page; null: the rows lie uncompressed in memory
    bool text = false;                // its rows are read as they are
    std::ptrdiff_t branch_stride = 0; // text: from the first branch's rows to the second's; 0: both read the same
    const Page* keys = nullptr;       // packed pages
    const Page* values = nullptr;
    float log_weight = 0;        // ln of the tokens that one row stands for
    const E* key_rows = nullptr; // uncompressed, first head
    const E* value_rows = nullptr;
    int row = 0;    // stored row in the page, or row in memory
    int latent = 0; // row of the rotation tables
    int token = 0;  // of the first row, inside its latent
    int tokens = 0;
};

template <class E>
class TileCutter {
public:
    // Of the chunk at hand.
    struct OwnRows {
        const E* keys = nullptr;
        const E* values = nullptr;
        int latents = 0;
        int history = 0; // visible latents before it
    };

    // codec: stays where it is. wanted_tokens: of one tile at most; 0: as many as the kernels take.
    TileCutter(const CacheShape& shape, const PageCodec& codec, int wanted_tokens) : shape_(shape), codec_(codec) {
        const int tiles = tiles_for(shape.tokens_per_latent, wanted_tokens);
        tile_tokens_ = (shape.tokens_per_latent + tiles - 1) / tiles;
    }

    int tile_tokens() const { return tile_tokens_; } // of the longest tile

    // The text (null: none), the visible history, the chunk's own rows. Valid until the next call, and as long as the
    // rows that they point to.
    const std::vector<Tile<E>>& cut(int layer, const TextRows* text, const std::vector<HistorySegment>& segments,
                                    const OwnRows& chunk) {
        tiles_.clear();
        if (text) {
            add_text(*text);
        }
        for (const HistorySegment& segment : segments) {
            const auto at = static_cast<std::size_t>(layer);
            const Page& keys = segment.group->keys[at];
            const Page& values = segment.group->values[at];
            Tile<E> page;
            if (!keys.format->packed()) {
                page.key_rows = reinterpret_cast<const E*>(keys.bytes.template const_data_ptr<std::uint8_t>());
                page.value_rows = reinterpret_cast<const E*>(values.bytes.template const_data_ptr<std::uint8_t>());
                add_latents(page, segment.page_latent, segment.latents, segment.history_index);
                continue;
            }
            page.group = segment.group;
            page.keys = &keys;
            page.values = &values;
            add_packed(page, layer, segment);
        }
        Tile<E> own;
        own.key_rows = chunk.keys;
        own.value_rows = chunk.values;
        add_latents(own, 0, chunk.latents, chunk.history);
        return tiles_;
    }

private:
    static int tiles_for(int tokens, int wanted) {
        const int most = wanted > 0 ? std::min(wanted, cpu::kMaxTileTokens) : cpu::kMaxTileTokens;
        return (tokens + most - 1) / most;
    }
    std::ptrdiff_t row_stride() const { return static_cast<std::ptrdiff_t>(shape_.heads) * shape_.head_dim; }

    void add_text(const TextRows& rows) {
        Tile<E> tile;
        tile.text = true;
        const auto count = static_cast<int>(rows.keys.size(-3));
        if (rows.keys.dim() == 4) tile.branch_stride = count * row_stride();
        for (int row = 0; row < count; row += tile_tokens_) {
            tile.key_rows = static_cast<const E*>(rows.keys.const_data_ptr()) + row * row_stride();
            tile.value_rows = static_cast<const E*>(rows.values.const_data_ptr()) + row * row_stride();
            tile.tokens = std::min(tile_tokens_, count - row);
            tiles_.push_back(tile);
        }
    }

    // Latents [first_latent, first_latent + count) of dense rows whose tables begin at table_latent.
    void add_latents(const Tile<E>& rows, int first_latent, int count, int table_latent) {
        for (int n = 0; n < count; ++n) {
            Tile<E> tile = rows;
            tile.latent = table_latent + n;
            add_tiles(tile, (first_latent + n) * shape_.tokens_per_latent);
        }
    }

    void add_packed(const Tile<E>& page, int layer, const HistorySegment& segment) {
        const PageShape shape = codec_.page_shape(*page.group, true);
        const EncodeOptions options = codec_.options(*page.group, layer, true);
        for (int n = 0; n < segment.latents; ++n) {
            const StoredLatent stored = page.keys->format->stored(shape, options, segment.page_latent + n);
            Tile<E> tile = page;
            tile.latent = segment.history_index + n;
            if (stored.rows == shape_.tokens_per_latent) {
                add_tiles(tile, stored.row);
                continue;
            }
            tile.row = stored.row;
            tile.token = shape_.tokens_per_latent / 2; // a row for all tokens stands in the middle of the picture
            tile.tokens = stored.rows;
            tile.log_weight = stored.log_weight;
            tiles_.push_back(tile);
        }
    }

    // One latent whose rows begin at `row`.
    void add_tiles(Tile<E> tile, int row) {
        for (int token = 0; token < shape_.tokens_per_latent; token += tile_tokens_) {
            tile.row = row + token;
            tile.token = token;
            tile.tokens = std::min(tile_tokens_, shape_.tokens_per_latent - token);
            tiles_.push_back(tile);
            if (!tile.group) {
                tiles_.back().key_rows += tile.row * row_stride();
                tiles_.back().value_rows += tile.row * row_stride();
            }
        }
    }

    CacheShape shape_;
    const PageCodec& codec_;
    int tile_tokens_ = 0;
    std::vector<Tile<E>> tiles_;
};

} // namespace wander::quant
