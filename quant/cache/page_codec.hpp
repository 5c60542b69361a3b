#pragma once
// Pages seen as values: shapes, options, views, packing and unpacking. Stateless but for the sizes.

#include "quant/cache/codebook_store.hpp"
#include "quant/cache/page_arena.hpp"
#include "quant/cache/page_table.hpp"
#include "quant/format.hpp"
#include "quant/kv_cache.hpp"

#include <ATen/core/Tensor.h>

#include <vector>

namespace wander::quant {

// One page of a group.
struct PageRef {
    PageGroup* group = nullptr;
    int layer = 0;
    bool is_key = true;
    Page& page() const { return (is_key ? group->keys : group->values)[static_cast<std::size_t>(layer)]; }
};

class PageCodec {
public:
    PageCodec(const CacheShape& shape, const CachePolicy& policy, at::ScalarType compute);

    void set_bias_correction(bool on) { bias_correction_ = on; } // for pages packed from now on

    PageShape page_shape(const PageGroup& group, bool is_key) const;
    EncodeOptions options(const PageGroup& group, int layer, bool is_key) const {
        return options(group, layer, is_key, (is_key ? group.keys : group.values)[static_cast<std::size_t>(layer)]);
    }
    std::int64_t raw_bytes(const PageGroup& group) const;

    // Uncompressed page as [tokens, heads, head_dim]; shares the page's memory.
    at::Tensor raw_view(const PageGroup& group, const Page& page) const;
    Page new_raw_page(const PageGroup& group, PageArena& arena) const;

    // Values of latents [first, first + count) of a page in any format: [tokens, heads, head_dim], compute type. Where
    // a format keeps one row for a latent, all its tokens have that row.
    at::Tensor read(const PageGroup& group, int layer, bool is_key, int first, int count) const;

    // The pages' values in `target`, as new pages; the old ones stay. All pages are of one group and none of them is in
    // `target` already. Extra memory beside the result: where source and target are packed one uncompressed page each.
    // batch_pages() pages together need about one uncompressed page. Formats with a session codebook take theirs from
    // `codebooks`.
    std::vector<Page> convert(const std::vector<PageRef>& pages, const PageFormat& target, PageArena& arena,
                              CodebookStore& codebooks) const;
    std::size_t batch_pages(const PageGroup& group, const Page& page, const PageFormat& target) const;

private:
    // page: of this group, layer and kind; the one that is there, or the one that is being made.
    EncodeOptions options(const PageGroup& group, int layer, bool is_key, const Page& page) const;
    // source: the values of each page, uncompressed.
    std::vector<Page> encode(const std::vector<PageRef>& pages, const std::vector<at::Tensor>& sources,
                             const PageFormat& target, PageArena& arena, CodebookStore& codebooks) const;
    at::Tensor as_rows(const PageGroup& group, const at::Tensor& raw_bytes) const;
    void decode_rows(const PageGroup& group, int layer, bool is_key, const Page& page, int first_row, int rows,
                     at::Tensor& out) const;
    void decode(const PageGroup& group, int layer, bool is_key, const Page& page, int first, int count,
                at::Tensor& out) const;
    void note_noise(const PageRef& ref, const at::Tensor& source, Page& packed) const;

    CacheShape shape_;
    int centroids_;
    bool bias_correction_;
    std::uint64_t seed_;
    int first_head_;
    at::ScalarType compute_;
};

} // namespace wander::quant
