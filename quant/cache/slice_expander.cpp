#include "quant/cache/slice_expander.hpp"

#if WANDER_CUDA
#include "quant/format.hpp"

#include <ATen/Functions.h>

#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include <utility>

namespace wander::quant {
namespace {

// All rows of a text stand in one latent, whose matrix turns nothing.
constexpr cuda::DeviceTables kTextTables{nullptr, nullptr, 0, 1 << 30};

bool read_alike(const Page& a, const PageGroup& of_a, const Page& b, const PageGroup& of_b) {
    return a.format == b.format && of_a.capacity == of_b.capacity && a.codebook == b.codebook &&
           (!a.format->prunes() || of_a.kept == of_b.kept);
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
    job.inverse_scale = factors_ ? &factors_->inverse_scale[static_cast<int>(operand)] : nullptr;
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
                           const at::Tensor& own, void* out) const {
    expand(slice, heads, layer, operand, own, 0, out);
}

void SliceExpander::expand_columns(const Slice& slice, const HeadRange& heads, int layer, const at::Tensor& own,
                                   std::int64_t columns, void* out) const {
    expand(slice, heads, layer, Operand::value, own, columns, out);
}

void SliceExpander::expand(const Slice& slice, const HeadRange& heads, int layer, Operand operand,
                           const at::Tensor& own, std::int64_t columns, void* out) const {
    const bool is_key = operand == Operand::key;
    const auto page_of = [&](const Run& run) -> const Page& {
        return (is_key ? run.group->keys : run.group->values)[static_cast<std::size_t>(layer)];
    };
    // Uncompressed pages and the chunk's own rows are both plain memory.
    const auto is_plain = [&](const Run& run) { return !run.group || !page_of(run).format->packed(); };
    int out_row = 0;
    for (std::size_t i = 0; i < slice.runs.size();) {
        const Run& first = slice.runs[i];
        if (first.text) {
            expand_text(slice, heads, layer, operand, columns, out);
            out_row += first.rows;
            ++i;
            continue;
        }
        cuda::ExpandJob paged = job(heads, operand, rotation_.inverse(), out);
        paged.out_columns = columns;
        paged.out_rows = slice.rows;
        for (; i < slice.runs.size() && paged.run_count < cuda::kMaxRuns; ++i) {
            const Run& run = slice.runs[i];
            const bool alike = is_plain(first)
                                   ? is_plain(run)
                                   : run.group && read_alike(page_of(first), *first.group, page_of(run), *run.group);
            if (!alike) {
                break;
            }
            const void* const source = (run.group ? page_of(run).bytes : own).const_data_ptr();
            paged.runs[paged.run_count++] = {source,
                                             run.first_row,
                                             run.first_token,
                                             run.rows,
                                             run.table_latent,
                                             out_row,
                                             run.group ? 0 : own.stride(0)};
            out_row += run.rows;
        }
        if (is_plain(first)) {
            TORCH_CHECK(cuda::expand_plain(paged, stream()), "rows of this type cannot be expanded");
            continue;
        }
        const PageFormat& format = *page_of(first).format;
        TORCH_CHECK(format.expand(paged, codec_.page_shape(*first.group, is_key),
                                  codec_.options(*first.group, layer, is_key), stream()),
                    "cache format ", format.name(), " has no CUDA decoder");
    }
}

} // namespace wander::quant
#endif
