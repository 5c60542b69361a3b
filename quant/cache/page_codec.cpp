#include "quant/cache/page_codec.hpp"

#include "quant/cache/logit_bias.hpp"
#include "quant/qvg/page_rules.hpp"

#include <ATen/Functions.h>

#include <algorithm>
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

Page raw_page(at::Tensor bytes) {
    Page page;
    page.bytes = std::move(bytes);
    page.parts.raw = static_cast<std::int64_t>(page.bytes.nbytes());
    page.format = FormatRegistry::instance().find("bf16");
    return page;
}

} // namespace

PageCodec::PageCodec(const CacheShape& shape, const CachePolicy& policy, at::ScalarType compute)
    : shape_(shape),
      centroids_(policy.centroids),
      bias_correction_(policy.bias_correction),
      seed_(policy.seed),
      first_head_(policy.first_head),
      compute_(compute) {}

PageShape PageCodec::page_shape(const PageGroup& group, bool is_key) const {
    return {group.capacity * shape_.tokens_per_latent,
            shape_.heads,
            shape_.head_dim,
            is_key,
            compute_,
            shape_.tokens_per_latent};
}

EncodeOptions PageCodec::options(const PageGroup& group, int layer, bool is_key, const Page& page) const {
    // Neither device nor schedule enters: the same page gets the same centroids whenever it is packed.
    const auto page_key = static_cast<std::uint64_t>(group.first_latent) * 2 + (is_key ? 0 : 1);
    EncodeOptions options;
    options.centroids = centroids_;
    options.seed = qvg::seed_from_head(mix(mix(seed_, static_cast<std::uint64_t>(layer)), page_key), first_head_);
    options.kept = group.kept;
    options.codebook = page.codebook.get();
    return options;
}

std::int64_t PageCodec::raw_bytes(const PageGroup& group) const {
    return static_cast<std::int64_t>(group.capacity) * shape_.tokens_per_latent * shape_.heads * shape_.head_dim *
           static_cast<std::int64_t>(c10::elementSize(compute_));
}

at::Tensor PageCodec::as_rows(const PageGroup& group, const at::Tensor& raw_bytes) const {
    return raw_bytes.view(compute_).view(
        {static_cast<std::int64_t>(group.capacity) * shape_.tokens_per_latent, shape_.heads, shape_.head_dim});
}

at::Tensor PageCodec::raw_view(const PageGroup& group, const Page& page) const { return as_rows(group, page.bytes); }

Page PageCodec::new_raw_page(const PageGroup& group, PageArena& arena) const {
    return raw_page(arena.allocate(raw_bytes(group)));
}

// out: [rows, heads, head_dim], float32 or the compute type.
void PageCodec::decode_rows(const PageGroup& group, int layer, bool is_key, const Page& page, int first_row, int rows,
                            at::Tensor& out) const {
    const PageShape shape = page_shape(group, is_key);
    const EncodeOptions encode_options = options(group, layer, is_key, page);
#if WANDER_CUDA
    if (page.bytes.is_cuda()) {
        cuda::ExpandJob job;
        job.runs[0] = {page.bytes.const_data_ptr(), first_row, 0, rows, 0, 0};
        job.run_count = 1;
        job.source_element = compute_ == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16;
        job.heads = shape.heads;
        job.head_dim = shape.head_dim;
        job.head_count = shape.heads;
        job.element = out.scalar_type() == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16;
        job.out = out.data_ptr();
        TORCH_CHECK(page.format->expand(job, shape, encode_options,
                                        c10::cuda::getCurrentCUDAStream(page.bytes.device().index()).stream()),
                    "cache format ", page.format->name(), " has no CUDA decoder");
        return;
    }
#endif
    at::Tensor values = at::empty({rows, shape_.head_dim}, at::kFloat);
    for (int head = 0; head < shape_.heads; ++head) {
        page.format->decode_rows(page.bytes.const_data_ptr<std::uint8_t>(), shape, encode_options, head, first_row,
                                 first_row + rows, values.data_ptr<float>());
        out.select(1, head).copy_(values);
    }
}

// out: [count * tokens_per_latent, heads, head_dim].
void PageCodec::decode(const PageGroup& group, int layer, bool is_key, const Page& page, int first, int count,
                       at::Tensor& out) const {
    const PageShape shape = page_shape(group, is_key);
    const EncodeOptions encode_options = options(group, layer, is_key, page);
    for (int n = 0; n < count; ++n) {
        const StoredLatent stored = page.format->stored(shape, encode_options, first + n);
        at::Tensor rows = out.narrow(0, static_cast<std::int64_t>(n) * shape_.tokens_per_latent, stored.rows);
        decode_rows(group, layer, is_key, page, stored.row, stored.rows, rows);
        if (stored.rows < shape_.tokens_per_latent) {
            out.narrow(0, static_cast<std::int64_t>(n) * shape_.tokens_per_latent, shape_.tokens_per_latent)
                .copy_(rows.clone().expand({shape_.tokens_per_latent, shape_.heads, shape_.head_dim}));
        }
    }
}

at::Tensor PageCodec::read(const PageGroup& group, int layer, bool is_key, int first, int count) const {
    const Page& page = (is_key ? group.keys : group.values)[static_cast<std::size_t>(layer)];
    const std::int64_t tokens = static_cast<std::int64_t>(count) * shape_.tokens_per_latent;
    if (!page.format->packed()) {
        return raw_view(group, page)
            .narrow(0, static_cast<std::int64_t>(first) * shape_.tokens_per_latent, tokens)
            .clone();
    }
    at::Tensor out = at::empty({tokens, shape_.heads, shape_.head_dim}, page.bytes.options().dtype(compute_));
    decode(group, layer, is_key, page, first, count, out);
    return out;
}

std::vector<Page> PageCodec::encode(const std::vector<PageRef>& pages, const std::vector<at::Tensor>& sources,
                                    const PageFormat& target, PageArena& arena, CodebookStore& codebooks) const {
    const auto* trainer = target.uses_session_codebook() ? dynamic_cast<const CodebookTrainer*>(&target) : nullptr;
    std::vector<EncodeJob> jobs;
    std::vector<int> layers;
    std::vector<Page> packed(pages.size());
    for (std::size_t i = 0; i < pages.size(); ++i) {
        const PageRef& ref = pages[i];
        packed[i].format = &target;
        EncodeJob job;
        job.source = sources[i];
        job.shape = page_shape(*ref.group, ref.is_key);
        job.options = options(*ref.group, ref.layer, ref.is_key, packed[i]);
        jobs.push_back(std::move(job));
        layers.push_back(ref.layer);
    }
    if (trainer) {
        std::vector<std::shared_ptr<const Codebook>> books = codebooks.for_pages(*trainer, layers, jobs);
        for (std::size_t i = 0; i < pages.size(); ++i) {
            packed[i].codebook = std::move(books[i]);
            jobs[i].options.codebook = packed[i].codebook.get();
        }
    }
    for (std::size_t i = 0; i < pages.size(); ++i) {
        EncodeJob& job = jobs[i];
        packed[i].parts = target.bytes(job.shape, job.options);
        packed[i].bytes = arena.allocate_packed(packed[i].parts.total());
        job.page = packed[i].bytes;
    }
    target.encode_all(jobs);
    for (std::size_t i = 0; i < pages.size(); ++i) {
        if (trainer) {
            codebooks.note_packed(*trainer, pages[i].layer, jobs[i]);
        }
        note_noise(pages[i], sources[i], packed[i]);
    }
    return packed;
}

// Mean squared error of the packed keys; what an earlier lossy format did to them stays part of it.
void PageCodec::note_noise(const PageRef& ref, const at::Tensor& source, Page& packed) const {
    if (!bias_correction_ || !ref.is_key || packed.format->prunes() || shape_.head_dim % kNoiseChannels != 0) {
        return;
    }
    at::Tensor values = at::empty(source.sizes(), source.options().dtype(at::kFloat));
    decode(*ref.group, ref.layer, true, packed, 0, ref.group->capacity, values);
    values.sub_(source).pow_(2);
    packed.noise = values.view({source.size(0), shape_.heads, shape_.head_dim / kNoiseChannels, kNoiseChannels})
                       .mean(at::IntArrayRef{0, 3});
    const at::Tensor& before = ref.page().noise;
    if (before.defined()) {
        packed.noise.add_(before);
    }
}

std::size_t PageCodec::batch_pages(const PageGroup& group, const Page& page, const PageFormat& target) const {
    if (page.format->packed() || !target.packed()) {
        return 1;
    }
    const std::int64_t packed = target.bytes(page_shape(group, true), options(group, 0, true)).total();
    return static_cast<std::size_t>(std::max<std::int64_t>(1, raw_bytes(group) / std::max<std::int64_t>(1, packed)));
}

std::vector<Page> PageCodec::convert(const std::vector<PageRef>& pages, const PageFormat& target, PageArena& arena,
                                     CodebookStore& codebooks) const {
    std::vector<Page> raw;             // decoded, where that is the target
    std::vector<at::Tensor> transient; // decoded, on the way to the target
    std::vector<at::Tensor> sources;
    for (const PageRef& ref : pages) {
        const Page& page = ref.page();
        if (!page.format->packed()) {
            sources.push_back(raw_view(*ref.group, page));
            continue;
        }
        const std::int64_t bytes = raw_bytes(*ref.group);
        at::Tensor decoded = target.packed() ? arena.allocate_transient(bytes) : arena.allocate(bytes);
        at::Tensor rows = as_rows(*ref.group, decoded);
        decode(*ref.group, ref.layer, ref.is_key, page, 0, ref.group->capacity, rows);
        if (target.packed()) {
            sources.push_back(std::move(rows));
            transient.push_back(std::move(decoded));
        } else {
            raw.push_back(raw_page(std::move(decoded)));
            raw.back().noise = page.noise;
        }
    }
    if (!target.packed()) {
        return raw;
    }
    std::vector<Page> packed = encode(pages, sources, target, arena, codebooks);
    sources.clear();
    for (at::Tensor& decoded : transient) {
        arena.release_transient(decoded);
    }
    return packed;
}

} // namespace wander::quant
