#include "generator/rollout/published_store.hpp"

#include "generator/memory/context_choice.hpp"
#include "quant/cache/branch_rows.hpp"
#include "quant/qvg/dump_encoder.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace wander {

namespace {

constexpr int kSpanChunks = 2;

// [2, tokens, heads, d] <-> [heads, tokens, 2 d]
at::Tensor side_by_side(const at::Tensor& forms) { return forms.permute({2, 1, 0, 3}).flatten(2).contiguous(); }
at::Tensor as_forms(const at::Tensor& rows) {
    return rows.view({rows.size(0), rows.size(1), 2, -1}).permute({2, 1, 0, 3});
}

std::vector<std::uint16_t> bf16_bits(const at::Tensor& rows) {
    const at::Tensor narrow = rows.to(at::kBFloat16).contiguous();
    const auto* bits = static_cast<const std::uint16_t*>(narrow.const_data_ptr());
    return {bits, bits + narrow.numel()};
}

} // namespace

RowPacker published_packer(const PublishedCodec& codec) {
    return [codec](const at::Tensor& rows, std::uint64_t seed) {
        namespace qvg = quant::qvg;
        const qvg::DumpShape shape{.heads = static_cast<int>(rows.size(0)),
                                   .tokens = static_cast<int>(rows.size(1)),
                                   .dim = static_cast<int>(rows.size(2)),
                                   .block = codec.block,
                                   .stages = codec.stages,
                                   .clusters = codec.clusters,
                                   .bits = codec.bits};
        TORCH_CHECK(shape.dim % shape.block == 0, "published_packer: blocks of ", shape.block, " in rows of ",
                    shape.dim);
        std::vector<std::vector<std::uint32_t>> starts;
        starts.reserve(static_cast<std::size_t>(shape.stages));
        for (int stage = 0; stage < shape.stages; ++stage) starts.push_back(qvg::drawn_starts(shape, seed, stage));
        const auto dump =
            std::make_shared<const qvg::Dump>(qvg::pack_dump(bf16_bits(rows), shape, starts, codec.iterations));
        const auto expanded = [dump, shape, type = rows.scalar_type()] {
            const std::vector<std::uint16_t> bits = decode_dump(shape, *dump);
            at::Tensor values = at::empty({shape.heads, shape.tokens, shape.dim}, at::kBFloat16);
            std::ranges::copy(bits, static_cast<std::uint16_t*>(values.mutable_data_ptr()));
            return values.to(type);
        };
        return PackedRows{expanded, dump_bytes(shape).total()};
    };
}

PublishedStore::PublishedStore(RowPacker packer, std::uint64_t seed) : packer_(std::move(packer)), seed_(seed) {}

void PublishedStore::clear() {
    kinds_.clear();
    latents_ = 0;
    dense_from_ = 0;
    events_.clear();
    bytes_ = {};
}

void PublishedStore::keep(Kind& kind, const at::Tensor& rows) {
    kind.dense = kind.dense.defined() ? at::cat({kind.dense, rows}, 1) : rows;
}

void PublishedStore::take(const quant::KvCache& cache, const quant::ReadView& view) {
    const quant::CacheShape& shape = cache.shape();
    TORCH_CHECK(cache.format() == "bf16" && cache.rules().layer_formats.empty(),
                "a context that is kept as published is packed by its own store alone; leave the cache uncompressed");
    TORCH_CHECK(view.first_latent == 0 && view.latents > latents_, "PublishedStore: a pass over all latents is needed");
    kinds_.resize(2 * static_cast<std::size_t>(shape.layers));
    const auto first = static_cast<int>(latents_);
    const int count = view.latents - first;
    for (int layer = 0; layer < shape.layers; ++layer) {
        const quant::TextRows rows = branch_rows(view, shape, first, count, cache.read_keys(layer, first, count),
                                                 cache.read_values(layer, first, count));
        keep(kinds_[2 * static_cast<std::size_t>(layer)], rows.keys);
        keep(kinds_[2 * static_cast<std::size_t>(layer) + 1], rows.values);
        bytes_.dense += static_cast<std::int64_t>(rows.keys.nbytes() + rows.values.nbytes());
    }
    latents_ = view.latents;
    const std::int64_t chunk = latents_ / kLatentsPerChunk;
    if (packer_ && chunk % kSpanChunks == 0) pack();
}

void PublishedStore::pack() {
    const auto span = static_cast<std::uint64_t>(events_.size());
    for (std::size_t i = 0; i < kinds_.size(); ++i) {
        Kind& kind = kinds_[i];
        const at::Tensor rows = side_by_side(kind.dense);
        kind.spans.push_back(packer_(rows, seed_ + span * kinds_.size() + i));
        kind.dense.reset();
        bytes_.packed += kind.spans.back().bytes;
        bytes_.packed_as_bf16 += 2 * rows.numel();
    }
    bytes_.dense = 0;
    events_.push_back({latents_ / kLatentsPerChunk, dense_from_, latents_ - dense_from_});
    dense_from_ = latents_;
}

at::Tensor PublishedStore::expanded(const Kind& kind) const {
    std::vector<at::Tensor> parts;
    parts.reserve(kind.spans.size() + 1);
    for (const PackedRows& span : kind.spans) parts.push_back(as_forms(span.expanded()));
    if (kind.dense.defined()) parts.push_back(kind.dense);
    return at::cat(parts, 1).contiguous();
}

std::vector<quant::TextRows> PublishedStore::rows() const {
    std::vector<quant::TextRows> layers;
    for (std::size_t i = 0; i < kinds_.size(); i += 2) layers.push_back({expanded(kinds_[i]), expanded(kinds_[i + 1])});
    return layers;
}

PublishedStore::Bytes PublishedStore::bytes() const { return bytes_; }

} // namespace wander
