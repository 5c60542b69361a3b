#include "quant/cache/slice_expander.hpp"

#if WANDER_CUDA
#include "quant/format.hpp"

#include <ATen/Functions.h>

#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <utility>

namespace wander::quant {
namespace {

// All rows of a text stand in one latent, whose matrix turns nothing.
constexpr cuda::DeviceTables kTextTables{nullptr, nullptr, 0, 1 << 30};

bool read_alike(const Page& a, const PageGroup& of_a, const Page& b, const PageGroup& of_b) {
    return a.format == b.format && of_a.capacity == of_b.capacity && a.codebook == b.codebook &&
           (!a.format->prunes() || of_a.kept == of_b.kept);
}

const Page& page_of(const Run& run, int layer, Operand operand) {
    return (operand == Operand::key ? run.group->keys : run.group->values)[static_cast<std::size_t>(layer)];
}

// Uncompressed pages and the chunk's own rows are both plain memory: null.
const Page* packed_page(const Run& run, int layer, Operand operand) {
    const Page* const page = run.group ? &page_of(run, layer, operand) : nullptr;
    return page && page->format->packed() ? page : nullptr;
}

// Whether one launch can read both.
bool keys_like_values(const Run& run, int layer) {
    const Page* const keys = packed_page(run, layer, Operand::key);
    const Page* const values = packed_page(run, layer, Operand::value);
    if (!keys || !values) return !keys && !values;
    return keys->format == values->format && keys->format->keys_like_values();
}

} // namespace

SliceExpander::SliceExpander(const CacheShape& shape, const PageCodec& codec, at::Device device, at::ScalarType compute)
    : shape_(shape),
      codec_(codec),
      device_(device),
      compute_(compute == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16),
      element_(compute_),
      rotation_(device) {}

void SliceExpander::set_text(std::vector<TextRows> layers) {
    text_ = std::move(layers);
    std::vector<at::Tensor> largest;
    for (const TextRows& rows : text_) {
        largest.push_back(rows.keys.abs().max());
        largest.push_back(rows.values.abs().max());
    }
    text_largest_ = largest.empty() ? at::Tensor() : at::stack(largest).to(at::kFloat);
}

void SliceExpander::write_as(cuda::Element element, const cuda::E4m3Factors* factors) {
    element_ = element;
    factors_ = factors;
}

cuda::Stream SliceExpander::stream() const { return c10::cuda::getCurrentCUDAStream(device_.index()).stream(); }

cuda::ExpandJob SliceExpander::job(const HeadRange& heads, Operand operand, const float* matrices, void* out) const {
    cuda::ExpandJob job;
    job.source_element = compute_;
    job.heads = shape_.heads;
    job.head_dim = shape_.head_dim;
    job.first_head = heads.first;
    job.head_count = heads.count;
    job.tables = &rotation_.angles();
    job.rotary = operand != Operand::value;
    job.matrices = matrices;
    job.element = element_;
    job.inverse_scale = inverse_scale(operand);
    job.out = out;
    return job;
}

void SliceExpander::turn_queries(const HeadRange& heads, const at::Tensor& q, void* out, std::int64_t out_row) const {
    cuda::ExpandJob plain = job(heads, Operand::query, rotation_.transposed(), out);
    plain.source_row = q.stride(0);
    plain.out_row_stride = out_row;
    plain.runs[0] = {q.const_data_ptr(), 0, 0, queries(), rotation_.history(), 0};
    plain.run_count = 1;
    cuda::expand_plain(plain, stream());
}

// Always the first rows of the slice.
void SliceExpander::expand_text(const Slice& slice, const HeadRange& heads, int layer, Operand operand,
                                std::int64_t columns, void* out) const {
    const Run& run = slice.runs.front();
    const TextRows& text = text_[static_cast<std::size_t>(layer)];
    const at::Tensor& rows = operand == Operand::key ? text.keys : text.values;
    cuda::ExpandJob plain = job(heads, operand, rotation_.identity(), out);
    plain.tables = &kTextTables;
    plain.rotary = false;
    plain.out_columns = columns;
    plain.out_rows = slice.rows;
    plain.runs[0] = {rows.const_data_ptr(), run.first_row, run.first_token, run.rows, 0, 0, 0};
    plain.run_count = 1;
    TORCH_CHECK(cuda::expand_plain(plain, stream()), "rows of this type cannot be expanded");
}

void SliceExpander::expand(const Slice& slice, const HeadRange& heads, int layer, Operand operand,
                           const at::Tensor& own, void* out, RowsOf of) const {
    expand_sides(slice, heads, layer, {{operand, &own, out}}, 0, of);
}

void SliceExpander::expand_both(const Slice& slice, const HeadRange& heads, int layer, const at::Tensor& own_keys,
                                const at::Tensor& own_values, void* keys, void* values, RowsOf of) const {
    expand_sides(slice, heads, layer, {{Operand::key, &own_keys, keys}, {Operand::value, &own_values, values}}, 0, of);
}

void SliceExpander::expand_columns(const Slice& slice, const HeadRange& heads, int layer, const at::Tensor& own,
                                   std::int64_t columns, void* out, RowsOf of) const {
    expand_sides(slice, heads, layer, {{Operand::value, &own, out}}, columns, of);
}

void SliceExpander::expand_sides(const Slice& slice, const HeadRange& heads, int layer, const Sides& sides,
                                 std::int64_t columns, RowsOf of) const {
    std::vector<std::size_t> together, apart;
    for (std::size_t i = 0; i < slice.runs.size(); ++i) {
        const Run& run = slice.runs[i];
        if (of == RowsOf::chunk && (run.group || run.text)) continue;
        if (run.text) {
            for (const Side& side : sides) expand_text(slice, heads, layer, side.operand, columns, side.out);
            continue;
        }
        (sides.size() > 1 && !keys_like_values(run, layer) ? apart : together).push_back(i);
    }
    expand_runs(slice, together, heads, layer, sides, columns);
    for (const Side& side : sides) {
        expand_runs(slice, apart, heads, layer, {side}, columns);
    }
}

void SliceExpander::expand_runs(const Slice& slice, const std::vector<std::size_t>& indices, const HeadRange& heads,
                                int layer, const Sides& sides, std::int64_t columns) const {
    std::vector<int> out_rows(slice.runs.size());
    for (std::size_t i = 1; i < slice.runs.size(); ++i) {
        out_rows[i] = out_rows[i - 1] + slice.runs[i - 1].rows;
    }
    const auto alike = [&](const Run& a, const Run& b) {
        return std::all_of(sides.begin(), sides.end(), [&](const Side& side) {
            const Page* const page_a = packed_page(a, layer, side.operand);
            const Page* const page_b = packed_page(b, layer, side.operand);
            return page_a && page_b ? read_alike(*page_a, *a.group, *page_b, *b.group) : !page_a && !page_b;
        });
    };
    // Packed pages first: some formats take what is plain along.
    const auto is_plain = [&](const Run& run) { return !packed_page(run, layer, sides.front().operand); };
    std::vector<std::size_t> order = indices;
    std::stable_partition(order.begin(), order.end(), [&](std::size_t i) { return !is_plain(slice.runs[i]); });
    std::vector<bool> done(order.size());
    for (std::size_t at = 0; at < order.size(); ++at) {
        if (done[at]) continue;
        const Run& first = slice.runs[order[at]];
        const bool takes_plain =
            !is_plain(first) && packed_page(first, layer, sides.front().operand)->format->takes_plain_runs();
        std::vector<std::size_t> same;
        for (std::size_t i = at; i < order.size() && (same.size() + 1) * sides.size() <= cuda::kMaxRuns; ++i) {
            const Run& run = slice.runs[order[i]];
            if (done[i] || !(alike(first, run) || (takes_plain && is_plain(run)))) continue;
            same.push_back(order[i]);
            done[i] = true;
        }
        const Operand operand = sides.front().operand;
        cuda::ExpandJob paged = job(heads, operand, rotation_.inverse(), sides.front().out);
        paged.out_columns = columns;
        paged.out_rows = slice.rows;
        if (sides.size() > 1) {
            paged.value_runs = static_cast<int>(same.size());
            paged.out_of_values = sides.back().out;
            paged.inverse_scale_of_values = inverse_scale(sides.back().operand);
        }
        for (const Side& side : sides) {
            for (const std::size_t index : same) {
                const Run& run = slice.runs[index];
                const void* const source =
                    (run.group ? page_of(run, layer, side.operand).bytes : *side.own).const_data_ptr();
                paged.runs[paged.run_count++] = {source,
                                                 run.first_row,
                                                 run.first_token,
                                                 run.rows,
                                                 run.table_latent,
                                                 out_rows[index],
                                                 run.group ? 0 : side.own->stride(0),
                                                 is_plain(run)};
            }
        }
        const Page* const packed = packed_page(first, layer, operand);
        if (!packed) {
            TORCH_CHECK(cuda::expand_plain(paged, stream()), "rows of this type cannot be expanded");
            continue;
        }
        const PageFormat& format = *packed->format;
        const bool is_key = operand == Operand::key;
        TORCH_CHECK(format.expand(paged, codec_.page_shape(*first.group, is_key),
                                  codec_.options(*first.group, layer, is_key), stream()),
                    "cache format ", format.name(), " has no CUDA decoder");
    }
}

} // namespace wander::quant
#endif
