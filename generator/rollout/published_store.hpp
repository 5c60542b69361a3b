#pragma once
// The context of WAN-5B as Quant-VideoGen keeps it: the parity mode of long contexts, to compare with and not to walk
// in (qvg.md 8.2, hy-worldplay.md 8). Our own storage is KvCache's, un-rotated and half as large before any packing.
//
// What it does otherwise than the published context: a latent's keys and values are kept as they were when its chunk
// was finished, in both forms in which they are read. Before every second chunk, behind its context pass and in front
// of its first step, all that is not packed yet (two chunks; the start picture and the newest latents too) is packed,
// both forms of a head as one row. Nothing is evicted. A chunk reads all of it, expanded.
//
// On the CPU. Expanded rows of all layers are held for as long as a chunk is made, so it saves no memory. Not thread
// safe.

#include "quant/kv_cache.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace wander {

// One packed tensor, keys or values of one layer and span.
struct PackedRows {
    std::function<at::Tensor()> expanded; // as it was given, lossy
    std::int64_t bytes = 0;
};
// rows: [heads, tokens, 2 * head_dim], RoPE form and PRoPE form side by side. seed: of the span, layer and kind.
using RowPacker = std::function<PackedRows(const at::Tensor& rows, std::uint64_t seed)>;

// Quant-VideoGen's own settings; rows are rounded to bfloat16 first.
struct PublishedCodec {
    int clusters = 256; // per head, of k-means over a span's tokens
    int iterations = 2;
    int stages = 1;
    int bits = 2; // of the residual, symmetric: three levels
    int block = 64;
};
RowPacker published_packer(const PublishedCodec& codec = {});

class PublishedStore {
public:
    struct Event {
        std::int64_t chunk = 0; // before whose first step it is
        std::int64_t first_latent = 0;
        std::int64_t latents = 0;
        bool operator==(const Event&) const = default;
    };
    struct Bytes {
        std::int64_t packed = 0;
        std::int64_t packed_as_bf16 = 0; // both forms, as this store would keep them
        std::int64_t dense = 0;
    };

    // An empty packer packs nothing.
    explicit PublishedStore(RowPacker packer, std::uint64_t seed = 0);

    void clear();
    std::int64_t latents() const { return latents_; }

    // Behind a context pass over all latents 0..n-1, whose view this is and whose keys and values the cache holds:
    // keeps those of the latents that it has not yet, and packs where the next chunk packs.
    void take(const quant::KvCache& cache, const quant::ReadView& view);

    // Of each layer everything that is kept, [2, tokens, heads, head_dim], for KvCache::set_text().
    std::vector<quant::TextRows> rows() const;

    const std::vector<Event>& events() const { return events_; } // since clear()
    Bytes bytes() const;

private:
    struct Kind { // keys or values of one layer
        std::vector<PackedRows> spans;
        at::Tensor dense; // [2, tokens, heads, head_dim], undefined: none
    };
    void keep(Kind& kind, const at::Tensor& rows);
    void pack();
    at::Tensor expanded(const Kind& kind) const;

    RowPacker packer_;
    std::uint64_t seed_;
    std::vector<Kind> kinds_; // of layer n: 2 n keys, 2 n + 1 values
    std::int64_t latents_ = 0;
    std::int64_t dense_from_ = 0; // first latent that is not packed
    std::vector<Event> events_;
    Bytes bytes_;
};

} // namespace wander
