#include "quant/cache/page_codec.hpp"

#include <ATen/Functions.h>

#include <utility>

#if WANDER_CUDA
#include "quant/cuda/expand.hpp"

#include <c10/cuda/CUDAStream.h>
#endif

namespace wander::quant {
namespace {

// splitmix64: decorrelates seeds of neighbouring pages.
std::uint64_t mix(std::uint64_t state, std::uint64_t value) {
    std::uint64_t z = state + 0x9e3779b97f4a7c15ULL * (value + 1);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

} // namespace

PageCodec::PageCodec(const CacheShape& shape, const CachePolicy& policy, at::ScalarType compute)
    : shape_(shape), centroids_(policy.centroids), seed_(policy.seed), compute_(compute) {}

PageShape PageCodec::page_shape(const PageGroup& group, bool is_key) const {
    return {group.capacity * shape_.tokens_per_latent, shape_.heads, shape_.head_dim, is_key, compute_};
}

EncodeOptions PageCodec::options(const PageGroup& group, int layer, bool is_key) const {
    // Neither device nor schedule enters: the same page gets the same centroids whenever it is packed.
    const auto page_key = static_cast<std::uint64_t>(group.first_latent) * 2 + (is_key ? 0 : 1);
    return {centroids_, mix(mix(seed_, static_cast<std::uint64_t>(layer)), page_key)};
}

std::int64_t PageCodec::raw_bytes(const PageGroup& group) const {
    return static_cast<std::int64_t>(group.capacity) * shape_.tokens_per_latent * shape_.heads * shape_.head_dim *
           static_cast<std::int64_t>(c10::elementSize(compute_));
}

at::Tensor PageCodec::raw_view(const PageGroup& group, const Page& page) const {
    return page.bytes.view(compute_).view(
        {static_cast<std::int64_t>(group.capacity) * shape_.tokens_per_latent, shape_.heads, shape_.head_dim});
}

Page PageCodec::new_raw_page(const PageGroup& group, PageArena& arena) const {
    Page page;
    page.bytes = arena.allocate(raw_bytes(group));
    page.parts.raw = static_cast<std::int64_t>(page.bytes.nbytes());
    return page;
}

void PageCodec::decode(const PageGroup& group, int layer, bool is_key, const Page& page, int first_token, int tokens,
                       at::Tensor& out) const {
    const PageShape shape = page_shape(group, is_key);
    const EncodeOptions encode_options = options(group, layer, is_key);
#if WANDER_CUDA
    if (page.bytes.is_cuda()) {
        cuda::ExpandJob job;
        job.source = page.bytes.const_data_ptr();
        job.decoder = group.format->cuda_decoder();
        job.page_tokens = shape.tokens;
        job.centroids = encode_options.centroids;
        job.heads = shape.heads;
        job.head_dim = shape.head_dim;
        job.element = compute_ == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16;
        job.first_token = first_token;
        job.tokens = tokens;
        job.out = out.data_ptr();
        TORCH_CHECK(cuda::launch_expand(job, c10::cuda::getCurrentCUDAStream(page.bytes.device().index()).stream()),
                    "cache format ", group.format->name(), " has no CUDA decoder");
        return;
    }
#endif
    at::Tensor rows = at::empty({tokens, shape_.head_dim}, at::kFloat);
    for (int head = 0; head < shape_.heads; ++head) {
        group.format->decode_rows(page.bytes.data_ptr<std::uint8_t>(), shape, encode_options, head, first_token,
                                  first_token + tokens, rows.data_ptr<float>());
        out.select(1, head).copy_(rows);
    }
}

at::Tensor PageCodec::read(const PageGroup& group, int layer, bool is_key, int first, int count) const {
    const Page& page = (is_key ? group.keys : group.values)[static_cast<std::size_t>(layer)];
    const int first_token = first * shape_.tokens_per_latent;
    const int tokens = count * shape_.tokens_per_latent;
    if (!group.format->packed()) {
        return raw_view(group, page).narrow(0, first_token, tokens).clone();
    }
    at::Tensor out = at::empty({tokens, shape_.heads, shape_.head_dim}, page.bytes.options().dtype(compute_));
    decode(group, layer, is_key, page, first_token, tokens, out);
    return out;
}

void PageCodec::decode_to_raw(const PageGroup& group, int layer, bool is_key, Page& page, PageArena& arena) const {
    Page raw = new_raw_page(group, arena);
    at::Tensor values = raw_view(group, raw);
    decode(group, layer, is_key, page, 0, static_cast<int>(values.size(0)), values);
    arena.release(page.bytes);
    page = std::move(raw);
}

void PageCodec::convert(const PageGroup& group, int layer, bool is_key, Page& page, const PageFormat& target,
                        PageArena& arena) const {
    if (group.format->packed()) {
        decode_to_raw(group, layer, is_key, page, arena);
    }
    if (!target.packed()) {
        return;
    }
    const PageShape shape = page_shape(group, is_key);
    const EncodeOptions encode_options = options(group, layer, is_key);
    Page packed;
    packed.parts = target.bytes(shape, encode_options);
    packed.bytes = arena.allocate(packed.parts.total());
    target.encode(raw_view(group, page), shape, encode_options, packed.bytes);
    arena.release(page.bytes);
    page = std::move(packed);
}

} // namespace wander::quant
