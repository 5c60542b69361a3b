#include "quant/cache/slices.hpp"

#include <algorithm>

namespace wander::quant {

namespace {

class Cutter {
public:
    explicit Cutter(const SliceRules& rules, int text_rows = 0) : rules_(rules), text_rows_(text_rows) {
        if (text_rows > 0) {
            add({.rows = text_rows, .text = true});
        }
    }

    void add(Run run, float log_weight = 0.0F, const at::Tensor* noise = nullptr) {
        while (run.rows > 0) {
            if (slices_.empty() || slices_.back().rows == most() || slices_.back().log_weight != log_weight ||
                slices_.back().noise != noise) {
                slices_.push_back({{}, 0, log_weight, noise});
            }
            Slice& slice = slices_.back();
            Run part = run;
            part.rows = std::min(run.rows, most() - slice.rows);
            slice.rows += part.rows;
            slice.runs.push_back(part);
            run.first_row += part.rows;
            run.first_token += part.rows;
            run.rows -= part.rows;
        }
    }
    std::vector<Slice> take() { return std::move(slices_); }

private:
    // Rows that the newest slice may have.
    int most() const {
        const bool is_long = static_cast<int>(slices_.size()) <= rules_.long_slices;
        return (is_long ? rules_.max_rows : rules_.max_rows - rules_.tokens_per_latent) +
               (slices_.size() == 1 ? text_rows_ : 0);
    }

    SliceRules rules_;
    int text_rows_; // of the first slice, beyond what the rules allow
    std::vector<Slice> slices_;
};

} // namespace

std::int64_t most_history_rows(const CacheShape& shape, const CachePolicy& policy) {
    int latents = shape.window_latents > 0 ? shape.sink_latents + shape.window_latents : 0;
    if (policy.read_latents > 0) latents = latents > 0 ? std::min(latents, policy.read_latents) : policy.read_latents;
    return std::int64_t{latents} * shape.tokens_per_latent;
}

std::vector<Slice> cut_slices(const SliceRules& rules, const PageCodec& codec, int layer,
                              const std::vector<HistorySegment>& segments, int own_rows, int history) {
    Cutter whole(rules, rules.text_rows);
    Cutter summaries(rules);
    const int tokens = rules.tokens_per_latent;
    for (const HistorySegment& segment : segments) {
        const Page& page = segment.group->keys[static_cast<std::size_t>(layer)];
        const at::Tensor* noise = rules.bias_correction && page.noise.defined() ? &page.noise : nullptr;
        const int table = segment.history_index - segment.page_latent;
        if (!page.format->prunes()) {
            const int first = segment.page_latent * tokens;
            whole.add({segment.group, first, first, segment.latents * tokens, table}, 0.0F, noise);
            continue;
        }
        const PageShape shape = codec.page_shape(*segment.group, true);
        const EncodeOptions options = codec.options(*segment.group, layer, true);
        for (int n = segment.page_latent; n < segment.page_latent + segment.latents; ++n) {
            const StoredLatent stored = page.format->stored(shape, options, n);
            if (stored.rows == tokens) {
                whole.add({segment.group, stored.row, n * tokens, stored.rows, table});
            } else { // a row for all tokens stands in the middle of the picture
                summaries.add({segment.group, stored.row, n * tokens + tokens / 2, stored.rows, table},
                              stored.log_weight);
            }
        }
    }
    whole.add({nullptr, 0, 0, own_rows, history});
    std::vector<Slice> slices = whole.take();
    for (Slice& slice : summaries.take()) {
        slices.push_back(std::move(slice));
    }
    return slices;
}

SliceLengths slice_lengths(bool any_length, std::int64_t latents, int tokens_per_latent, std::int64_t fitting) {
    constexpr std::int64_t kTileKeys = 128; // attention kernels walk keys in such steps
    constexpr std::int64_t kMinRows = 256;
    if (any_length || fitting < tokens_per_latent) {
        return {std::max(kMinRows, std::min(latents * tokens_per_latent, fitting / kTileKeys * kTileKeys)), kAllSlices};
    }
    const std::int64_t most = fitting / tokens_per_latent;
    const std::int64_t fewest = latents >= kLatentsToSplit ? 2 : 1;
    const std::int64_t slices = std::max((latents + most - 1) / most, fewest);
    const std::int64_t longer = latents % slices;
    return {(latents + slices - 1) / slices * tokens_per_latent, longer == 0 ? kAllSlices : static_cast<int>(longer)};
}

int heads_of_a_slice(int heads, int branches, int queries, int multiprocessors, std::int64_t rows_of_one_head) {
    const int tiles = (queries + kTileQueries - 1) / kTileQueries * branches;
    int best = 1;
    int fewest = 0;
    for (int together = 1; together <= heads; ++together) {
        if (heads % together != 0) {
            continue;
        }
        int rounds = 0;
        for (int first = 0; first < heads; first += together) {
            rounds += (std::min(together, heads - first) * tiles + multiprocessors - 1) / multiprocessors;
        }
        const bool long_enough = rows_of_one_head / together >= kLongSliceRows;
        if (fewest == 0 || rounds < fewest || (rounds == fewest && long_enough)) {
            fewest = rounds;
            best = together;
        }
    }
    return best;
}

CachedSlices cached_slices(const CachedSlicesOf& of) {
    const std::int64_t of_a_head = std::int64_t{of.branches} * of.head_dim; // bytes of a row of keys, or of values
    if (4 * of.rows * of.heads * of_a_head < kMuchTraffic) {                // keys and values, written and read
        return {};
    }
    for (int heads = of.heads_together; heads > 0; --heads) {
        const std::int64_t results = of.queries * heads * of_a_head * (of.slots + static_cast<int>(sizeof(float)));
        const std::int64_t rows = (kInCache - results) / (2 * of.lanes * heads * of_a_head);
        if (of.heads % heads == 0 && rows >= kLeastCachedRows) {
            return {heads, rows};
        }
    }
    return {};
}

} // namespace wander::quant
