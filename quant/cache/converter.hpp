#pragma once
// When pages change their format: once when their group is full, later only when the selected format changed.
//
// What changes in a chunk is planned when the chunk begins: the groups that are older than the newest chunks by then,
// and some that wait for a format selected later. Uncompressed pages get their packed twins while the chunk's passes
// read them, a layer at every few attentions, beside the passes (PackStream). In the context pass the twin takes the
// page's place once the pass has left that layer (the last layer's at the commit); what has no twin by then is changed
// there. So no pass has much to pack, and every pass reads what it would read without all this. The plan is a function
// of the calls so far, never of time. Worker thread only.

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

    // At the beginning of a chunk. To be packed for the first time: groups that are full and older than the newest
    // `keep_recent` chunks, this one included; it begins at `first_latent` and holds `latents`. To be converted: up to
    // `convert_groups_per_commit` other ones, oldest first. Twins that an abandoned chunk left are kept where they fit.
    void plan(std::int64_t first_latent, int latents);
    std::int64_t twin_bytes() const; // of all twins that the plan will have at most
    // A layer is attended to.
    void attention_begins();
    // Nothing reads this layer's pages before the commit any more, or the twins may be read instead.
    void leave_layer(int layer);
    // What is left of the plan for the chunk that plan() was told of, which is history now.
    void finish(std::int64_t first_latent, int latents);
    void forget_plan();

    std::int64_t waiting() const; // settled groups that are not in the selected formats

private:
    struct Planned {
        PageGroup* group = nullptr;
        std::optional<HostCopy> sketches; // of its latents, where a pruning format has to choose among them
        std::vector<Page> keys, values;   // twins, one a layer; no format: none
        Page& twin(const PageRef& ref) { return (ref.is_key ? keys : values)[static_cast<std::size_t>(ref.layer)]; }
    };
    // Four passes that denoise and the context pass, which leaves out the last layer's: six of 30 layers a pass.
    static constexpr int kAttentionsALayer = 5;

    // Groups that are to be packed for the first time.
    std::vector<PageGroup*> due(std::int64_t first_latent, int latents) const;
    bool wants_codebooks() const;
    const PageFormat* target(const PageGroup& group, int layer, const PageFormat* selected) const;
    bool is_done(const PageGroup& group, const PageFormat* selected) const;
    void add_to_plan(PageGroup& group, std::vector<Planned>& before);
    void sketch_latents();
    void decide_latents(Planned& planned);
    bool needs_change(const PageGroup& group, int layer) const;
    bool wants_twins(Planned& planned, int layer);
    void make_twins(Planned& planned, int layer);
    void take_twins(Planned& planned, int layer);
    void change(Planned& planned, int first_layer, int end_layer);
    void replace(const PageRef& ref, Page page);
    void drop_twins(Planned& planned);

    PageTable& table_;
    PageArena& arena_;
    CodebookStore& codebooks_;
    const PageCodec& codec_;
    const CachePolicy& policy_;
    PackStream& packing_;
    const PageFormat* format_;
    const PageFormat* planned_format_ = nullptr; // selected when the chunk began
    std::vector<Planned> plan_;                  // first to be packed, then to be converted
    std::vector<PackStream::Ticket> twin_turns_; // that made the twins of a layer; missing: none, or joined long ago
    int attentions_ = 0;                         // since the plan was made
    int next_twins_ = 0;                         // layer whose twins come next
};

} // namespace wander::quant
