#include "quant/cache/attention.hpp"
#include "quant/cache/logit_bias.hpp"

#if WANDER_CUDA
#include "quant/cache/page_codec.hpp"
#include "quant/cache/rotation.hpp"
#include "quant/cache/slices.hpp"
#include "quant/cache/stage_timer.hpp"
#include "quant/cuda/expand.hpp"
#include "quant/cuda/sdpa_cudnn.hpp"

#include <ATen/Functions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <tuple>

namespace wander::quant {
namespace {

// What a slice is multiplied in.
enum class Arithmetic { torch_kernels, cudnn_bf16, cudnn_e4m3 };

// Small pictures: one slice of any length; cuDNN gains nothing there and would make a plan for each length.
constexpr int kCudnnTokens = 256;

Arithmetic arithmetic_for(const CacheShape& shape, const CachePolicy& policy, at::ScalarType compute) {
    if (compute != at::kBFloat16 || shape.head_dim > 128 || shape.tokens_per_latent < kCudnnTokens) {
        return Arithmetic::torch_kernels;
    }
    return policy.attention == AttentionType::fp8 ? Arithmetic::cudnn_e4m3 : Arithmetic::cudnn_bf16;
}

class CudaAttention final : public Attention {
public:
    CudaAttention(const CacheShape& shape, const CachePolicy& policy, at::Device device, at::ScalarType compute)
        : shape_(shape),
          codec_(shape, policy, compute),
          device_(device),
          compute_(compute),
          element_(compute == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16),
          arithmetic_(arithmetic_for(shape, policy, compute)),
          slice_bytes_(policy.slice_bytes),
          heads_wanted_(policy.heads_together),
          bias_correction_(policy.bias_correction && shape.head_dim % kNoiseChannels == 0),
          side_(c10::cuda::getStreamFromPool(false, device.index())),
          timer_(device) {
        for (Lane& lane : lanes_) {
            cudaEventCreateWithFlags(&lane.filled, cudaEventDisableTiming);
            cudaEventCreateWithFlags(&lane.read, cudaEventDisableTiming);
        }
        cudaEventCreateWithFlags(&inputs_, cudaEventDisableTiming);
        cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device.index());
    }
    ~CudaAttention() override {
        for (const Lane& lane : lanes_) {
            cudaEventDestroy(lane.filled);
            cudaEventDestroy(lane.read);
        }
        cudaEventDestroy(inputs_);
    }
    CudaAttention(const CudaAttention&) = delete;
    CudaAttention& operator=(const CudaAttention&) = delete;

    void begin_chunk(const ReadView& view, int history_latents) override {
        rotation_.fill(view, shape_, history_latents);
        upload_tables(view);
        const std::int64_t head_bytes = 2 * static_cast<std::int64_t>(branches()) * shape_.head_dim *
                                        static_cast<std::int64_t>(c10::elementSize(slice_type()));
        heads_together_ = heads_wanted_ > 0 ? std::min(heads_wanted_, shape_.heads)
                                            : heads_of_a_slice(shape_.heads, branches(), queries(), multiprocessors_,
                                                               slice_bytes_ / kLanes / head_bytes);
        const std::int64_t row = static_cast<std::int64_t>(branches()) * heads_together_ * shape_.head_dim;
        const std::int64_t row_bytes = head_bytes * heads_together_;
        const std::int64_t wanted =
            static_cast<std::int64_t>(history_latents + view.latents) * shape_.tokens_per_latent;
        // One lane is filled while the other is read.
        const std::int64_t fitting = slice_bytes_ / kLanes / row_bytes;
        slice_rows_ = std::max<std::int64_t>(kMinSliceRows, std::min(wanted, fitting / kTileKeys * kTileKeys));
        if (arithmetic_ == Arithmetic::cudnn_e4m3) {
            slice_rows_ = std::min(slice_rows_, kMaxE4m3Rows);
        }
        // A length that stays is worth a plan of cuDNN; the last slice of a growing history is not.
        length_stays_ = wanted == last_wanted_;
        last_wanted_ = wanted;
        for (Lane& lane : lanes_) {
            grow(lane.keys, slice_rows_ * row, slice_type());
            grow(lane.values, slice_rows_ * row, slice_type());
        }
        const std::int64_t head_row = static_cast<std::int64_t>(queries()) * branches() * shape_.head_dim;
        grow(queries_, head_row * shape_.heads, slice_type());
        grow(total_, head_row * heads_together_, at::kFloat);
        const std::int64_t results = static_cast<std::int64_t>(queries()) * branches();
        grow(total_lse_, results * heads_together_, at::kFloat);
        if (arithmetic_ == Arithmetic::cudnn_e4m3) {
            grow(part_, head_row * heads_together_, slice_type());
            grow(part_lse_, results * heads_together_, at::kFloat);
            grow(scales_, 6, at::kFloat);
        }
        if (bias_correction_) {
            grow(energy_, results * shape_.heads * (shape_.head_dim / kNoiseChannels), at::kFloat);
        }
    }

    at::Tensor attend(int layer, const std::vector<HistorySegment>& segments, const at::Tensor& q, const at::Tensor& k,
                      const at::Tensor& v) override {
        at::Tensor result = at::empty({branches(), q.size(0), q.size(1), q.size(2)}, q.options());
        const SliceRules rules{shape_.tokens_per_latent, static_cast<int>(slice_rows_), bias_correction_};
        const std::vector<Slice> slices = cut_slices(rules, codec_, layer, segments, queries(), rotation_.history);
        if (arithmetic_ == Arithmetic::cudnn_e4m3) {
            cuda::ScaleJob scales{{q.const_data_ptr(), k.const_data_ptr(), v.const_data_ptr()}, q.numel(), element_};
            scales.inverse_scale = scales_.data_ptr<float>();
            scales.descale = scales.inverse_scale + 3;
            cuda::launch_scales(scales, stream());
        }
        std::vector<Part> parts;
        for (int head = 0; head < shape_.heads; head += heads_together_) {
            const HeadRange heads{head, std::min(heads_together_, shape_.heads - head)};
            expand_plain(heads, q, {nullptr, 0, 0, queries(), rotation_.history}, 0, query, transposed_,
                         queries_of(heads));
            for (const Slice& slice : slices) {
                parts.push_back({heads, &slice, &slice == &slices.front(), &slice == &slices.back()});
            }
        }
        measure_queries();
        attend_parts(parts, layer, k, v, result);
        return result;
    }

    std::int64_t scratch_bytes() const override {
        std::int64_t bytes = 0;
        const auto add = [&](const at::Tensor& buffer) {
            bytes += buffer.defined() ? static_cast<std::int64_t>(buffer.nbytes()) : 0;
        };
        for (const Lane& lane : lanes_) {
            add(lane.keys);
            add(lane.values);
        }
        for (const at::Tensor* buffer :
             {&queries_, &total_, &total_lse_, &part_, &part_lse_, &energy_, &scales_, &tables_, &space_}) {
            add(*buffer);
        }
        return bytes;
    }

    void set_bias_correction(bool on) override { bias_correction_ = on && shape_.head_dim % kNoiseChannels == 0; }

    double take_expand_ms() override { return timer_.take_ms(); }

private:
    static constexpr std::int64_t kMinSliceRows = 256;
    static constexpr std::int64_t kTileKeys = 128; // attention kernels walk keys in such steps
    // E4M3 products add up with few bits on this generation of GPUs: the error of one call grows with its keys, that of
    // merged calls does not (docs/performance.md has the figures).
    static constexpr std::int64_t kMaxE4m3Rows = 8192;

    struct HeadRange {
        int first = 0;
        int count = 0;
    };
    // One slice of some heads: expanded into a lane, attended to, merged.
    struct Part {
        HeadRange heads;
        const Slice* slice = nullptr;
        bool first = false; // of its heads
        bool last = false;
    };
    static constexpr int kLanes = 2;
    struct Lane {
        at::Tensor keys, values;
        cudaEvent_t filled = nullptr;
        cudaEvent_t read = nullptr;
    };

    int branches() const { return rotation_.prope ? 2 : 1; }
    int turned(const HeadRange& heads) const { return branches() * heads.count; }
    int queries() const { return rotation_.latents * shape_.tokens_per_latent; }
    void* queries_of(const HeadRange& heads) const { return at_head(queries_, heads, shape_.head_dim); }
    // Where the part of `buffer` lies that belongs to these heads; [queries][branches] values of `width` a head.
    void* at_head(const at::Tensor& buffer, const HeadRange& heads, int width) const {
        const std::int64_t before = static_cast<std::int64_t>(queries()) * branches() * heads.first * width;
        return static_cast<std::uint8_t*>(buffer.data_ptr()) +
               before * static_cast<std::int64_t>(buffer.element_size());
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

    at::ScalarType slice_type() const { return arithmetic_ == Arithmetic::cudnn_e4m3 ? at::kFloat8_e4m3fn : compute_; }
    cuda::Element slice_element() const {
        return arithmetic_ == Arithmetic::cudnn_e4m3 ? cuda::Element::e4m3 : element_;
    }
    const float* descale(int operand) const {
        return arithmetic_ == Arithmetic::cudnn_e4m3 ? scales_.const_data_ptr<float>() + 3 + operand : nullptr;
    }

    enum Operand { query, key, value }; // in the order of ScaleJob

    cuda::ExpandJob job(const HeadRange& heads, Operand operand, const float* matrices, void* out) const {
        cuda::ExpandJob job;
        job.source_element = element_;
        job.heads = shape_.heads;
        job.head_dim = shape_.head_dim;
        job.first_head = heads.first;
        job.head_count = heads.count;
        job.tables = &device_tables_;
        job.rotary = operand != value;
        job.matrices = matrices;
        job.element = slice_element();
        job.inverse_scale = arithmetic_ == Arithmetic::cudnn_e4m3 ? scales_.const_data_ptr<float>() + operand : nullptr;
        job.out = out;
        return job;
    }

    void expand_plain(const HeadRange& heads, const at::Tensor& rows, const Run& run, int out_row, Operand operand,
                      const float* matrices, void* out) const {
        cuda::ExpandJob plain = job(heads, operand, matrices, out);
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
    void expand_slice(const Part& part, int layer, Operand operand, const at::Tensor& own, void* out) const {
        const Slice& slice = *part.slice;
        const bool is_key = operand == key;
        const auto page_of = [&](const Run& run) -> const Page& {
            return (is_key ? run.group->keys : run.group->values)[static_cast<std::size_t>(layer)];
        };
        int out_row = 0;
        for (std::size_t i = 0; i < slice.runs.size();) {
            const Run& first = slice.runs[i];
            if (!first.group) {
                expand_plain(part.heads, own, first, out_row, operand, inverse_, out);
                out_row += first.rows;
                ++i;
                continue;
            }
            cuda::ExpandJob paged = job(part.heads, operand, inverse_, out);
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
            energy.rows = static_cast<std::int64_t>(queries()) * branches() * shape_.heads;
            energy.head_dim = shape_.head_dim;
            energy.channels = kNoiseChannels;
            energy.element = slice_element();
            energy.descale = descale(query);
            energy.source = queries_.const_data_ptr();
            energy.out = energy_.data_ptr<float>();
            cuda::launch_energy(energy, stream());
        }
    }

    // Expansion runs one part ahead on a stream of its own: it is bound by memory, attention by arithmetic. A single
    // part has nothing to run beside.
    void attend_parts(const std::vector<Part>& parts, int layer, const at::Tensor& k, const at::Tensor& v,
                      at::Tensor& result) {
        const c10::cuda::CUDAStream main = c10::cuda::getCurrentCUDAStream(device_.index());
        const bool ahead = parts.size() > 1;
        if (ahead) {
            cudaEventRecord(inputs_, main.stream());
            cudaStreamWaitEvent(side_.stream(), inputs_);
        }
        const auto fill = [&](std::size_t i) {
            Lane& lane = lanes_[i % kLanes];
            const c10::cuda::CUDAStreamGuard guard(ahead ? side_ : main);
            if (i >= kLanes) {
                cudaStreamWaitEvent(stream(), lane.read);
            }
            timer_.begin();
            expand_slice(parts[i], layer, key, k, lane.keys.data_ptr());
            expand_slice(parts[i], layer, value, v, lane.values.data_ptr());
            timer_.end();
            cudaEventRecord(lane.filled, stream());
        };
        fill(0);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            if (i + 1 < parts.size()) {
                fill(i + 1);
            }
            Lane& lane = lanes_[i % kLanes];
            cudaStreamWaitEvent(main.stream(), lane.filled);
            attend_part(parts[i], lane);
            if (parts[i].last) {
                finish(parts[i].heads, result);
            }
        }
    }

    // Attention over the lane; the lane is free once that is done, the merge reads its result alone.
    void attend_part(const Part& part, Lane& lane) {
        const bool planned = length_stays_ || part.slice->rows == slice_rows_;
        if (arithmetic_ == Arithmetic::cudnn_e4m3) {
            attend_e4m3(part, lane);
            return;
        }
        const at::Tensor q = as_heads(queries_of(part.heads), part.heads, queries());
        const at::Tensor keys = as_heads(lane.keys.data_ptr(), part.heads, part.slice->rows);
        const at::Tensor values = as_heads(lane.values.data_ptr(), part.heads, part.slice->rows);
        at::Tensor out;
        at::Tensor lse; // [1, heads, >= queries]
        if (compute_ == at::kFloat) {
            const auto done =
                at::_scaled_dot_product_efficient_attention(q, keys, values, std::nullopt, true, 0.0, false, scale());
            out = std::get<0>(done);
            lse = std::get<1>(done);
        } else if (arithmetic_ == Arithmetic::cudnn_bf16 && planned) {
            const auto done = at::_scaled_dot_product_cudnn_attention(q, keys, values, std::nullopt, true, 0.0, false,
                                                                      false, scale());
            out = std::get<0>(done);
            lse = std::get<1>(done).squeeze(-1);
        } else {
            const auto done = at::_scaled_dot_product_flash_attention(q, keys, values, 0.0, false, false, scale());
            out = std::get<0>(done);
            lse = std::get<1>(done);
        }
        cudaEventRecord(lane.read, stream());
        cuda::MergeJob job = merge_job(part);
        job.element = element_;
        job.part = out.const_data_ptr();
        job.part_head_stride = out.stride(1);
        job.part_query_stride = out.stride(2);
        job.part_lse = lse.const_data_ptr<float>();
        job.lse_head_stride = lse.stride(1);
        job.lse_query_stride = lse.stride(2);
        cuda::launch_merge(job, stream());
    }

    void attend_e4m3(const Part& part, Lane& lane) {
        cuda::SdpaJob sdpa;
        sdpa.type = cuda::SdpaType::e4m3;
        sdpa.device = static_cast<unsigned char>(device_.index());
        sdpa.heads = turned(part.heads);
        sdpa.head_dim = shape_.head_dim;
        sdpa.queries = queries();
        sdpa.keys = part.slice->rows;
        sdpa.scale = scale();
        sdpa.q = queries_of(part.heads);
        sdpa.k = lane.keys.const_data_ptr();
        sdpa.v = lane.values.const_data_ptr();
        sdpa.descale_q = descale(query);
        sdpa.descale_k = descale(key);
        sdpa.descale_v = descale(value);
        sdpa.out_element = cuda::Element::e4m3;
        sdpa.out = part_.data_ptr();
        sdpa.lse = part_lse_.data_ptr<float>();
        cuda::attend(sdpa);
        cudaEventRecord(lane.read, stream());
        cuda::MergeJob job = merge_job(part);
        job.element = cuda::Element::e4m3;
        job.part = part_.const_data_ptr();
        job.part_descale = descale(value);
        job.part_head_stride = shape_.head_dim;
        job.part_query_stride = static_cast<std::int64_t>(turned(part.heads)) * shape_.head_dim;
        job.part_lse = part_lse_.const_data_ptr<float>();
        job.lse_head_stride = queries();
        job.lse_query_stride = 1;
        cuda::launch_merge(job, stream());
    }

    double scale() const { return 1.0 / std::sqrt(static_cast<double>(shape_.head_dim)); }

    // [1, heads, rows, head_dim] over [rows][heads][head_dim].
    at::Tensor as_heads(void* rows, const HeadRange& heads, std::int64_t count) const {
        return at::from_blob(rows, {1, count, turned(heads), shape_.head_dim},
                             at::TensorOptions().dtype(compute_).device(device_))
            .transpose(1, 2);
    }

    cuda::MergeJob merge_job(const Part& part) const {
        cuda::MergeJob merge;
        merge.queries = queries();
        merge.heads = turned(part.heads);
        merge.head_dim = shape_.head_dim;
        merge.first = part.first;
        merge.log_weight = part.slice->log_weight;
        if (part.slice->noise) {
            merge.noise = part.slice->noise->const_data_ptr<float>();
            merge.branch_heads = part.heads.count;
            merge.first_head = part.heads.first;
            merge.noise_groups = shape_.head_dim / kNoiseChannels;
            merge.energy = static_cast<const float*>(at_head(energy_, part.heads, shape_.head_dim / kNoiseChannels));
            merge.half_square_scale = 0.5F / static_cast<float>(shape_.head_dim);
            merge.max_bias = kMaxLogitBias;
        }
        merge.total = total_.data_ptr<float>();
        merge.total_lse = total_lse_.data_ptr<float>();
        return merge;
    }

    void finish(const HeadRange& heads, at::Tensor& result) const {
        cuda::FinishJob finish;
        finish.queries = queries();
        finish.branches = branches();
        finish.heads = shape_.heads;
        finish.first_head = heads.first;
        finish.head_count = heads.count;
        finish.head_dim = shape_.head_dim;
        finish.tokens_per_latent = shape_.tokens_per_latent;
        finish.element = element_;
        finish.total = total_.data_ptr<float>();
        finish.matrices = projection_;
        finish.result = result.data_ptr();
        cuda::launch_finish(finish, stream());
    }

    CacheShape shape_;
    PageCodec codec_;
    at::Device device_;
    at::ScalarType compute_;
    cuda::Element element_;
    Arithmetic arithmetic_;
    std::int64_t slice_bytes_; // of all lanes together
    int heads_wanted_;
    bool bias_correction_;
    int multiprocessors_ = 1;
    std::int64_t slice_rows_ = 0;
    std::int64_t last_wanted_ = 0; // rows that the chunk before this one read
    bool length_stays_ = false;
    int heads_together_ = 1;
    c10::cuda::CUDAStream side_;
    cudaEvent_t inputs_ = nullptr;
    StageTimer timer_;

    RotationTables<float> rotation_;
    at::Tensor space_angles_; // that space_ was made from
    at::Tensor space_;        // device
    at::Tensor tables_;       // device: time pairs, inverses, transposed, projections
    cuda::DeviceTables device_tables_;
    const float* inverse_ = nullptr;
    const float* transposed_ = nullptr;
    const float* projection_ = nullptr;

    // Shared by all layers: the slices at hand, the turned queries of all heads (each group of heads dense), the result
    // of one slice (E4M3; torch allocates the others), the merged result so far of one group of heads.
    Lane lanes_[kLanes];
    at::Tensor queries_, part_, part_lse_, total_, total_lse_, energy_;
    at::Tensor scales_; // E4M3: what to multiply queries, keys, values by when stored; then the inverses
};

} // namespace

bool cuda_attention_has_fp8(const CacheShape& shape, at::Device device, at::ScalarType compute) {
    return compute == at::kBFloat16 && shape.head_dim <= 128 && shape.head_dim % 16 == 0 &&
           shape.tokens_per_latent >= kCudnnTokens && cuda::sdpa_supports(cuda::SdpaType::e4m3, device.index());
}

std::unique_ptr<Attention> make_cuda_attention(const CacheShape& shape, const CachePolicy& policy, at::Device device,
                                               at::ScalarType compute) {
    return std::make_unique<CudaAttention>(shape, policy, device, compute);
}

} // namespace wander::quant
#endif
