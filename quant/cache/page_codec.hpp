#pragma once
// Pages seen as values: shapes, options, views, packing and unpacking of single pages. Stateless but for the sizes.

#include "quant/cache/page_arena.hpp"
#include "quant/cache/page_table.hpp"
#include "quant/format.hpp"
#include "quant/kv_cache.hpp"

#include <ATen/core/Tensor.h>

namespace wander::quant {

class PageCodec {
public:
    PageCodec(const CacheShape& shape, const CachePolicy& policy, at::ScalarType compute);

    PageShape page_shape(const PageGroup& group, bool is_key) const;
    EncodeOptions options(const PageGroup& group, int layer, bool is_key) const;
    std::int64_t raw_bytes(const PageGroup& group) const;

    // Uncompressed page as [tokens, heads, head_dim]; shares the page's memory.
    at::Tensor raw_view(const PageGroup& group, const Page& page) const;
    Page new_raw_page(const PageGroup& group, PageArena& arena) const;

    // Values of latents [first, first + count) of a page in any format: [tokens, heads, head_dim], compute type.
    at::Tensor read(const PageGroup& group, int layer, bool is_key, int first, int count) const;

    // Replaces the page's bytes by the same values in `target`, one page extra at a time (two where both formats are
    // packed: the values pass through an uncompressed page). The source is freed before this returns.
    void convert(const PageGroup& group, int layer, bool is_key, Page& page, const PageFormat& target,
                 PageArena& arena) const;

private:
    void decode_to_raw(const PageGroup& group, int layer, bool is_key, Page& page, PageArena& arena) const;
    void decode(const PageGroup& group, int layer, bool is_key, const Page& page, int first_token, int tokens,
                at::Tensor& out) const;

    CacheShape shape_;
    int centroids_;
    std::uint64_t seed_;
    at::ScalarType compute_;
};

} // namespace wander::quant
