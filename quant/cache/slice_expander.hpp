#pragma once
// Makes the dense rows that attention reads on an NVIDIA GPU: pages unpacked, the chunk's own rows copied, both turned,
// in the type that attention takes. Launches on the caller's current stream, allocates nothing. Worker thread.

#include "quant/cache/page_codec.hpp"
#include "quant/cache/rotation_device.hpp"
#include "quant/cache/slices.hpp"
#include "quant/cuda/expand.hpp"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace wander::quant {

struct HeadRange {
    int first = 0;
    int count = 0;
};

enum class Operand { query, key, value }; // in the order of cuda::ScaleJob

enum class RowsOf { all, chunk }; // of a slice: all its rows, or the chunk's own, which are then written to their place

class SliceExpander {
public:
    // codec outlives the expander.
    SliceExpander(const CacheShape& shape, const PageCodec& codec, at::Device device, at::ScalarType compute);

    // What is written: the compute type, or E4M3 by these factors.
    void write_as(cuda::Element element, const cuda::E4m3Factors* factors);
    void begin_chunk(const ReadView& view, int history_latents) { rotation_.fill(view, shape_, history_latents); }
    // Of every layer, or none.
    void set_text(std::vector<TextRows> layers);
    int text_rows() const { return text_.empty() ? 0 : static_cast<int>(text_.front().keys.size(0)); }
    // The largest magnitudes of a layer's keys and values, on the device; null without a text.
    const float* text_largest(int layer) const {
        return text_.empty() ? nullptr : text_largest_.const_data_ptr<float>() + static_cast<std::ptrdiff_t>(layer) * 2;
    }
    const DeviceRotation& rotation() const { return rotation_; }
    int queries() const { return rotation_.latents() * shape_.tokens_per_latent; }

    // q: [queries, heads, head_dim], rows may lie apart. out_row: values between rows of out, 0: dense. out may be q.
    void turn_queries(const HeadRange& heads, const at::Tensor& q, void* out, std::int64_t out_row) const;
    // All rows of a slice, those that are read alike in one launch; own: the chunk's rows of this operand.
    void expand(const Slice& slice, const HeadRange& heads, int layer, Operand operand, const at::Tensor& own,
                void* out, RowsOf of = RowsOf::all) const;
    // Keys and values, both in one launch where they are read alike.
    void expand_both(const Slice& slice, const HeadRange& heads, int layer, const at::Tensor& own_keys,
                     const at::Tensor& own_values, void* keys, void* values, RowsOf of = RowsOf::all) const;
    // Values in E4M3, column by column: ExpandJob::out_columns.
    void expand_columns(const Slice& slice, const HeadRange& heads, int layer, const at::Tensor& own,
                        std::int64_t columns, void* out, RowsOf of = RowsOf::all) const;

private:
    // What is read of each run: its keys, its values, or both in this order.
    struct Side {
        Operand operand = Operand::key;
        const at::Tensor* own = nullptr;
        void* out = nullptr;
    };
    using Sides = std::vector<Side>;

    void expand_text(const Slice& slice, const HeadRange& heads, int layer, Operand operand, std::int64_t columns,
                     void* out) const;
    void expand_sides(const Slice& slice, const HeadRange& heads, int layer, const Sides& sides, std::int64_t columns,
                      RowsOf of) const;
    // The runs of these indices, every side of each.
    void expand_runs(const Slice& slice, const std::vector<std::size_t>& indices, const HeadRange& heads, int layer,
                     const Sides& sides, std::int64_t columns) const;
    cuda::ExpandJob job(const HeadRange& heads, Operand operand, const float* matrices, void* out) const;
    cuda::Stream stream() const;
    const float* inverse_scale(Operand operand) const {
        return factors_ ? &factors_->inverse_scale[static_cast<int>(operand)] : nullptr;
    }

    CacheShape shape_;
    const PageCodec& codec_;
    at::Device device_;
    cuda::Element compute_;
    cuda::Element element_;
    const cuda::E4m3Factors* factors_ = nullptr;
    DeviceRotation rotation_;
    std::vector<TextRows> text_;
    at::Tensor text_largest_; // [layers][2] float32, device
};

} // namespace wander::quant
