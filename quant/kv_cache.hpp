#pragma once
// The paged KV cache of one walk: keys and values of all layers, un-rotated, in pages of a few latents.
//
// A page group is one block of latents: for every layer one page of K and one of V. The sink is a page group of
// its own. Exactly the sink and the last `window_latents` latents are visible, in every format; what is left of
// a page is masked and freed with the page. Life of a chunk, all on the worker thread:
//
//     begin_chunk(view)                      evicts, fixes positions and cameras for this chunk
//     attend(layer, q, k, v) ...             any number of passes; reads history + the chunk's own k, v
//     write(layer, k, v) for every layer     during the context pass, in their order, before or after the layer's
//                                            attend(): clean keys and values to the open page
//     commit()                               the chunk becomes history
//
// Full pages are packed, and the converter visits up to `convert_groups_per_commit` old page groups, in the context
// pass: a layer's pages once another layer is written (then this one was read for the last time), the last layer's at
// the commit. On a GPU that runs on a stream of its own beside the layers that follow. Uncompressed pages have the
// compute type. Packing happens once; only the converter changes a page again. The schedule depends on the chunk index
// alone, never on time. Not thread safe: owned by the worker.

#include "generator/plain/result.hpp"
#include "quant/plain/cache_rules.hpp"
#include "quant/plain/memory_ledger.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wander::quant {

struct CacheShape {
    int layers = 0;
    int heads = 0;
    int head_dim = 0;
    int tokens_per_latent = 0;
    int page_latents = 0;   // latents a page group holds (embedded world 4, Self-Forcing 3)
    int sink_latents = 0;   // first latents that never leave; a page group of their own
    int window_latents = 0; // last latents that are visible, sink not counted; <= 0: everything
};

struct CachePolicy : CacheRules {
    std::string format = "bf16";                   // registry name for pages that become full
    int centroids = 0;                             // per head and page; 0: default of the format
    int convert_groups_per_commit = 1;             // page groups that the converter visits at a chunk border
    AttentionType attention = AttentionType::bf16; // GPU
    std::int64_t slice_bytes = 40 << 20;           // GPU: expanded keys and values at one time
    int tile_tokens = 0;                           // CPU: most tokens of one tile; 0: chosen for the shape
    int heads_together = 0;                        // GPU: heads of one slice; 0: chosen for the shape
    int read_latents = 0; // history latents that a chunk reads at most (ReadView::chosen); 0: all that are visible
    // GPU, two branches in BF16 or E4M3, while new pages are uncompressed: expanded rows stay from one pass of a chunk
    // to the next, of as many layers as leave this much memory to others; less than 0: of none. Results are the same
    // bits.
    std::int64_t kept_rows_leave = -1;
    bool pack_beside = true; // false: everything at the commit, in the caller's stream
    std::uint64_t seed = 0;  // for centroid initialisation; nothing draws from a global generator
    int first_head = 0; // of a network whose heads are split among caches: pages are as those of a cache of all heads
};

// CachePolicy::kept_rows_leave of a program: what HY-WorldPlay's widest pass over a context and its decoder take at one
// time, and some to spare.
inline constexpr std::int64_t kKeptRowsLeave = std::int64_t{12} << 30;

// How un-rotated keys and values become what is attended, for one chunk.
//
// RoPE: head dim = 2 * (time_pairs + space_pairs) interleaved pairs (2j, 2j+1); pair j < time_pairs turns by
// time_position * time_frequency[j], the others by space_angle[token][j - time_pairs]. Self-Forcing uses the
// absolute latent index as position, the embedded world the slot (sink 0, window 1.., new chunk n).
// PRoPE (optional second branch): q' = P^T q, k' = P^-1 k, v' = P^-1 v on every group of 4 channels, result * P.
struct ReadView {
    std::int64_t first_latent = 0; // of the new chunk, absolute
    int latents = 1;               // of the new chunk
    // Absolute indices of the history that is read, ascending, out of what is visible; unset: all of that.
    std::optional<std::vector<std::int64_t>> chosen;
    std::vector<float> history_positions; // one per history latent that is read, oldest first
    std::vector<float> new_positions;     // one per latent of the chunk
    at::Tensor time_frequencies;          // float64 [time_pairs], CPU
    at::Tensor space_angles;              // float64 [tokens_per_latent, space_pairs], CPU
    bool prope = false;
    at::Tensor history_inverse; // float32 [history, 4, 4] P^-1, CPU
    at::Tensor new_projection;  // float32 [latents, 4, 4] P, CPU
    at::Tensor new_inverse;     // float32 [latents, 4, 4] P^-1, CPU
};

// A text's, of a layer: [tokens, heads, head_dim] (CPU: or [2, ..], by branch), compute type, on the cache's device.
struct TextRows {
    at::Tensor keys, values;
};

class KvCache {
public:
    // Fails with wrong_use for an unknown format or one that would not be smaller than BF16 on this shape.
    // compute: kFloat, kBFloat16 (or kDouble on the CPU, uncompressed only, for property tests).
    static Result<std::unique_ptr<KvCache>> create(const CacheShape& shape, const CachePolicy& policy,
                                                   at::Device device, at::ScalarType compute);
    ~KvCache();
    KvCache(const KvCache&) = delete;
    KvCache& operator=(const KvCache&) = delete;

    // Absolute indices of the latents that a chunk beginning at `first_latent` will see as history.
    // Callers fill ReadView.history_* for exactly these, or those they choose of them, then call begin_chunk.
    std::vector<std::int64_t> visible_history(std::int64_t first_latent) const;

    const CacheShape& shape() const;

    void begin_chunk(const ReadView& view);

    // q, k, v: [latents * tokens_per_latent, heads, head_dim], compute type, un-rotated, on the cache's device; rows
    // may lie apart. q may be written over. Softmax over visible history and the chunk itself (unmasked), scale
    // 1/sqrt(head_dim). Returns [branches, latents * tokens_per_latent, heads, head_dim]: branch 0 RoPE, branch 1 PRoPE
    // (times P). The branches of a row lie side by side: transpose(0, 1) is dense.
    at::Tensor attend(int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

    void write(int layer, const at::Tensor& k, const at::Tensor& v);
    void commit();
    void clear(); // but not the text

    // Outside begin_chunk() .. commit(), and between the passes of an abandoned chunk: every layer's text, which each
    // attend() reads in front of the history, neither turned by RoPE nor by cameras, alike in both branches. Empty: no
    // text. The tensors are shared, not copied; they belong to no page, and the ledger counts them
    // apart from the pages.
    void set_text(std::vector<TextRows> layers);

    // Between chunks: the next chunk begins at `first_latent`, later than where history ends; what lies between was
    // evicted in the walk that is being rebuilt. Without history it does nothing: any first chunk may begin anywhere.
    void skip_to(std::int64_t first_latent);

    // New pages use it from the next chunk on that begins; old page groups wait for the converter.
    Result<void> set_format(const std::string& format);
    const std::string& format() const;
    bool converter_idle() const;

    // Between chunks. Wrong_use, and nothing changes, for rules that this cache cannot have. A new layer table is for
    // the converter as a new format is; a page that keep_recent or keep_sink would have kept is not unpacked for it.
    // Pages packed while the correction was off have no noise figure and are never corrected.
    Result<void> set_rules(const CacheRules& rules);
    const CacheRules& rules() const;

    // The cached un-rotated values of a latent range as they would be read: [tokens, heads, head_dim], compute type.
    at::Tensor read_keys(int layer, std::int64_t first_latent, int latents) const;
    at::Tensor read_values(int layer, std::int64_t first_latent, int latents) const;

    // Changes with everything that history's expanded rows depend on: the latents that are read, what their pages hold,
    // their places and cameras, the text in front of them; but not with the factors of E4M3 rows, which are measured
    // anew behind each begin_chunk(). Equal numbers: a chunk's pass reads as an earlier one did.
    std::uint64_t history_number() const;

    MemoryLedger ledger() const;
    std::vector<PageCell> pages() const;

    struct StageTimes {
        double expand_ms = 0; // since the last take_times(), worker thread or device time
        double encode_ms = 0;
    };
    StageTimes take_times();

    // What attention ran in: cuDNN's name for its engine, or the library; empty before the first attend().
    std::string attention_engine() const;

private:
    struct Impl;
    explicit KvCache(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace wander::quant
