// Attention on Hopper GPUs through kernels of our own (quant/cuda/hopper_attend.hpp), for heads of 128 channels.
//
// One launch attends to all visible rows of as many heads as the scratch has room for; its work comes out even over the
// multiprocessors whatever the number of heads, so nothing runs beside it: expanded, attended to, the next heads.
// Uncompressed values are read where they lie (BF16), or expanded column by column (E4M3). Rows of more than the
// scratch holds, summary rows and pages with a logit correction make several slices, which are merged as elsewhere.
// Where KeptRows has room for a layer of two branches and a single slice, its rows are expanded into that instead of
// the scratch, and in the passes that follow only the chunk's own are. In E4M3 such rows are stored by what the first
// pass after begin_chunk() measured of the chunk's keys and values. So that results do not depend on the room, that is
// what every pass of two branches does.
#include "quant/cache/attention.hpp"

#if WANDER_CUDA
#include "quant/cache/kept_rows.hpp"
#include "quant/cache/logit_bias.hpp"
#include "quant/cache/slice_expander.hpp"
#include "quant/cache/slices.hpp"
#include "quant/cache/stage_timer.hpp"
#include "quant/cuda/expand.hpp"
#include "quant/cuda/hopper_attend.hpp"
#include "quant/format.hpp"

#include <ATen/Functions.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cmath>

namespace wander::quant {
namespace {

class HopperAttention final : public Attention {
public:
    HopperAttention(const CacheShape& shape, const CachePolicy& policy, at::Device device)
        : shape_(shape),
          codec_(shape, policy, at::kBFloat16),
          device_(device),
          e4m3_(policy.attention == AttentionType::fp8),
          scratch_limit_(policy.slice_bytes),
          heads_wanted_(policy.heads_together),
          most_history_rows_(most_history_rows(shape, policy)),
          bias_correction_(policy.bias_correction && shape.head_dim % kNoiseChannels == 0),
          timer_(device),
          expander_(shape, codec_, device, at::kBFloat16),
          kept_(device, shape.layers),
          measured_(static_cast<std::size_t>(shape.layers)) {
        counts_ = at::zeros({cuda::kHopperCounts}, at::TensorOptions().dtype(at::kInt).device(device));
        if (e4m3_) {
            const auto layers = static_cast<std::int64_t>(shape.layers);
            grow(factors_, layers * static_cast<std::int64_t>(sizeof(cuda::E4m3Factors)), at::kByte);
        }
    }
    ~HopperAttention() override = default;
    HopperAttention(const HopperAttention&) = delete;
    HopperAttention& operator=(const HopperAttention&) = delete;

    void begin_chunk(const ReadView& view, int history_latents) override {
        expander_.begin_chunk(view, history_latents);
        std::int64_t room = scratch_limit_;
        if (!turn_in_place()) {
            grow(queries_, result_values(shape_.heads), e4m3_ ? at::kFloat8_e4m3fn : at::kBFloat16);
            room -= std::min(static_cast<std::int64_t>(queries_.nbytes()), room / 5);
        }
        const std::int64_t rows =
            (history_latents + view.latents) * std::int64_t{shape_.tokens_per_latent} + spare_rows();
        room = std::max(room, 2 * (kLeastRows + spare_rows()) * row_bytes(1));
        grow(expanded_, std::min(room, 2 * rows * row_bytes(shape_.heads)), at::kByte);
        if (bias_correction_) {
            grow(energy_, result_rows(shape_.heads) * (shape_.head_dim / kNoiseChannels), at::kFloat);
        }
        std::fill(measured_.begin(), measured_.end(), false);
        if (e4m3_) kept_.forget();
        const bool worth_keeping = branches() > 1 && !bias_correction_ && history_latents > 0;
        const std::int64_t most_rows =
            most_history_rows_ + view.latents * std::int64_t{shape_.tokens_per_latent} + spare_rows();
        kept_.begin_chunk(worth_keeping ? 2 * rows * row_bytes(shape_.heads) : 0,
                          2 * most_rows * row_bytes(shape_.heads));
    }

    void keep_rows(std::int64_t leave) override { kept_.leave(leave); }
    void forget_rows() override { kept_.forget(); }
    std::int64_t kept_row_bytes() const override { return kept_.bytes(); }

    at::Tensor attend(int layer, const std::vector<HistorySegment>& segments, const at::Tensor& query_rows,
                      const at::Tensor& key_rows, const at::Tensor& value_rows) override {
        const at::Tensor q = with_dense_heads(query_rows);
        const Own own{with_dense_heads(key_rows), with_dense_heads(value_rows)};
        at::Tensor result = empty_result(branches(), q);
        const Plan plan = plan_for(layer, segments);
        if (e4m3_) choose_factors(layer, q, own);
        const bool in_place = turn_in_place();
        if (in_place) {
            expander_.turn_queries({0, shape_.heads}, q, q.data_ptr(), q.stride(0));
        } else if (turn_together()) {
            expander_.turn_queries({0, shape_.heads}, q, queries_.data_ptr(), 0);
        } else {
            for (int head = 0; head < shape_.heads; head += plan.heads) {
                const HeadRange heads{head, std::min(plan.heads, shape_.heads - head)};
                expander_.turn_queries(heads, q, at_head(queries_, heads, shape_.head_dim), 0);
            }
        }
        measure_queries(layer);
        void* const kept = plan.slices.size() == 1 && !plan.values_in_place ? kept_.rows(layer) : nullptr;
        const Expanded rows{kept ? kept : expanded_.data_ptr(), kept != nullptr,
                            kept && kept_.filled(layer, plan.heads)};
        for (int head = 0; head < shape_.heads; head += plan.heads) {
            const HeadRange heads{head, std::min(plan.heads, shape_.heads - head)};
            attend_heads(plan, heads, layer, in_place ? q : at::Tensor(), own, rows, result);
        }
        if (kept) kept_.set_filled(layer, plan.heads);
        return result;
    }

    std::int64_t scratch_bytes() const override {
        std::int64_t bytes = expander_.rotation().bytes() + kept_.bytes();
        for (const at::Tensor* buffer : {&expanded_, &queries_, &places_, &counts_, &parts_, &part_lse_, &total_,
                                         &total_lse_, &energy_, &factors_}) {
            bytes += buffer->defined() ? static_cast<std::int64_t>(buffer->nbytes()) : 0;
        }
        return bytes;
    }

    void set_text(std::vector<TextRows> layers) override {
        kept_.give_way(); // a text's maker needs much memory
        expander_.set_text(std::move(layers));
    }

    void set_bias_correction(bool on) override { bias_correction_ = on && shape_.head_dim % kNoiseChannels == 0; }

    std::string engine() const override {
        return !attended_ ? "" : e4m3_ ? "Hopper wgmma, E4M3" : "Hopper wgmma, BF16";
    }

    // The layers read alike, and each pair of events costs the host as much as a launch: the first stands for all.
    double take_expand_ms() override { return timer_.take_ms() * shape_.layers; }

private:
    struct Own { // the chunk's rows
        at::Tensor keys, values;
    };
    // Where a layer's slices are expanded to.
    struct Expanded {
        void* memory = nullptr;
        bool kept = false;   // every group of heads has a place of its own
        bool filled = false; // all but the chunk's own rows are there
    };
    // What a layer is attended to with.
    struct Plan {
        std::vector<Slice> slices;
        int heads = 1;               // of one launch
        bool values_in_place = true; // read where pages and the chunk have them
    };

    int branches() const { return expander_.rotation().branches(); }
    int queries() const { return expander_.queries(); }
    // Beside those of pages and the chunk: the text's, and what rounding needs.
    std::int64_t spare_rows() const { return kSpareRows + expander_.text_rows(); }
    std::int64_t result_rows(int heads) const { return std::int64_t{queries()} * branches() * heads; }
    std::int64_t result_values(int heads) const { return result_rows(heads) * shape_.head_dim; }
    // Of one expanded row of keys, or of values.
    std::int64_t row_bytes(int heads) const {
        return std::int64_t{branches()} * heads * shape_.head_dim * (e4m3_ ? 1 : 2);
    }
    cuda::E4m3Factors* factors(int layer) const {
        return e4m3_ ? static_cast<cuda::E4m3Factors*>(factors_.data_ptr()) + layer : nullptr;
    }
    cuda::Stream stream() const { return c10::cuda::getCurrentCUDAStream(device_.index()).stream(); }
    double scale() const { return 1.0 / std::sqrt(static_cast<double>(shape_.head_dim)); }

    // The part of `buffer` that belongs to these heads; [queries][branches] values of `width` a head.
    void* at_head(const at::Tensor& buffer, const HeadRange& heads, int width) const {
        return static_cast<std::uint8_t*>(buffer.data_ptr()) +
               result_rows(heads.first) * width * static_cast<std::int64_t>(buffer.element_size());
    }

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
    bool turn_in_place() const { return branches() == 1 && !bias_correction_ && !e4m3_; }

    // One branch in E4M3: all heads by one launch, side by side. (Otherwise each group of heads is dense.)
    bool turn_together() const { return branches() == 1 && !bias_correction_ && e4m3_; }

    // Values can stay where they are if no page is packed and the segments that they make fit the kernel's tiles.
    bool values_stay(const std::vector<Slice>& slices, int layer) const {
        std::int64_t rows = 0, walked = 0;
        if (e4m3_ || branches() > 1) {
            return false;
        }
        for (const Slice& slice : slices) {
            if (slice.runs.size() > static_cast<std::size_t>(cuda::kMaxSegments)) {
                return false;
            }
            for (const Run& run : slice.runs) {
                if (run.text) {
                    return false;
                }
                if (run.group && run.group->values[static_cast<std::size_t>(layer)].format->packed()) {
                    return false;
                }
                const int tile = cuda::hopper_tile_keys();
                rows += run.rows;
                walked += (run.rows + tile - 1) / tile * tile;
            }
        }
        return walked * 100 <= rows * 104;
    }

    Plan plan_for(int layer, const std::vector<HistorySegment>& segments) const {
        const int history = expander_.rotation().history();
        const auto cut = [&](std::int64_t rows) {
            const SliceRules rules{shape_.tokens_per_latent, static_cast<int>(rows), kAllSlices, bias_correction_,
                                   expander_.text_rows()};
            return cut_slices(rules, codec_, layer, segments, queries(), history);
        };
        const std::int64_t all = std::int64_t{history} * shape_.tokens_per_latent + queries();
        const std::int64_t room = expanded_.numel();
        Plan plan;
        for (const bool in_place : {true, false}) {
            const std::int64_t head_row = row_bytes(1) * (in_place ? 1 : 2);
            std::int64_t rows = std::min(all, std::max(kLeastRows, room / head_row - spare_rows()));
            if (rows < all && rows > shape_.tokens_per_latent) { // whole latents, all slices about alike
                const std::int64_t latents = (all + shape_.tokens_per_latent - 1) / shape_.tokens_per_latent;
                const std::int64_t most = rows / shape_.tokens_per_latent;
                const std::int64_t slices = (latents + most - 1) / most;
                rows = (latents + slices - 1) / slices * shape_.tokens_per_latent;
            }
            plan.slices = cut(rows);
            plan.values_in_place = in_place;
            // Results of several slices wait to be merged: few heads, or they need much room.
            const std::int64_t fitting = room / (head_row * (rows + spare_rows()));
            const int most = plan.slices.size() == 1 ? shape_.heads : kMergedHeads;
            plan.heads = cuda::hopper_heads(device_.index(), shape_.heads, branches(),
                                            static_cast<int>(std::clamp<std::int64_t>(fitting, 1, most)), queries(),
                                            rows + expander_.text_rows(), e4m3_);
            if (heads_wanted_ > 0) {
                plan.heads = std::min(plan.heads, heads_wanted_);
            }
            if (!in_place || values_stay(plan.slices, layer)) {
                break;
            }
        }
        return plan;
    }

    void choose_factors(int layer, const at::Tensor& q, const Own& own) {
        const auto at = static_cast<std::size_t>(layer);
        cuda::ScaleJob scales{{q.const_data_ptr(), own.keys.const_data_ptr(), own.values.const_data_ptr()},
                              {q.stride(0), own.keys.stride(0), own.values.stride(0)},
                              q.size(0),
                              shape_.heads * shape_.head_dim,
                              cuda::Element::bfloat16,
                              expander_.text_largest(layer),
                              factors(layer)};
        scales.queries_alone = branches() > 1 && measured_[at];
        cuda::launch_scales(scales, stream());
        measured_[at] = true;
        expander_.write_as(cuda::Element::e4m3, factors(layer));
    }

    // |q|^2 of every query, head and kNoiseChannels channels.
    void measure_queries(int layer) const {
        if (bias_correction_) {
            cuda::EnergyJob energy;
            energy.rows = result_rows(shape_.heads);
            energy.head_dim = shape_.head_dim;
            energy.channels = kNoiseChannels;
            energy.element = e4m3_ ? cuda::Element::e4m3 : cuda::Element::bfloat16;
            energy.descale = e4m3_ ? &factors(layer)->descale[static_cast<int>(Operand::query)] : nullptr;
            energy.source = queries_.const_data_ptr();
            energy.out = energy_.data_ptr<float>();
            cuda::launch_energy(energy, stream());
        }
    }

    // Slice after slice, merged when kMaxMergeParts wait and at the end. turned: the queries, where they were turned in
    // place.
    void attend_heads(const Plan& plan, const HeadRange& heads, int layer, const at::Tensor& turned, const Own& own,
                      const Expanded& rows, at::Tensor& result) {
        const bool direct = plan.slices.size() == 1; // nothing to merge
        std::vector<cuda::MergePart> waiting;
        bool merged = false; // total_ holds what came before
        int newest_lse = 0;  // half of total_lse_ that belongs to it
        for (const Slice& slice : plan.slices) {
            cuda::HopperJob job;
            job.device = static_cast<unsigned char>(device_.index());
            job.heads = branches() * heads.count;
            job.queries = queries();
            job.scale = scale();
            job.factors = factors(layer);
            expand(plan, slice, heads, layer, own, rows, job);
            if (turned.defined()) {
                job.q = first_of(turned, heads);
                job.q_row = turned.stride(0);
            } else if (turn_together()) {
                job.q = static_cast<std::uint8_t*>(queries_.data_ptr()) + std::int64_t{heads.first} * shape_.head_dim;
                job.q_row = std::int64_t{shape_.heads} * shape_.head_dim;
            } else {
                job.q = at_head(queries_, heads, shape_.head_dim);
            }
            if (direct) {
                const std::int64_t branch_row = std::int64_t{shape_.heads} * shape_.head_dim;
                job.out = first_of(result, heads);
                job.out_row = branches() * branch_row;
                if (branches() > 1) {
                    job.branch_heads = heads.count;
                    job.out_branch = branch_row;
                    job.matrices = expander_.rotation().projection();
                    job.tokens_per_latent = shape_.tokens_per_latent;
                }
                launch(job);
                return;
            }
            grow_parts(heads, plan.slices.size());
            waiting.push_back(part_for(slice, heads, waiting.size(), job));
            launch(job);
            const bool last = &slice == &plan.slices.back();
            if (last || waiting.size() == cuda::kMaxMergeParts) {
                merge(waiting, heads, merged, newest_lse, last, result);
                waiting.clear();
                merged = true;
                newest_lse = 1 - newest_lse;
            }
        }
    }

    // Keys of the slice, turned; values behind them, or where they lie.
    void expand(const Plan& plan, const Slice& slice, const HeadRange& heads, int layer, const Own& own,
                const Expanded& rows, cuda::HopperJob& job) {
        // E4M3: values stand column by column, in sixteens.
        const std::int64_t value_rows = e4m3_ ? (slice.rows + 15) / 16 * 16 : slice.rows;
        const std::int64_t before = rows.kept ? (slice.rows + value_rows) * row_bytes(heads.first) : 0;
        auto* const keys = static_cast<std::uint8_t*>(rows.memory) + before;
        void* const values = keys + slice.rows * row_bytes(heads.count);
        const RowsOf of = rows.filled ? RowsOf::chunk : RowsOf::all;
        const bool timed = layer == 0;
        if (timed) {
            timer_.begin();
        }
        job.k = keys;
        if (e4m3_) {
            expander_.expand(slice, heads, layer, Operand::key, own.keys, keys, of);
            expander_.expand_columns(slice, heads, layer, own.values, value_rows, values, of);
            job.segments[job.segment_count++] = {values, value_rows, slice.rows};
        } else if (!plan.values_in_place) {
            expander_.expand_both(slice, heads, layer, own.keys, own.values, keys, values, of);
            job.segments[job.segment_count++] = {values, row_bytes(heads.count) / 2, slice.rows};
        } else {
            expander_.expand(slice, heads, layer, Operand::key, own.keys, keys);
            for (const Run& run : slice.runs) {
                const std::int64_t dense = std::int64_t{shape_.heads} * shape_.head_dim;
                const at::Tensor& source =
                    run.group ? run.group->values[static_cast<std::size_t>(layer)].bytes : own.values;
                const std::int64_t row = run.group ? dense : own.values.stride(0);
                const auto* const first = static_cast<const std::uint8_t*>(source.const_data_ptr()) +
                                          2 * (run.first_row * row + heads.first * shape_.head_dim);
                job.segments[job.segment_count++] = {first, row, run.rows};
            }
        }
        if (timed) {
            timer_.end();
        }
    }

    void grow_parts(const HeadRange& heads, std::size_t slices) {
        const auto parts = static_cast<std::int64_t>(std::min(slices, std::size_t{cuda::kMaxMergeParts}));
        grow(parts_, parts * result_values(heads.count), at::kBFloat16);
        grow(part_lse_, parts * result_rows(heads.count), at::kFloat);
    }

    // Where the result of a slice waits; the job writes it.
    cuda::MergePart part_for(const Slice& slice, const HeadRange& heads, std::size_t slot, cuda::HopperJob& job) {
        const auto index = static_cast<std::int64_t>(slot);
        job.out = static_cast<std::uint8_t*>(parts_.data_ptr()) + index * result_values(heads.count) * 2;
        job.lse = part_lse_.data_ptr<float>() + index * result_rows(heads.count);
        cuda::MergePart part;
        part.values = job.out;
        part.lse = job.lse;
        part.head_stride = shape_.head_dim;
        part.query_stride = std::int64_t{job.heads} * shape_.head_dim;
        part.lse_head_stride = queries();
        part.log_weight = slice.log_weight;
        part.noise = slice.noise ? slice.noise->const_data_ptr<float>() : nullptr;
        return part;
    }

    void launch(cuda::HopperJob& job) {
        grow(places_, cuda::hopper_place_bytes(job), at::kByte);
        job.places = places_.data_ptr();
        job.counts = static_cast<unsigned*>(counts_.data_ptr());
        const char* const refused = cuda::hopper_attend(job, stream());
        TORCH_CHECK(!refused, "attention does not start: ", refused ? refused : "");
        attended_ = true;
    }

    void* first_of(const at::Tensor& rows, const HeadRange& heads) const {
        return static_cast<std::uint8_t*>(rows.data_ptr()) + std::int64_t{heads.first} * shape_.head_dim * 2;
    }

    // What waits becomes one: the result if nothing follows.
    void merge(const std::vector<cuda::MergePart>& waiting, const HeadRange& heads, bool merged, int newest_lse,
               bool last, at::Tensor& result) {
        cuda::MergeJob merge;
        merge.queries = queries();
        merge.branches = branches();
        merge.first_head = heads.first;
        merge.head_count = heads.count;
        merge.head_dim = shape_.head_dim;
        std::copy(waiting.begin(), waiting.end(), merge.parts);
        merge.part_count = static_cast<int>(waiting.size());
        merge.element = cuda::Element::bfloat16;
        if (bias_correction_) {
            merge.noise_groups = shape_.head_dim / kNoiseChannels;
            merge.energy = static_cast<const float*>(at_head(energy_, heads, shape_.head_dim / kNoiseChannels));
            merge.half_square_scale = 0.5F / static_cast<float>(shape_.head_dim);
            merge.max_bias = kMaxLogitBias;
        }
        if (merged || !last) {
            const std::int64_t rows = result_rows(heads.count);
            grow(total_, result_values(heads.count), at::kFloat);
            grow(total_lse_, 2 * rows, at::kFloat);
            merge.with_total = merged;
            merge.total = total_.data_ptr<float>();
            merge.lse_of_total = total_lse_.data_ptr<float>() + newest_lse * rows;
            merge.new_lse = total_lse_.data_ptr<float>() + (1 - newest_lse) * rows;
        }
        if (last) {
            merge.result = result.data_ptr();
            merge.result_element = cuda::Element::bfloat16;
            merge.heads = shape_.heads;
            merge.tokens_per_latent = shape_.tokens_per_latent;
            merge.matrices = expander_.rotation().projection();
        }
        cuda::launch_merge(merge, stream());
    }

    static constexpr int kMergedHeads = 2;
    static constexpr std::int64_t kSpareRows = 16;  // columns come in sixteens
    static constexpr std::int64_t kLeastRows = 256; // of a slice, whatever the scratch

    CacheShape shape_;
    PageCodec codec_;
    at::Device device_;
    bool e4m3_;
    std::int64_t scratch_limit_; // of expanded_ and queries_
    int heads_wanted_;
    std::int64_t most_history_rows_; // 0: there is no bound
    bool bias_correction_;
    bool attended_ = false;
    StageTimer timer_;
    SliceExpander expander_;
    KeptRows kept_;

    // Shared by all layers: expanded keys (and values), the turned queries of all heads (each group of heads dense),
    // places and counts of the kernel, results of slices, the merged result so far with its log-sum-exps, old and new.
    at::Tensor expanded_, queries_, places_, counts_, parts_, part_lse_, total_, total_lse_, energy_;
    at::Tensor factors_;         // E4m3Factors, of each layer
    std::vector<bool> measured_; // by layer: in a pass since begin_chunk()
};

} // namespace

std::unique_ptr<Attention> make_hopper_attention(const CacheShape& shape, const CachePolicy& policy,
                                                 at::Device device) {
    return std::make_unique<HopperAttention>(shape, policy, device);
}

} // namespace wander::quant
#endif
