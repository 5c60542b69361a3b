#pragma once
// When pages change their format: once when their group is full, later only when the selected format changed.
//
// What changes in a chunk is planned when the chunk begins: the groups that are older than the newest chunks by then,
// and some that wait for a format selected later. Their pages change in the context pass, layer by layer: a layer's
// once the pass has left that layer, the last one's at the commit. So packing runs beside the layers that follow
// (PackStream), and what it frees is free before the next chunk. The plan is a function of the commits so far, never of
// time. Worker thread only.

#include "quant/cache/pack_stream.hpp"
#include "quant/cache/page_arena.hpp"
#include "quant/cache/page_codec.hpp"
#include "quant/cache/page_table.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace wander::quant {

class Converter {
public:
    Converter(PageTable& table, PageArena& arena, CodebookStore& codebooks, const PageCodec& codec,
              const CachePolicy& policy, PackStream& packing, const PageFormat* format)
        : table_(table),
          arena_(arena),
          codebooks_(codebooks),
          codec_(codec),
          policy_(policy),
          packing_(packing),
          format_(format) {}

    void select(const PageFormat* format) { format_ = format; } // for the chunks that begin from now on
    const PageFormat* selected() const { return format_; }

    // At the beginning of a chunk; what an abandoned one planned is forgotten. To be packed for the first time: groups
    // that are full and older than the newest `keep_recent` chunks, this one included; it begins at `first_latent` and
    // holds `latents`. To be converted: up to `convert_groups_per_commit` other ones, oldest first.
    void plan(std::int64_t first_latent, int latents);
    // Nothing reads this layer's pages before the commit any more.
    void leave_layer(int layer);
    // What is left of the plan.
    void finish();
    void forget_plan() { plan_.clear(); }

    std::int64_t waiting() const; // settled groups that are not in the selected formats

private:
    struct Planned {
        PageGroup* group = nullptr;
        std::optional<HostCopy> sketches; // of its latents, where a pruning format has to choose among them
    };

    bool wants_codebooks() const;
    const PageFormat* target(const PageGroup& group, int layer, const PageFormat* selected) const;
    bool is_done(const PageGroup& group, const PageFormat* selected) const;
    void sketch_latents();
    bool needs_change(const PageGroup& group, int layer) const;
    void change(Planned& planned, int first_layer, int end_layer);

    PageTable& table_;
    PageArena& arena_;
    CodebookStore& codebooks_;
    const PageCodec& codec_;
    const CachePolicy& policy_;
    PackStream& packing_;
    const PageFormat* format_;
    const PageFormat* planned_format_ = nullptr; // selected when the chunk began
    std::vector<Planned> plan_;                  // first to be packed, then to be converted
};

} // namespace wander::quant
