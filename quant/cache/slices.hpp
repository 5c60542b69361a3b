#pragma once
// How the rows that a layer reads are cut into slices, for devices that attend to many rows at once. No device code.

#include "quant/cache/page_codec.hpp"
#include "quant/cache/page_table.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace wander::quant {

// Consecutive stored rows of one page, of the chunk's own keys and values, or of the text.
struct Run {
    const PageGroup* group = nullptr; // null: the chunk itself, or the text
    int first_row = 0;                // stored row in the page, or row of the chunk
    int first_token = 0;              // whose place the first row has, in the page or the chunk
    int rows = 0;
    int table_latent = 0; // row of the rotation tables for the page's (or chunk's) first latent
    bool text = false;    // never turned
};

// Runs that are attended to together. All their logits are corrected alike.
struct Slice {
    std::vector<Run> runs;
    int rows = 0;
    float log_weight = 0;              // ln of the tokens that one row stands for
    const at::Tensor* noise = nullptr; // of the one page that all rows come from, see quant/cache/logit_bias.hpp
};

// Rows of history that a chunk reads at most: those of all latents that stay visible, or of CachePolicy::read_latents
// of them. 0: there is no bound.
std::int64_t most_history_rows(const CacheShape& shape, const CachePolicy& policy);

inline constexpr int kAllSlices = 1 << 30;

struct SliceRules {
    int tokens_per_latent = 0;
    int max_rows = 0;             // of pages and the chunk; the text's rows stand in front of those of the first slice
    int long_slices = kAllSlices; // that many slices have max_rows, those behind them the tokens of one latent less
    bool bias_correction = false; // a page whose noise is known gets slices of its own
    int text_rows = 0;
};

// The text, the visible history, the chunk's own rows behind it, then rows that stand for whole latents. own_rows: of
// the chunk; history: visible latents before it.
std::vector<Slice> cut_slices(const SliceRules& rules, const PageCodec& codec, int layer,
                              const std::vector<HistorySegment>& segments, int own_rows, int history);

// Slices over `latents` latents when `fitting` rows have room: whole latents, as alike as can be, so that few lengths
// occur, and at least two of them from kLatentsToSplit latents on: the parts of a layer then come out more even over
// the multiprocessors. Where not even one latent fits, or with `any_length`, whole tiles of keys, all alike.
inline constexpr std::int64_t kLatentsToSplit = 6;
struct SliceLengths {
    std::int64_t rows = 0; // SliceRules::max_rows
    int long_slices = kAllSlices;
};
SliceLengths slice_lengths(bool any_length, std::int64_t latents, int tokens_per_latent, std::int64_t fitting);

// How many heads one slice holds, a divisor of all, so that the thread blocks of its attention (kTileQueries queries of
// one head each, one block a multiprocessor at a time) fill whole rounds: the fewest rounds over all heads; among those
// the most heads whose slices still hold kLongSliceRows rows, or else the fewest heads. `branches` heads go together;
// rows_of_one_head: rows that a slice would hold if it were one head's.
inline constexpr int kTileQueries = 128;
inline constexpr int kLongSliceRows = 8192;
int heads_of_a_slice(int heads, int branches, int queries, int multiprocessors, std::int64_t rows_of_one_head);

// Over long histories in E4M3, of which one layer's expanded rows would move kMuchTraffic bytes through the device's
// memory: slices so small that what is in use at one time (`lanes` slices, `slots` results of one byte a value, their
// sum in float) is kInCache bytes, which is what was found to stay in an L2 cache of 50 MB (docs/performance.md, "DRAM
// traffic"). The most heads, at most `heads_together` and a divisor of all, whose slices still hold kLeastCachedRows
// rows. heads 0: nothing has to change.
inline constexpr std::int64_t kMuchTraffic = 700'000'000;
inline constexpr std::int64_t kInCache = 20 << 20;
inline constexpr std::int64_t kLeastCachedRows = 4096;
struct CachedSlices {
    int heads = 0;
    std::int64_t rows = 0; // of a slice, at most
};
struct CachedSlicesOf {
    int heads = 0;
    int heads_together = 0;
    int branches = 1;
    int head_dim = 0;
    std::int64_t queries = 0;
    std::int64_t rows = 0; // that a layer reads
    int lanes = 0;
    int slots = 0;
};
CachedSlices cached_slices(const CachedSlicesOf& of);

} // namespace wander::quant
