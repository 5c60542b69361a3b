#include "quant/cache/attention.hpp"
#include "quant/cache/logit_bias.hpp"

#if WANDER_CUDA
#include "quant/cache/cuda_arithmetic.hpp"
#include "quant/cache/part_streams.hpp"
#include "quant/cache/slice_expander.hpp"
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

class CudaAttention final : public Attention {
public:
    CudaAttention(const CacheShape& shape, const CachePolicy& policy, at::Device device, at::ScalarType compute)
        : shape_(shape),
          codec_(shape, policy, compute),
          device_(device),
          compute_(compute),
          element_(compute == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16),
          arithmetic_(arithmetic_for(shape, policy, compute, device.index())),
          slice_bytes_(policy.slice_bytes),
          heads_wanted_(policy.heads_together),
          bias_correction_(policy.bias_correction && shape.head_dim % kNoiseChannels == 0),
          streams_(device.index()),
          timer_(device),
          expander_(shape, codec_, device, compute) {
        cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device.index());
    }
    ~CudaAttention() override = default;
    CudaAttention(const CudaAttention&) = delete;
    CudaAttention& operator=(const CudaAttention&) = delete;

    void begin_chunk(const ReadView& view, int history_latents) override {
        expander_.begin_chunk(view, history_latents);
        const std::int64_t head_bytes = 2 * static_cast<std::int64_t>(branches()) * shape_.head_dim *
                                        static_cast<std::int64_t>(c10::elementSize(slice_type()));
        // As many heads in E4M3 as in the compute type: what stays of the room goes to results that wait.
        const std::int64_t rows_of_one_head = slice_bytes_ / kLanes /
                                              (2 * static_cast<std::int64_t>(branches()) * shape_.head_dim *
                                               static_cast<std::int64_t>(c10::elementSize(compute_)));
        heads_together_ = heads_wanted_ > 0 ? std::min(heads_wanted_, shape_.heads)
                                            : heads_of_a_slice(shape_.heads, branches(), queries(), multiprocessors_,
                                                               rows_of_one_head);
        const std::int64_t latents = history_latents + view.latents;
        std::int64_t cached_rows = kMaxE4m3Rows;
        if (arithmetic_ == Arithmetic::cudnn_e4m3 && heads_wanted_ == 0) {
            const CachedSlices cached =
                cached_slices({shape_.heads, heads_together_, branches(), shape_.head_dim, queries(),
                               latents * shape_.tokens_per_latent, kLanes, PartStreams::kSlots});
            if (cached.heads > 0) {
                heads_together_ = cached.heads;
                cached_rows = std::min(cached_rows, cached.rows);
            }
        }
        const std::int64_t row = static_cast<std::int64_t>(branches()) * heads_together_ * shape_.head_dim;
        // Two lanes are attended to while one is filled.
        std::int64_t fitting = slice_bytes_ / kLanes / (head_bytes * heads_together_);
        if (arithmetic_ == Arithmetic::cudnn_e4m3) {
            fitting = std::min(fitting, cached_rows - expander_.text_rows());
        }
        const SliceLengths lengths =
            slice_lengths(arithmetic_ == Arithmetic::torch_kernels, latents, shape_.tokens_per_latent, fitting);
        slice_rows_ = lengths.rows;
        long_slices_ = lengths.long_slices;
        // Any length that stays is worth a plan of cuDNN.
        length_stays_ = latents == last_latents_;
        last_latents_ = latents;
        for (Lane& lane : lanes_) {
            grow(lane.keys, (slice_rows_ + expander_.text_rows()) * row, slice_type());
            grow(lane.values, (slice_rows_ + expander_.text_rows()) * row, slice_type());
        }
        const std::int64_t results = static_cast<std::int64_t>(queries()) * branches();
        if (!turn_in_place()) {
            grow(queries_, results * shape_.head_dim * shape_.heads, slice_type());
        }
        grow(total_, results * shape_.head_dim * heads_together_, at::kFloat);
        grow(total_lse_, 2 * results * heads_together_, at::kFloat);
        if (arithmetic_ != Arithmetic::torch_kernels) {
            grow(parts_, PartStreams::kSlots * results * shape_.head_dim * heads_together_, slice_type());
            grow(part_lse_, PartStreams::kSlots * results * heads_together_, at::kFloat);
        }
        if (arithmetic_ == Arithmetic::cudnn_e4m3) {
            grow(factors_, sizeof(cuda::E4m3Factors), at::kByte);
            expander_.write_as(cuda::Element::e4m3, factors());
        }
        if (bias_correction_) {
            grow(energy_, results * shape_.heads * (shape_.head_dim / kNoiseChannels), at::kFloat);
        }
    }

    at::Tensor attend(int layer, const std::vector<HistorySegment>& segments, const at::Tensor& query_rows,
                      const at::Tensor& key_rows, const at::Tensor& value_rows) override {
        const at::Tensor q = with_dense_heads(query_rows);
        const at::Tensor k = with_dense_heads(key_rows);
        const at::Tensor v = with_dense_heads(value_rows);
        at::Tensor result = empty_result(branches(), q);
        const SliceRules rules{shape_.tokens_per_latent, static_cast<int>(slice_rows_), long_slices_, bias_correction_,
                               expander_.text_rows()};
        const std::vector<Slice> slices =
            cut_slices(rules, codec_, layer, segments, queries(), expander_.rotation().history());
        if (arithmetic_ == Arithmetic::cudnn_e4m3) {
            cuda::ScaleJob scales{{q.const_data_ptr(), k.const_data_ptr(), v.const_data_ptr()},
                                  {q.stride(0), k.stride(0), v.stride(0)},
                                  q.size(0),
                                  shape_.heads * shape_.head_dim,
                                  element_,
                                  expander_.text_largest(layer),
                                  factors()};
            cuda::launch_scales(scales, stream());
        }
        const bool in_place = turn_in_place();
        std::vector<Part> parts;
        for (int head = 0; head < shape_.heads; head += heads_together_) {
            const HeadRange heads{head, std::min(heads_together_, shape_.heads - head)};
            if (!in_place) {
                expander_.turn_queries(heads, q, queries_of(heads), 0);
            }
            for (const Slice& slice : slices) {
                parts.push_back({heads, &slice, &slice == &slices.front(), &slice == &slices.back()});
            }
        }
        if (in_place) {
            expander_.turn_queries({0, shape_.heads}, q, q.data_ptr(), q.stride(0));
        }
        measure_queries();
        attend_parts(parts, layer, in_place ? q : at::Tensor(), k, v, result);
        return result;
    }

    std::int64_t scratch_bytes() const override {
        std::int64_t bytes = expander_.rotation().bytes();
        const auto add = [&](const at::Tensor& buffer) {
            bytes += buffer.defined() ? static_cast<std::int64_t>(buffer.nbytes()) : 0;
        };
        for (const Lane& lane : lanes_) {
            add(lane.keys);
            add(lane.values);
        }
        for (const at::Tensor* buffer : {&queries_, &parts_, &part_lse_, &total_, &total_lse_, &energy_, &factors_}) {
            add(*buffer);
        }
        return bytes;
    }

    void set_bias_correction(bool on) override { bias_correction_ = on && shape_.head_dim % kNoiseChannels == 0; }

    void set_text(std::vector<TextRows> layers) override { expander_.set_text(std::move(layers)); }

    std::string engine() const override { return engine_; }

    // The layers read alike, and each pair of events costs the host as much as a launch: the first stands for all.
    double take_expand_ms() override { return timer_.take_ms() * shape_.layers; }

private:
    // E4M3 products add up with few bits on this generation of GPUs: the error of one call grows with its keys, that of
    // merged calls does not (docs/performance.md has the figures).
    static constexpr std::int64_t kMaxE4m3Rows = 8192;

    // One slice of some heads: expanded into a lane, attended to, merged.
    struct Part {
        HeadRange heads;
        const Slice* slice = nullptr;
        bool first = false; // of its heads
        bool last = false;
    };
    static constexpr int kLanes = PartStreams::kLanes;
    struct Lane {
        at::Tensor keys, values;
    };

    int branches() const { return expander_.rotation().branches(); }
    int turned(const HeadRange& heads) const { return branches() * heads.count; }
    int queries() const { return expander_.queries(); }
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

    // Rows may lie apart, the values of one row may not.
    static at::Tensor with_dense_heads(const at::Tensor& rows) {
        const bool dense = rows.stride(2) == 1 && rows.stride(1) == rows.size(2) && rows.stride(0) % 8 == 0;
        return dense ? rows : rows.contiguous();
    }

    // One branch in the type it has: the queries need no place of their own.
    bool turn_in_place() const { return arithmetic_ == Arithmetic::cudnn_bf16 && branches() == 1 && !bias_correction_; }

    at::ScalarType slice_type() const { return arithmetic_ == Arithmetic::cudnn_e4m3 ? at::kFloat8_e4m3fn : compute_; }
    cuda::Element slice_element() const {
        return arithmetic_ == Arithmetic::cudnn_e4m3 ? cuda::Element::e4m3 : element_;
    }
    cuda::E4m3Factors* factors() const {
        return arithmetic_ == Arithmetic::cudnn_e4m3 ? static_cast<cuda::E4m3Factors*>(factors_.data_ptr()) : nullptr;
    }
    const float* descale(Operand operand) const {
        return factors() ? &factors()->descale[static_cast<int>(operand)] : nullptr;
    }

    // |q|^2 of every query, head and kNoiseChannels channels.
    void measure_queries() const {
        if (bias_correction_) {
            cuda::EnergyJob energy;
            energy.rows = static_cast<std::int64_t>(queries()) * branches() * shape_.heads;
            energy.head_dim = shape_.head_dim;
            energy.channels = kNoiseChannels;
            energy.element = slice_element();
            energy.descale = descale(Operand::query);
            energy.source = queries_.const_data_ptr();
            energy.out = energy_.data_ptr<float>();
            cuda::launch_energy(energy, stream());
        }
    }

    // Results of some heads that wait to be merged.
    struct Pending {
        std::vector<cuda::MergePart> parts;
        std::vector<std::size_t> indices; // of the parts among all
        std::vector<at::Tensor> held;     // memory of parts that torch allocated
        bool merged = false;              // total_ holds what came before
        int newest_lse = 0;               // half of total_lse_ that belongs to it
    };

    // turned: the queries, where they were turned in place.
    void attend_parts(const std::vector<Part>& parts, int layer, const at::Tensor& turned, const at::Tensor& k,
                      const at::Tensor& v, at::Tensor& result) {
        streams_.begin(parts.size(), arithmetic_ != Arithmetic::torch_kernels);
        const auto fill = [&](std::size_t i) {
            if (i >= parts.size()) {
                return;
            }
            const c10::cuda::CUDAStreamGuard guard(streams_.to_fill(i));
            const Lane& lane = lanes_[i % kLanes];
            const bool timed = layer == 0;
            if (timed) {
                timer_.begin();
            }
            expander_.expand_both(*parts[i].slice, parts[i].heads, layer, k, v, lane.keys.data_ptr(),
                                  lane.values.data_ptr());
            if (timed) {
                timer_.end();
            }
            streams_.filled(i);
        };
        for (std::size_t i = 0; i + 1 < kLanes; ++i) {
            fill(i);
        }
        Pending pending;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            fill(i + kLanes - 1);
            attend_part(parts, i, turned, pending, result);
        }
        streams_.end();
    }

    // Attention over the part's lane, which is free once that is done: the merge reads its result alone.
    void attend_part(const std::vector<Part>& parts, std::size_t index, const at::Tensor& turned, Pending& pending,
                     at::Tensor& result) {
        const Part& part = parts[index];
        const Lane& lane = lanes_[index % kLanes];
        // E4M3 slices go to cuDNN whatever their length: nothing else reads them.
        const bool planned =
            arithmetic_ == Arithmetic::cudnn_e4m3 || length_stays_ || part.slice->rows % shape_.tokens_per_latent == 0;
        // A single slice needs no merge: cuDNN writes to the result.
        const bool direct = part.first && part.last && turned.defined() && planned;
        cuda::MergePart done;
        {
            const c10::cuda::CUDAStreamGuard guard(streams_.to_attend(index));
            if (arithmetic_ != Arithmetic::torch_kernels && planned) {
                done =
                    attend_planned(part, lane, turned, static_cast<int>(index % PartStreams::kSlots), direct, result);
            } else {
                done = attend_with_torch(part, lane, turned, pending);
            }
            streams_.attended(index);
        }
        if (direct) {
            return;
        }
        done.log_weight = part.slice->log_weight;
        done.noise = part.slice->noise ? part.slice->noise->const_data_ptr<float>() : nullptr;
        pending.parts.push_back(done);
        pending.indices.push_back(index);
        if (part.last || pending.parts.size() == cuda::kMaxMergeParts) {
            const c10::cuda::CUDAStreamGuard guard(streams_.to_merge(pending.indices));
            for (const at::Tensor& memory : pending.held) {
                memory.record_stream(streams_.merging());
            }
            merge(part, pending, result);
            streams_.merged(pending.indices);
            pending = {{}, {}, {}, !part.last, 1 - pending.newest_lse};
        }
    }

    cuda::MergePart attend_planned(const Part& part, const Lane& lane, const at::Tensor& turned, int slot, bool direct,
                                   at::Tensor& result) {
        const int heads = this->turned(part.heads);
        cuda::SdpaJob sdpa;
        sdpa.type = factors() ? cuda::SdpaType::e4m3 : cuda::SdpaType::bfloat16;
        sdpa.device = static_cast<unsigned char>(device_.index());
        sdpa.heads = heads;
        sdpa.head_dim = shape_.head_dim;
        sdpa.queries = queries();
        sdpa.keys = part.slice->rows;
        sdpa.scale = scale();
        if (turned.defined()) {
            sdpa.q = first_of(turned, part.heads);
            sdpa.q_row = turned.stride(0);
        } else {
            sdpa.q = queries_of(part.heads);
        }
        sdpa.k = lane.keys.const_data_ptr();
        sdpa.v = lane.values.const_data_ptr();
        sdpa.factors = factors();
        cuda::MergePart done;
        if (direct) {
            sdpa.out = first_of(result[0], part.heads);
            sdpa.out_row = static_cast<std::int64_t>(shape_.heads) * shape_.head_dim;
        } else {
            const std::int64_t rows = queries() * static_cast<std::int64_t>(heads);
            sdpa.out = static_cast<std::uint8_t*>(parts_.data_ptr()) +
                       slot * rows * shape_.head_dim * static_cast<std::int64_t>(parts_.element_size());
            sdpa.lse = part_lse_.data_ptr<float>() + slot * rows;
            done.values = sdpa.out;
            done.lse = sdpa.lse;
            done.head_stride = shape_.head_dim;
            done.query_stride = static_cast<std::int64_t>(heads) * shape_.head_dim;
            done.lse_head_stride = queries();
        }
        if (engine_.empty()) {
            engine_ = cuda::prepare(sdpa);
        }
        cuda::attend(sdpa);
        return done;
    }

    cuda::MergePart attend_with_torch(const Part& part, const Lane& lane, const at::Tensor& turned, Pending& pending) {
        const at::Tensor q = turned.defined()
                                 ? turned.narrow(1, part.heads.first, part.heads.count).unsqueeze(0).transpose(1, 2)
                                 : as_heads(queries_of(part.heads), part.heads, queries());
        const at::Tensor keys = as_heads(lane.keys.data_ptr(), part.heads, part.slice->rows);
        const at::Tensor values = as_heads(lane.values.data_ptr(), part.heads, part.slice->rows);
        at::Tensor out;
        at::Tensor lse; // [1, heads, >= queries]
        if (compute_ == at::kFloat) {
            const auto done =
                at::_scaled_dot_product_efficient_attention(q, keys, values, std::nullopt, true, 0.0, false, scale());
            out = std::get<0>(done);
            lse = std::get<1>(done);
        } else {
            const auto done = at::_scaled_dot_product_flash_attention(q, keys, values, 0.0, false, false, scale());
            out = std::get<0>(done);
            lse = std::get<1>(done);
        }
        pending.held.push_back(out);
        pending.held.push_back(lse);
        cuda::MergePart done;
        done.values = out.const_data_ptr();
        done.lse = lse.const_data_ptr<float>();
        done.head_stride = out.stride(1);
        done.query_stride = out.stride(2);
        done.lse_head_stride = lse.stride(1);
        done.lse_query_stride = lse.stride(2);
        return done;
    }

    double scale() const { return 1.0 / std::sqrt(static_cast<double>(shape_.head_dim)); }

    void* first_of(const at::Tensor& rows, const HeadRange& heads) const {
        return static_cast<std::uint8_t*>(rows.data_ptr()) +
               heads.first * shape_.head_dim * static_cast<std::int64_t>(rows.element_size());
    }

    // [1, heads, rows, head_dim] over [rows][heads][head_dim].
    at::Tensor as_heads(void* rows, const HeadRange& heads, std::int64_t count) const {
        return at::from_blob(rows, {1, count, turned(heads), shape_.head_dim},
                             at::TensorOptions().dtype(compute_).device(device_))
            .transpose(1, 2);
    }

    // What is pending becomes one: the result if `part` was the last of its heads.
    void merge(const Part& part, const Pending& pending, at::Tensor& result) const {
        cuda::MergeJob merge;
        merge.queries = queries();
        merge.branches = branches();
        merge.first_head = part.heads.first;
        merge.head_count = part.heads.count;
        merge.head_dim = shape_.head_dim;
        std::copy(pending.parts.begin(), pending.parts.end(), merge.parts);
        merge.part_count = static_cast<int>(pending.parts.size());
        merge.element = slice_element();
        merge.part_descale = descale(Operand::value);
        if (bias_correction_) {
            merge.noise_groups = shape_.head_dim / kNoiseChannels;
            merge.energy = static_cast<const float*>(at_head(energy_, part.heads, shape_.head_dim / kNoiseChannels));
            merge.half_square_scale = 0.5F / static_cast<float>(shape_.head_dim);
            merge.max_bias = kMaxLogitBias;
        }
        const std::int64_t rows = static_cast<std::int64_t>(queries()) * turned(part.heads);
        merge.with_total = pending.merged;
        merge.total = total_.data_ptr<float>();
        merge.lse_of_total = total_lse_.data_ptr<float>() + pending.newest_lse * rows;
        merge.new_lse = total_lse_.data_ptr<float>() + (1 - pending.newest_lse) * rows;
        if (part.last) {
            merge.result = result.data_ptr();
            merge.result_element = element_;
            merge.heads = shape_.heads;
            merge.tokens_per_latent = shape_.tokens_per_latent;
            merge.matrices = expander_.rotation().projection();
        }
        cuda::launch_merge(merge, stream());
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
    int long_slices_ = 0;
    std::int64_t last_latents_ = 0; // that the chunk before this one read
    bool length_stays_ = false;
    int heads_together_ = 1;
    std::string engine_; // cuDNN's name of the first plan used
    PartStreams streams_;
    StageTimer timer_;
    SliceExpander expander_;

    // Shared by all layers: the slices at hand, the turned queries of all heads (each group of heads dense), results of
    // single slices (torch's kernels have their own), the merged result so far of one group of heads and its
    // log-sum-exps, the old and the new.
    Lane lanes_[kLanes];
    at::Tensor queries_, parts_, part_lse_, total_, total_lse_, energy_;
    at::Tensor factors_; // E4m3Factors
};

} // namespace

std::unique_ptr<Attention> make_cuda_attention(const CacheShape& shape, const CachePolicy& policy, at::Device device,
                                               at::ScalarType compute) {
    if (hopper_is_taken(shape, policy, compute, device.index())) {
        return make_hopper_attention(shape, policy, device);
    }
    return std::make_unique<CudaAttention>(shape, policy, device, compute);
}

} // namespace wander::quant
#endif
