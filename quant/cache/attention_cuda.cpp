#include "quant/cache/attention.hpp"

#if WANDER_CUDA
#include "quant/cache/page_codec.hpp"
#include "quant/cache/rotation.hpp"
#include "quant/cache/stage_timer.hpp"
#include "quant/cuda/expand.hpp"

#include <ATen/Functions.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cmath>
#include <tuple>

namespace wander::quant {
namespace {

// One run of rows that goes into the slice scratch: part of a page, or of the chunk's own keys and values.
struct Run {
    const PageGroup* group = nullptr; // null: the chunk itself
    int first_token = 0;              // in the page, or in the chunk
    int tokens = 0;
    int table_latent = 0; // of the page's (or chunk's) first latent
};

class CudaAttention final : public Attention {
public:
    CudaAttention(const CacheShape& shape, const CachePolicy& policy, at::Device device, at::ScalarType compute)
        : shape_(shape),
          codec_(shape, policy, compute),
          device_(device),
          compute_(compute),
          element_(compute == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16),
          max_scratch_bytes_(policy.max_scratch_bytes),
          timer_(device) {}

    void begin_chunk(const ReadView& view, int history_latents) override {
        rotation_.fill(view, shape_, history_latents);
        upload_tables(view);
        const std::int64_t row = static_cast<std::int64_t>(heads()) * shape_.head_dim;
        const std::int64_t row_bytes = 2 * row * static_cast<std::int64_t>(c10::elementSize(compute_));
        const std::int64_t wanted =
            static_cast<std::int64_t>(history_latents + view.latents) * shape_.tokens_per_latent;
        slice_tokens_ = std::max<std::int64_t>(kMinSliceTokens, std::min(wanted, max_scratch_bytes_ / row_bytes));
        grow(keys_, slice_tokens_ * row, compute_);
        grow(values_, slice_tokens_ * row, compute_);
        grow(queries_, queries() * row, compute_);
        grow(total_, queries() * row, at::kFloat);
        grow(total_lse_, static_cast<std::int64_t>(queries()) * heads(), at::kFloat);
    }

    at::Tensor attend(int layer, const std::vector<HistorySegment>& segments, const at::Tensor& q, const at::Tensor& k,
                      const at::Tensor& v) override {
        timer_.begin();
        expand_plain(q, 0, queries(), true, transposed_, queries_.data_ptr());
        timer_.end();
        std::vector<Run> slice;
        std::int64_t filled = 0;
        bool first = true;
        const auto flush = [&] {
            attend_slice(layer, slice, filled, k, v, first);
            slice.clear();
            filled = 0;
            first = false;
        };
        const auto add = [&](const PageGroup* group, int first_token, int tokens, int table_latent) {
            while (tokens > 0) {
                const int count = static_cast<int>(std::min<std::int64_t>(tokens, slice_tokens_ - filled));
                slice.push_back({group, first_token, count, table_latent});
                filled += count;
                first_token += count;
                tokens -= count;
                if (filled == slice_tokens_) {
                    flush();
                }
            }
        };
        for (const HistorySegment& segment : segments) {
            add(segment.group, segment.page_latent * shape_.tokens_per_latent,
                segment.latents * shape_.tokens_per_latent, segment.history_index - segment.page_latent);
        }
        add(nullptr, 0, queries(), rotation_.history);
        if (filled > 0) {
            flush();
        }
        return finish(q);
    }

    std::int64_t scratch_bytes() const override {
        std::int64_t bytes = 0;
        for (const at::Tensor* buffer : {&keys_, &values_, &queries_, &total_, &total_lse_, &tables_, &space_}) {
            bytes += buffer->defined() ? static_cast<std::int64_t>(buffer->nbytes()) : 0;
        }
        return bytes;
    }

    double take_expand_ms() override { return timer_.take_ms(); }

private:
    static constexpr std::int64_t kMinSliceTokens = 256;

    int branches() const { return rotation_.prope ? 2 : 1; }
    int heads() const { return branches() * shape_.heads; }
    int queries() const { return rotation_.latents * shape_.tokens_per_latent; }
    cuda::Stream stream() const { return c10::cuda::getCurrentCUDAStream(device_.index()).stream(); }

    void grow(at::Tensor& buffer, std::int64_t elements, at::ScalarType type) {
        if (!buffer.defined() || buffer.numel() < elements) {
            buffer.reset();
            buffer = at::empty({elements}, at::TensorOptions().dtype(type).device(device_));
        }
    }

    // Cosine and sine of every pair, from the signed per-channel tables.
    static std::vector<float> pairs(const std::vector<float>& cosines, const std::vector<float>& sines) {
        std::vector<float> out(cosines.size());
        for (std::size_t c = 0; c < cosines.size(); c += 2) {
            out[c] = cosines[c];
            out[c + 1] = sines[c + 1];
        }
        return out;
    }
    at::Tensor upload(std::vector<float>& values) const {
        return at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, at::kFloat).to(device_);
    }

    void upload_tables(const ReadView& view) {
        if (!space_.defined() || !space_angles_.equal(view.space_angles)) {
            space_angles_ = view.space_angles.clone();
            std::vector<float> space = pairs(rotation_.space_cos, rotation_.space_sin);
            space_ = upload(space);
        }
        std::vector<float> all = pairs(rotation_.time_cos, rotation_.time_sin);
        const std::size_t inverse_at = all.size();
        all.insert(all.end(), rotation_.inverse.begin(), rotation_.inverse.end());
        const std::size_t transposed_at = all.size();
        all.insert(all.end(), rotation_.transposed.begin(), rotation_.transposed.end());
        const std::size_t projection_at = all.size();
        all.insert(all.end(), rotation_.projection.begin(), rotation_.projection.end());
        tables_ = upload(all);
        const float* base = tables_.data_ptr<float>();
        device_tables_ = {base, space_.data_ptr<float>(), rotation_.time_channels / 2, shape_.tokens_per_latent};
        inverse_ = rotation_.prope ? base + inverse_at : nullptr;
        // Queries use the rows of the new chunk; their matrices start at the first of them.
        transposed_ =
            rotation_.prope ? base + transposed_at - static_cast<std::ptrdiff_t>(rotation_.history) * 16 : nullptr;
        projection_ = rotation_.prope ? base + projection_at : nullptr;
    }

    cuda::ExpandJob job(int first_token, int tokens, bool rotary, const float* matrices, int table_latent,
                        void* out) const {
        cuda::ExpandJob job;
        job.heads = shape_.heads;
        job.head_dim = shape_.head_dim;
        job.element = element_;
        job.first_token = first_token;
        job.tokens = tokens;
        job.tables = &device_tables_;
        job.table_latent = table_latent;
        job.rotary = rotary;
        job.matrices = matrices;
        job.out = out;
        return job;
    }

    void expand_plain(const at::Tensor& rows, int first_token, int tokens, bool rotary, const float* matrices,
                      void* out) const {
        cuda::ExpandJob plain = job(first_token, tokens, rotary, matrices, rotation_.history, out);
        plain.source = rows.const_data_ptr();
        cuda::launch_expand(plain, stream());
    }

    void expand_page(const PageGroup& group, int layer, bool is_key, const Run& run, void* out) const {
        const Page& page = (is_key ? group.keys : group.values)[static_cast<std::size_t>(layer)];
        cuda::ExpandJob paged = job(run.first_token, run.tokens, is_key, inverse_, run.table_latent, out);
        paged.source = page.bytes.const_data_ptr();
        paged.decoder = group.format->cuda_decoder();
        paged.page_tokens = codec_.page_shape(group, is_key).tokens;
        paged.centroids = codec_.options(group, layer, is_key).centroids;
        TORCH_CHECK(cuda::launch_expand(paged, stream()), "cache format ", group.format->name(),
                    " has no CUDA decoder");
    }

    void attend_slice(int layer, const std::vector<Run>& slice, std::int64_t tokens, const at::Tensor& k,
                      const at::Tensor& v, bool first) {
        timer_.begin();
        std::int64_t offset = 0; // bytes
        const std::int64_t row_bytes = static_cast<std::int64_t>(heads()) * shape_.head_dim *
                                       static_cast<std::int64_t>(c10::elementSize(compute_));
        for (const Run& run : slice) {
            auto* keys = static_cast<std::uint8_t*>(keys_.data_ptr()) + offset;
            auto* values = static_cast<std::uint8_t*>(values_.data_ptr()) + offset;
            if (run.group) {
                expand_page(*run.group, layer, true, run, keys);
                expand_page(*run.group, layer, false, run, values);
            } else {
                expand_plain(k, run.first_token, run.tokens, true, inverse_, keys);
                expand_plain(v, run.first_token, run.tokens, false, inverse_, values);
            }
            offset += run.tokens * row_bytes;
        }
        timer_.end();

        const at::Tensor query = as_heads(queries_, queries());
        const at::Tensor keys = as_heads(keys_, tokens);
        const at::Tensor values = as_heads(values_, tokens);
        const double scale = 1.0 / std::sqrt(static_cast<double>(shape_.head_dim));
        if (compute_ == at::kFloat) {
            const auto part =
                at::_scaled_dot_product_efficient_attention(query, keys, values, std::nullopt, true, 0.0, false, scale);
            merge(std::get<0>(part), std::get<1>(part), first);
        } else {
            const auto part = at::_scaled_dot_product_flash_attention(query, keys, values, 0.0, false, false, scale);
            merge(std::get<0>(part), std::get<1>(part), first);
        }
    }

    at::Tensor as_heads(const at::Tensor& buffer, std::int64_t tokens) const {
        const std::int64_t row = static_cast<std::int64_t>(heads()) * shape_.head_dim;
        return buffer.narrow(0, 0, tokens * row).view({1, tokens, heads(), shape_.head_dim}).transpose(1, 2);
    }

    // part [1, heads, queries, head_dim], lse [1, heads, >= queries]
    void merge(const at::Tensor& part, const at::Tensor& lse, bool first) {
        cuda::MergeJob merge;
        merge.queries = queries();
        merge.heads = heads();
        merge.head_dim = shape_.head_dim;
        merge.first = first;
        merge.element = element_;
        merge.part = part.const_data_ptr();
        merge.part_head_stride = part.stride(1);
        merge.part_query_stride = part.stride(2);
        merge.part_lse = lse.const_data_ptr<float>();
        merge.lse_head_stride = lse.stride(1);
        merge.lse_query_stride = lse.stride(2);
        merge.total = total_.data_ptr<float>();
        merge.total_lse = total_lse_.data_ptr<float>();
        cuda::launch_merge(merge, stream());
    }

    at::Tensor finish(const at::Tensor& q) const {
        at::Tensor result = at::empty({branches(), q.size(0), q.size(1), q.size(2)}, q.options());
        cuda::FinishJob finish;
        finish.queries = queries();
        finish.branches = branches();
        finish.heads = shape_.heads;
        finish.head_dim = shape_.head_dim;
        finish.tokens_per_latent = shape_.tokens_per_latent;
        finish.element = element_;
        finish.total = total_.data_ptr<float>();
        finish.matrices = projection_;
        finish.result = result.data_ptr();
        cuda::launch_finish(finish, stream());
        return result;
    }

    CacheShape shape_;
    PageCodec codec_;
    at::Device device_;
    at::ScalarType compute_;
    cuda::Element element_;
    std::int64_t max_scratch_bytes_;
    std::int64_t slice_tokens_ = 0;
    StageTimer timer_;

    RotationTables<float> rotation_;
    at::Tensor space_angles_; // that space_ was made from
    at::Tensor space_;        // device
    at::Tensor tables_;       // device: time pairs, inverses, transposed, projections
    cuda::DeviceTables device_tables_;
    const float* inverse_ = nullptr;
    const float* transposed_ = nullptr;
    const float* projection_ = nullptr;

    // Shared by all layers: one slice, the turned queries, the merged result so far.
    at::Tensor keys_, values_, queries_, total_, total_lse_;
};

} // namespace

std::unique_ptr<Attention> make_cuda_attention(const CacheShape& shape, const CachePolicy& policy, at::Device device,
                                               at::ScalarType compute) {
    return std::make_unique<CudaAttention>(shape, policy, device, compute);
}

} // namespace wander::quant
#endif
