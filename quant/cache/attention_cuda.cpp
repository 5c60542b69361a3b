#include "quant/cache/attention.hpp"
#include "quant/cache/logit_bias.hpp"

#if WANDER_CUDA
#include "quant/cache/page_codec.hpp"
#include "quant/cache/rotation.hpp"
#include "quant/cache/stage_timer.hpp"
#include "quant/cuda/expand.hpp"
#include "quant/cuda/sdpa_cudnn.hpp"

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
    int first_row = 0;                // stored row in the page, or row of the chunk
    int first_token = 0;              // whose place the first row has, in the page or the chunk
    int rows = 0;
    int table_latent = 0; // of the page's (or chunk's) first latent
};

// Runs that are attended to together. All their logits are corrected alike.
struct Slice {
    std::vector<Run> runs;
    int rows = 0;
    float log_weight = 0;              // ln of the tokens that one row stands for
    const at::Tensor* noise = nullptr; // of the one page that all rows come from, see quant/cache/logit_bias.hpp
    bool takes(float weight, const at::Tensor* page_noise) const {
        return rows == 0 || (log_weight == weight && noise == page_noise);
    }
};

class CudaAttention final : public Attention {
public:
    CudaAttention(const CacheShape& shape, const CachePolicy& policy, at::Device device, at::ScalarType compute)
        : shape_(shape),
          codec_(shape, policy, compute),
          device_(device),
          compute_(compute),
          element_(compute == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16),
          fp8_(policy.attention == AttentionType::fp8 && compute == at::kBFloat16 && shape.head_dim % 16 == 0 &&
               cuda::sdpa_supports(cuda::SdpaType::e4m3, device.index())),
          cudnn_(compute == at::kBFloat16 && shape.head_dim <= 128 && shape.tokens_per_latent >= kCudnnTokens &&
                 cuda::sdpa_supports(cuda::SdpaType::bfloat16, device.index())),
          slice_bytes_(policy.slice_bytes),
          heads_wanted_(policy.heads_together),
          bias_correction_(policy.bias_correction && shape.head_dim % kNoiseChannels == 0),
          timer_(device) {}

    void begin_chunk(const ReadView& view, int history_latents) override {
        rotation_.fill(view, shape_, history_latents);
        upload_tables(view);
        heads_together_ = heads_wanted_ > 0 ? std::min(heads_wanted_, shape_.heads) : heads_for_l2();
        const std::int64_t row = static_cast<std::int64_t>(branches()) * heads_together_ * shape_.head_dim;
        const std::int64_t row_bytes = 2 * row * static_cast<std::int64_t>(c10::elementSize(slice_type()));
        const std::int64_t wanted =
            static_cast<std::int64_t>(history_latents + view.latents) * shape_.tokens_per_latent;
        slice_rows_ = std::max<std::int64_t>(kMinSliceRows, std::min(wanted, slice_bytes_ / row_bytes));
        // Whole pages where one fits: cuDNN makes a plan for every length, so a growing history shall have few.
        const std::int64_t page_rows = static_cast<std::int64_t>(shape_.page_latents) * shape_.tokens_per_latent;
        slice_rows_ = slice_rows_ > page_rows ? slice_rows_ / page_rows * page_rows : slice_rows_;
        const std::int64_t results = static_cast<std::int64_t>(queries()) * branches() * heads_together_;
        grow(keys_, slice_rows_ * row, slice_type());
        grow(values_, slice_rows_ * row, slice_type());
        grow(queries_, queries() * row, slice_type());
        if (fp8_ || cudnn_) {
            grow(part_, queries() * row, at::kBFloat16);
            grow(part_lse_, results, at::kFloat);
        }
        if (fp8_) {
            grow(scales_, 6, at::kFloat);
        }
        grow(total_, queries() * row, at::kFloat);
        grow(total_lse_, results, at::kFloat);
        if (bias_correction_) {
            grow(energy_, results * (shape_.head_dim / kNoiseChannels), at::kFloat);
        }
    }

    at::Tensor attend(int layer, const std::vector<HistorySegment>& segments, const at::Tensor& q, const at::Tensor& k,
                      const at::Tensor& v) override {
        at::Tensor result = at::empty({branches(), q.size(0), q.size(1), q.size(2)}, q.options());
        const std::vector<Slice> slices = cut(layer, segments);
        if (fp8_) {
            cuda::ScaleJob scales{{q.const_data_ptr(), k.const_data_ptr(), v.const_data_ptr()}, q.numel(), element_};
            scales.inverse_scale = scales_.data_ptr<float>();
            scales.descale = scales.inverse_scale + 3;
            cuda::launch_scales(scales, stream());
        }
        for (int head = 0; head < shape_.heads; head += heads_together_) {
            heads_ = {head, std::min(heads_together_, shape_.heads - head)};
            timer_.begin();
            expand_plain(q, {nullptr, 0, 0, queries(), rotation_.history}, 0, query, transposed_, queries_.data_ptr());
            measure_queries();
            timer_.end();
            bool first = true;
            for (const Slice& slice : slices) {
                attend_slice(layer, slice, k, v, first);
                first = false;
            }
            finish(result);
        }
        return result;
    }

    void set_bias_correction(bool on) override { bias_correction_ = on && shape_.head_dim % kNoiseChannels == 0; }

    std::int64_t scratch_bytes() const override {
        std::int64_t bytes = 0;
        for (const at::Tensor* buffer : {&keys_, &values_, &queries_, &total_, &total_lse_, &part_, &part_lse_,
                                         &energy_, &scales_, &tables_, &space_}) {
            bytes += buffer->defined() ? static_cast<std::int64_t>(buffer->nbytes()) : 0;
        }
        return bytes;
    }

    double take_expand_ms() override { return timer_.take_ms(); }

private:
    static constexpr std::int64_t kMinSliceRows = 256;
    // Small pictures: one slice of any length; cuDNN gains nothing and would make a plan for each.
    static constexpr int kCudnnTokens = 256;
    // What one slice of keys and values shares the L2 with: the queries of its heads, a partial and the merged result.
    static constexpr std::int64_t kL2Bytes = 48 << 20;

    int branches() const { return rotation_.prope ? 2 : 1; }
    int turned_heads() const { return branches() * heads_.count; }
    int queries() const { return rotation_.latents * shape_.tokens_per_latent; }

    // As many heads as leave room for the slice; few queries do not need to be parted.
    int heads_for_l2() const {
        const std::int64_t head_bytes = static_cast<std::int64_t>(queries()) * branches() * shape_.head_dim *
                                        (2 * static_cast<std::int64_t>(c10::elementSize(compute_)) + 4);
        int parts = 1;
        while (parts < shape_.heads && head_bytes * ((shape_.heads + parts - 1) / parts) > kL2Bytes - slice_bytes_) {
            ++parts;
        }
        return (shape_.heads + parts - 1) / parts;
    }
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

    // The layer's visible rows and the chunk's own, in slices of at most slice_rows_.
    std::vector<Slice> cut(int layer, const std::vector<HistorySegment>& segments) const {
        std::vector<Slice> slices;
        std::vector<Slice> summaries; // rows that stand for a whole latent each
        const auto add = [&](std::vector<Slice>& to, Run run, float log_weight, const at::Tensor* noise) {
            while (run.rows > 0) {
                if (to.empty() || to.back().rows == slice_rows_ || !to.back().takes(log_weight, noise)) {
                    to.push_back({{}, 0, log_weight, noise});
                }
                Run part = run;
                part.rows = static_cast<int>(std::min<std::int64_t>(run.rows, slice_rows_ - to.back().rows));
                to.back().rows += part.rows;
                to.back().runs.push_back(part);
                run.first_row += part.rows;
                run.first_token += part.rows;
                run.rows -= part.rows;
            }
        };
        const int tokens = shape_.tokens_per_latent;
        for (const HistorySegment& segment : segments) {
            const Page& page = segment.group->keys[static_cast<std::size_t>(layer)];
            const at::Tensor* noise = bias_correction_ && page.noise.defined() ? &page.noise : nullptr;
            const int table = segment.history_index - segment.page_latent;
            if (!page.format->prunes()) {
                add(slices,
                    {segment.group, segment.page_latent * tokens, segment.page_latent * tokens,
                     segment.latents * tokens, table},
                    0.0F, noise);
                continue;
            }
            const PageShape shape = codec_.page_shape(*segment.group, true);
            const EncodeOptions options = codec_.options(*segment.group, layer, true);
            for (int n = segment.page_latent; n < segment.page_latent + segment.latents; ++n) {
                const StoredLatent stored = page.format->stored(shape, options, n);
                const bool whole = stored.rows == tokens;
                // A row for all tokens stands in the middle of the picture.
                add(whole ? slices : summaries,
                    {segment.group, stored.row, n * tokens + (whole ? 0 : tokens / 2), stored.rows, table},
                    stored.log_weight, nullptr);
            }
        }
        add(slices, {nullptr, 0, 0, queries(), rotation_.history}, 0.0F, nullptr);
        slices.insert(slices.end(), summaries.begin(), summaries.end());
        return slices;
    }

    at::ScalarType slice_type() const { return fp8_ ? at::kFloat8_e4m3fn : compute_; }

    enum Operand { query, key, value }; // in the order of ScaleJob

    cuda::ExpandJob job(Operand operand, const float* matrices, void* out) const {
        cuda::ExpandJob job;
        job.source_element = element_;
        job.heads = shape_.heads;
        job.head_dim = shape_.head_dim;
        job.first_head = heads_.first;
        job.head_count = heads_.count;
        job.tables = &device_tables_;
        job.rotary = operand != value;
        job.matrices = matrices;
        job.element = fp8_ ? cuda::Element::e4m3 : element_;
        job.inverse_scale = fp8_ ? scales_.const_data_ptr<float>() + operand : nullptr;
        job.out = out;
        return job;
    }

    void expand_plain(const at::Tensor& rows, const Run& run, int out_row, Operand operand, const float* matrices,
                      void* out) const {
        cuda::ExpandJob plain = job(operand, matrices, out);
        plain.runs[0] = {rows.const_data_ptr(), run.first_row, run.first_token, run.rows, run.table_latent, out_row};
        plain.run_count = 1;
        cuda::expand_plain(plain, stream());
    }

    // Whether two pages can be read by one launch: the same format, shape, and whatever else the reader needs.
    bool read_alike(const Page& a, const PageGroup& of_a, const Page& b, const PageGroup& of_b) const {
        return a.format == b.format && of_a.capacity == of_b.capacity && a.codebook == b.codebook &&
               (!a.format->prunes() || of_a.kept == of_b.kept);
    }

    // All rows of a slice, pages that are read alike in one launch.
    void expand_slice(const Slice& slice, int layer, Operand operand, const at::Tensor& own, void* out) const {
        const bool is_key = operand == key;
        const auto page_of = [&](const Run& run) -> const Page& {
            return (is_key ? run.group->keys : run.group->values)[static_cast<std::size_t>(layer)];
        };
        int out_row = 0;
        for (std::size_t i = 0; i < slice.runs.size();) {
            const Run& first = slice.runs[i];
            if (!first.group) {
                expand_plain(own, first, out_row, operand, inverse_, out);
                out_row += first.rows;
                ++i;
                continue;
            }
            cuda::ExpandJob paged = job(operand, inverse_, out);
            const Page& page = page_of(first);
            for (; i < slice.runs.size() && paged.run_count < cuda::kMaxRuns; ++i) {
                const Run& run = slice.runs[i];
                if (!run.group || !read_alike(page, *first.group, page_of(run), *run.group)) {
                    break;
                }
                paged.runs[paged.run_count++] = {page_of(run).bytes.const_data_ptr(),
                                                 run.first_row,
                                                 run.first_token,
                                                 run.rows,
                                                 run.table_latent,
                                                 out_row};
                out_row += run.rows;
            }
            TORCH_CHECK(page.format->expand(paged, codec_.page_shape(*first.group, is_key),
                                            codec_.options(*first.group, layer, is_key), stream()),
                        "cache format ", page.format->name(), " has no CUDA decoder");
        }
    }

    // |q|^2 of every query, head and kNoiseChannels channels.
    void measure_queries() const {
        if (bias_correction_) {
            cuda::EnergyJob energy;
            energy.rows = static_cast<std::int64_t>(queries()) * turned_heads();
            energy.head_dim = shape_.head_dim;
            energy.channels = kNoiseChannels;
            energy.element = fp8_ ? cuda::Element::e4m3 : element_;
            energy.descale = fp8_ ? scales_.const_data_ptr<float>() + 3 + query : nullptr;
            energy.source = queries_.const_data_ptr();
            energy.out = energy_.data_ptr<float>();
            cuda::launch_energy(energy, stream());
        }
    }

    void attend_slice(int layer, const Slice& slice, const at::Tensor& k, const at::Tensor& v, bool first) {
        timer_.begin();
        expand_slice(slice, layer, key, k, keys_.data_ptr());
        expand_slice(slice, layer, value, v, values_.data_ptr());
        timer_.end();

        if (fp8_ || cudnn_) {
            attend_cudnn(slice, first);
        } else {
            attend_torch(slice, first);
        }
    }

    void attend_cudnn(const Slice& slice, bool first) {
        cuda::SdpaJob sdpa;
        sdpa.type = fp8_ ? cuda::SdpaType::e4m3 : cuda::SdpaType::bfloat16;
        sdpa.device = device_.index();
        sdpa.heads = turned_heads();
        sdpa.head_dim = shape_.head_dim;
        sdpa.queries = queries();
        sdpa.keys = slice.rows;
        sdpa.scale = 1.0 / std::sqrt(static_cast<double>(shape_.head_dim));
        sdpa.q = queries_.const_data_ptr();
        sdpa.k = keys_.const_data_ptr();
        sdpa.v = values_.const_data_ptr();
        if (fp8_) {
            const float* descale = scales_.const_data_ptr<float>() + 3;
            sdpa.descale_q = descale + query;
            sdpa.descale_k = descale + key;
            sdpa.descale_v = descale + value;
        }
        sdpa.out = part_.data_ptr();
        sdpa.lse = part_lse_.data_ptr<float>();
        cuda::attend(sdpa);
        merge(as_heads(part_, queries()),
              part_lse_.narrow(0, 0, static_cast<std::int64_t>(turned_heads()) * queries())
                  .view({1, turned_heads(), queries()}),
              slice, first);
    }

    // The float path, and BF16 where cuDNN cannot be had.
    void attend_torch(const Slice& slice, bool first) {
        const at::Tensor queries_at = as_heads(queries_, queries());
        const at::Tensor keys = as_heads(keys_, slice.rows);
        const at::Tensor values = as_heads(values_, slice.rows);
        const double scale = 1.0 / std::sqrt(static_cast<double>(shape_.head_dim));
        if (compute_ == at::kFloat) {
            const auto part = at::_scaled_dot_product_efficient_attention(queries_at, keys, values, std::nullopt, true,
                                                                          0.0, false, scale);
            merge(std::get<0>(part), std::get<1>(part), slice, first);
        } else {
            const auto part =
                at::_scaled_dot_product_flash_attention(queries_at, keys, values, 0.0, false, false, scale);
            merge(std::get<0>(part), std::get<1>(part), slice, first);
        }
    }

    at::Tensor as_heads(const at::Tensor& buffer, std::int64_t tokens) const {
        const std::int64_t row = static_cast<std::int64_t>(turned_heads()) * shape_.head_dim;
        return buffer.narrow(0, 0, tokens * row).view({1, tokens, turned_heads(), shape_.head_dim}).transpose(1, 2);
    }

    // part [1, heads, queries, head_dim], lse [1, heads, >= queries]
    void merge(const at::Tensor& part, const at::Tensor& lse, const Slice& slice, bool first) {
        cuda::MergeJob merge;
        merge.queries = queries();
        merge.heads = turned_heads();
        merge.head_dim = shape_.head_dim;
        merge.first = first;
        merge.element = element_;
        merge.part = part.const_data_ptr();
        merge.part_head_stride = part.stride(1);
        merge.part_query_stride = part.stride(2);
        merge.part_lse = lse.const_data_ptr<float>();
        merge.lse_head_stride = lse.stride(1);
        merge.lse_query_stride = lse.stride(2);
        merge.log_weight = slice.log_weight;
        if (slice.noise) {
            merge.noise = slice.noise->const_data_ptr<float>();
            merge.branch_heads = heads_.count;
            merge.first_head = heads_.first;
            merge.noise_groups = shape_.head_dim / kNoiseChannels;
            merge.energy = energy_.const_data_ptr<float>();
            merge.half_square_scale = 0.5F / static_cast<float>(shape_.head_dim);
            merge.max_bias = kMaxLogitBias;
        }
        merge.total = total_.data_ptr<float>();
        merge.total_lse = total_lse_.data_ptr<float>();
        cuda::launch_merge(merge, stream());
    }

    void finish(at::Tensor& result) const {
        cuda::FinishJob finish;
        finish.queries = queries();
        finish.branches = branches();
        finish.heads = shape_.heads;
        finish.first_head = heads_.first;
        finish.head_count = heads_.count;
        finish.head_dim = shape_.head_dim;
        finish.tokens_per_latent = shape_.tokens_per_latent;
        finish.element = element_;
        finish.total = total_.data_ptr<float>();
        finish.matrices = projection_;
        finish.result = result.data_ptr();
        cuda::launch_finish(finish, stream());
    }

    struct HeadRange {
        int first = 0;
        int count = 0;
    };

    CacheShape shape_;
    PageCodec codec_;
    at::Device device_;
    at::ScalarType compute_;
    cuda::Element element_;
    bool fp8_;
    bool cudnn_;
    std::int64_t slice_bytes_;
    int heads_wanted_;
    bool bias_correction_;
    std::int64_t slice_rows_ = 0;
    int heads_together_ = 1;
    HeadRange heads_; // that are attended to at present
    StageTimer timer_;

    RotationTables<float> rotation_;
    at::Tensor space_angles_; // that space_ was made from
    at::Tensor space_;        // device
    at::Tensor tables_;       // device: time pairs, inverses, transposed, projections
    cuda::DeviceTables device_tables_;
    const float* inverse_ = nullptr;
    const float* transposed_ = nullptr;
    const float* projection_ = nullptr;

    // Shared by all layers: one slice, the turned queries of its heads, the merged result so far.
    at::Tensor keys_, values_, queries_, part_, part_lse_, total_, total_lse_, energy_;
    at::Tensor scales_; // E4M3: what to multiply queries, keys, values by when stored; then the inverses
};

} // namespace

std::unique_ptr<Attention> make_cuda_attention(const CacheShape& shape, const CachePolicy& policy, at::Device device,
                                               at::ScalarType compute) {
    return std::make_unique<CudaAttention>(shape, policy, device, compute);
}

} // namespace wander::quant
#endif
