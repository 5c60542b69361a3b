#include "quant/kv_cache.hpp"

#include "quant/cache/attention.hpp"
#include "quant/cache/cache_checks.hpp"
#include "quant/cache/codebook_store.hpp"
#include "quant/cache/converter.hpp"
#include "quant/cache/history_reading.hpp"
#include "quant/cache/pack_stream.hpp"
#include "quant/cache/page_arena.hpp"
#include "quant/cache/page_codec.hpp"
#include "quant/cache/page_counts.hpp"
#include "quant/cache/page_table.hpp"
#include "quant/cache/row_writer.hpp"
#include "quant/format.hpp"

#include <c10/util/Exception.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace wander::quant {

struct KvCache::Impl {
    static constexpr int kNone = -1;

    Impl(const CacheShape& cache_shape, const CachePolicy& cache_policy, const PageFormat* format,
         at::Device cache_device, at::ScalarType compute_type)
        : shape(cache_shape),
          policy(cache_policy),
          compute(compute_type),
          codec(shape, policy, compute),
          arena(cache_device),
          codebooks(arena),
          table(shape),
          packing(arena, cache_device, policy.pack_beside),
          converter(table, arena, codebooks, codec, policy, packing, format),
          attention(make_attention(shape, policy, cache_device, compute)) {
        arena.set_scratch(attention->scratch_bytes());
    }
    ~Impl() { packing.join(); } // then pages may go
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void evict(std::int64_t first_latent) {
        for (auto& group : table.evict(first_latent)) {
            release(*group);
        }
    }
    void release(PageGroup& group) {
        for (auto* pages : {&group.keys, &group.values}) {
            for (Page& page : *pages) {
                arena.release(page.bytes);
            }
        }
    }

    // Pages of the open block are there from the chunk's beginning, so that its memory is the same in every pass and
    // the peak does not depend on what runs beside which pass. What the twins of pages about to be packed take is left
    // out of it, in the last layers: those are opened when they are written, and by then as many layers were packed.
    void open_pages() {
        const std::int64_t twins = converter.twin_bytes();
        for (std::int64_t latent = chunk_first; latent < chunk_first + chunk_latents;) {
            PageGroup& group = table.group_for(latent);
            const std::int64_t later = (twins + 2 * codec.raw_bytes(group) - 1) / (2 * codec.raw_bytes(group));
            for (std::int64_t layer = 0; layer < std::max<std::int64_t>(1, shape.layers - later); ++layer) {
                open(group, static_cast<std::size_t>(layer));
            }
            latent = group.end_latent();
        }
    }
    void open(PageGroup& group, std::size_t layer) {
        for (auto* pages : {&group.keys, &group.values}) {
            Page& page = (*pages)[layer];
            if (!page.bytes.defined()) page = codec.new_raw_page(group, arena);
        }
    }

    // What kept rows leave to others from this chunk on: beside what the policy says, what the pages will still take
    // until the window is full, or, where it has no end, for this chunk.
    std::int64_t rows_leave(int latents) const {
        if (policy.kept_rows_leave < 0 || converter.selected()->packed()) return -1;
        std::int64_t growth = latents + shape.page_latents;
        if (shape.window_latents > 0) {
            growth = shape.sink_latents + shape.window_latents + 2 * shape.page_latents;
            for (const auto& group : table.groups()) growth -= group->capacity;
        }
        return policy.kept_rows_leave + std::max<std::int64_t>(0, growth) * latent_bytes();
    }
    std::int64_t latent_bytes() const { // uncompressed keys and values of all layers
        return std::int64_t{2} * shape.layers * shape.heads * shape.head_dim * shape.tokens_per_latent *
               static_cast<std::int64_t>(c10::elementSize(compute));
    }

    std::uint64_t history_number() const { return table.changes() + reading.changes(); } // both only grow
    void forget_stale_rows() {
        if (history_number() == rows_number) return;
        rows_number = history_number();
        attention->forget_rows();
    }

    // rows: of whole latents that the group takes, from its token `group_token` on.
    void store(PageGroup& group, std::size_t layer, const RowPair& rows, std::int64_t group_token) {
        const std::int64_t count = rows.keys.size(0);
        write_rows(rows, {codec.raw_view(group, group.keys[layer]).narrow(0, group_token, count),
                          codec.raw_view(group, group.values[layer]).narrow(0, group_token, count)});
    }

    at::Tensor read(int layer, bool is_key, std::int64_t first_latent, int latents) {
        TORCH_CHECK(layer >= 0 && layer < shape.layers, "KvCache: no layer ", layer);
        packing.join_layer(layer);
        std::vector<at::Tensor> parts;
        for (std::int64_t latent = first_latent; latent < first_latent + latents;) {
            const PageGroup* group = table.find(latent);
            TORCH_CHECK(group && latent < group->first_latent + group->held, "KvCache: latent ", latent,
                        " is not held");
            const int inside = static_cast<int>(latent - group->first_latent);
            const int count =
                static_cast<int>(std::min<std::int64_t>(group->held - inside, first_latent + latents - latent));
            parts.push_back(codec.read(*group, layer, is_key, inside, count));
            latent += count;
        }
        return at::cat(parts, 0);
    }

    void check_rows(const at::Tensor& tensor, const char* name) const {
        TORCH_CHECK(
            tensor.dim() == 3 && tensor.size(0) == static_cast<std::int64_t>(chunk_latents) * shape.tokens_per_latent &&
                tensor.size(1) == shape.heads && tensor.size(2) == shape.head_dim && tensor.scalar_type() == compute,
            "KvCache: ", name, " must be [latents * tokens, heads, head_dim] in the cache's compute type");
    }

    CacheShape shape;
    CachePolicy policy;
    at::ScalarType compute;
    PageCodec codec;
    PageArena arena; // before what holds its memory
    CodebookStore codebooks;
    PageTable table;
    PackStream packing;
    Converter converter;
    std::unique_ptr<Attention> attention;
    HistoryReading reading;
    std::uint64_t rows_number = 0; // history_number() that attention was told of

    bool in_chunk = false;
    std::int64_t chunk_first = 0; // latent of the newest chunk, begun or committed
    int chunk_latents = 0;
    std::int64_t text_bytes = 0; // of what set_text() was given
    std::vector<HistorySegment> segments;
    std::vector<bool> written;
    int newest_written = kNone; // layer of the newest write() in this chunk
};

KvCache::KvCache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KvCache::~KvCache() = default;

Result<std::unique_ptr<KvCache>> KvCache::create(const CacheShape& shape, const CachePolicy& policy, at::Device device,
                                                 at::ScalarType compute) {
    if (auto checked = check_shape(shape, device, compute); !checked) {
        return checked.error();
    }
    auto format = find_format(policy.format, shape, compute);
    if (!format) {
        return format.error();
    }
    if (auto checked = check_rules(policy, shape, compute); !checked) {
        return checked.error();
    }
    if (auto checked = check_attention(shape, policy, device, compute); !checked) {
        return checked.error();
    }
    return std::unique_ptr<KvCache>(new KvCache(std::make_unique<Impl>(shape, policy, *format, device, compute)));
}

std::vector<std::int64_t> KvCache::visible_history(std::int64_t first_latent) const {
    return impl_->table.visible(first_latent);
}

const CacheShape& KvCache::shape() const { return impl_->shape; }

void KvCache::begin_chunk(const ReadView& view) {
    Impl& impl = *impl_;
    impl.packing.join(); // an abandoned chunk may have begun to pack
    if (!impl.table.has_history()) {
        clear(); // an abandoned first chunk may have left pages
        impl.table.begin_walk(view.first_latent);
    } else {
        TORCH_CHECK(view.first_latent == impl.table.next_latent(), "KvCache: chunk begins at latent ",
                    view.first_latent, ", history ends at ", impl.table.next_latent());
    }
    impl.evict(view.first_latent);
    impl.segments = view.chosen ? impl.table.segments_of(*view.chosen) : impl.table.segments(view.first_latent);
    const int history = impl.segments.empty() ? 0 : impl.segments.back().history_index + impl.segments.back().latents;
    impl.reading.begin_chunk(view);
    impl.forget_stale_rows();
    impl.attention->keep_rows(impl.rows_leave(view.latents));
    impl.attention->begin_chunk(view, history);
    impl.arena.set_scratch(impl.attention->scratch_bytes());
    impl.chunk_first = view.first_latent;
    impl.chunk_latents = view.latents;
    impl.written.assign(static_cast<std::size_t>(impl.shape.layers), false);
    impl.newest_written = Impl::kNone;
    impl.in_chunk = true;
    impl.converter.plan(impl.chunk_first, impl.chunk_latents);
    impl.open_pages();
}

at::Tensor KvCache::attend(int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    Impl& impl = *impl_;
    TORCH_CHECK(impl.in_chunk, "KvCache: attend() outside begin_chunk() .. commit()");
    TORCH_CHECK(layer >= 0 && layer < impl.shape.layers, "KvCache: no layer ", layer);
    impl.check_rows(q, "q");
    impl.check_rows(k, "k");
    impl.check_rows(v, "v");
    impl.packing.join_layer(layer);
    impl.converter.attention_begins();
    impl.forget_stale_rows(); // in a context pass pages may change
    return impl.attention->attend(layer, impl.segments, q, k, v);
}

void KvCache::write(int layer, const at::Tensor& k, const at::Tensor& v) {
    Impl& impl = *impl_;
    TORCH_CHECK(impl.in_chunk, "KvCache: write() outside begin_chunk() .. commit()");
    TORCH_CHECK(layer >= 0 && layer < impl.shape.layers, "KvCache: no layer ", layer);
    impl.check_rows(k, "k");
    impl.check_rows(v, "v");
    if (impl.policy.pack_beside && impl.newest_written != Impl::kNone && impl.newest_written != layer) {
        impl.converter.leave_layer(impl.newest_written);
    }
    impl.newest_written = layer;
    const std::int64_t tokens = impl.shape.tokens_per_latent;
    for (int n = 0; n < impl.chunk_latents;) {
        const std::int64_t latent = impl.chunk_first + n;
        PageGroup& group = impl.table.group_for(latent);
        const std::int64_t count = std::min<std::int64_t>(group.end_latent() - latent, impl.chunk_latents - n);
        const std::int64_t group_token = (latent - group.first_latent) * tokens;
        const auto index = static_cast<std::size_t>(layer);
        impl.open(group, index);
        impl.store(group, index, {k.narrow(0, n * tokens, count * tokens), v.narrow(0, n * tokens, count * tokens)},
                   group_token);
        n += static_cast<int>(count);
    }
    impl.written[static_cast<std::size_t>(layer)] = true;
}

void KvCache::commit() {
    Impl& impl = *impl_;
    TORCH_CHECK(impl.in_chunk && std::find(impl.written.begin(), impl.written.end(), false) == impl.written.end(),
                "KvCache: commit() before every layer was written");
    impl.in_chunk = false;
    impl.table.commit(impl.chunk_first, impl.chunk_latents);
    impl.converter.finish(impl.chunk_first, impl.chunk_latents);
}

void KvCache::clear() {
    Impl& impl = *impl_;
    impl.packing.join();
    impl.converter.forget_plan();
    for (auto& group : impl.table.groups()) {
        impl.release(*group);
    }
    impl.table.clear();
    impl.codebooks.clear();
    impl.segments.clear();
    impl.in_chunk = false;
    impl.chunk_first = 0;
    impl.chunk_latents = 0;
}

void KvCache::set_text(std::vector<TextRows> layers) {
    Impl& impl = *impl_;
    TORCH_CHECK(layers.empty() || std::ssize(layers) == impl.shape.layers, "KvCache: a text needs all layers");
    for (const TextRows& rows : layers) {
        for (const at::Tensor& tensor : {rows.keys, rows.values}) {
            // On the CPU also the rows of each branch, quant/cache/branch_rows.hpp.
            const bool by_branch = tensor.dim() == 4 && tensor.size(0) == 2 && tensor.is_cpu();
            TORCH_CHECK((tensor.dim() == 3 || by_branch) && tensor.size(-3) > 0 &&
                            tensor.sizes() == layers.front().keys.sizes() && tensor.size(-2) == impl.shape.heads &&
                            tensor.size(-1) == impl.shape.head_dim && tensor.is_contiguous() &&
                            tensor.scalar_type() == impl.compute,
                        "KvCache: text must be dense [tokens, heads, head_dim] in the cache's compute type");
        }
    }
    impl.in_chunk = false; // scratch may have another size: the next pass begins anew
    impl.text_bytes = 0;
    for (const TextRows& rows : layers)
        impl.text_bytes += static_cast<std::int64_t>(rows.keys.nbytes() + rows.values.nbytes());
    impl.reading.note_change();
    impl.attention->set_text(std::move(layers));
    impl.arena.set_scratch(impl.attention->scratch_bytes());
}

void KvCache::skip_to(std::int64_t first_latent) {
    TORCH_CHECK(!impl_->in_chunk, "KvCache: skip_to() inside begin_chunk() .. commit()");
    if (!impl_->table.has_history()) return;
    TORCH_CHECK(first_latent >= impl_->table.next_latent(), "KvCache: cannot skip back to latent ", first_latent);
    impl_->table.skip_to(first_latent);
}

Result<void> KvCache::set_format(const std::string& format) {
    auto found = find_format(format, impl_->shape, impl_->compute);
    if (!found) {
        return found.error();
    }
    impl_->converter.select(*found);
    if ((*found)->packed()) {
        impl_->attention->keep_rows(-1);
        impl_->arena.set_scratch(impl_->attention->scratch_bytes());
    }
    impl_->policy.format = std::string((*found)->name());
    return {};
}

const std::string& KvCache::format() const { return impl_->policy.format; }

Result<void> KvCache::set_rules(const CacheRules& rules) {
    Impl& impl = *impl_;
    TORCH_CHECK(!impl.in_chunk, "KvCache: set_rules() inside begin_chunk() .. commit()");
    if (auto checked = check_rules(rules, impl.shape, impl.compute); !checked) {
        return checked;
    }
    impl.packing.join();
    impl.converter.forget_plan(); // twins of an abandoned chunk
    static_cast<CacheRules&>(impl.policy) = rules;
    impl.codec.set_bias_correction(rules.bias_correction);
    impl.attention->set_bias_correction(rules.bias_correction);
    return {};
}

const CacheRules& KvCache::rules() const { return impl_->policy; }

bool KvCache::converter_idle() const { return impl_->converter.waiting() == 0; }

at::Tensor KvCache::read_keys(int layer, std::int64_t first_latent, int latents) const {
    return impl_->read(layer, true, first_latent, latents);
}

at::Tensor KvCache::read_values(int layer, std::int64_t first_latent, int latents) const {
    return impl_->read(layer, false, first_latent, latents);
}

std::uint64_t KvCache::history_number() const { return impl_->history_number(); }

MemoryLedger KvCache::ledger() const {
    const Impl& impl = *impl_;
    MemoryLedger ledger = count_pages(impl.table, impl.codebooks, impl.shape, impl.chunk_first);
    ledger.text_bytes = impl.text_bytes;
    ledger.kept_row_bytes = impl.attention->kept_row_bytes();
    ledger.scratch_bytes = impl.arena.scratch_bytes() - ledger.kept_row_bytes;
    ledger.peak_bytes = impl.arena.peak_bytes();
    ledger.pages_waiting = impl.converter.waiting();
    return ledger;
}

std::vector<PageCell> KvCache::pages() const { return page_cells(impl_->table, impl_->chunk_first); }

std::string KvCache::attention_engine() const { return impl_->attention->engine(); }

KvCache::StageTimes KvCache::take_times() {
    StageTimes times;
    times.expand_ms = impl_->attention->take_expand_ms();
    times.encode_ms = impl_->packing.take_ms();
    return times;
}

} // namespace wander::quant
