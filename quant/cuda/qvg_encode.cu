// The page encoder's launches. Sums and products of floats run in the order of the CPU code and are never fused, all
// others are whole numbers, so results are the same bits.
#include "quant/cuda/qvg_basis_kernels.cuh"
#include "quant/cuda/qvg_encode.hpp"
#include "quant/cuda/qvg_pack_kernels.cuh"
#include "quant/cuda/qvg_session.hpp"
#include "quant/cuda/qvg_start_kernels.cuh"
#include "quant/cuda/qvg_sum_round_kernels.cuh"

namespace wander::quant::cuda {
namespace {

__global__ void decode_kernel(const std::uint8_t* page, const std::uint8_t* book, QvgPageLayout layout, float middle,
                              int head, float* out) {
    const int per_row = layout.head_dim / 8;
    const int index = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (index >= layout.tokens * per_row) {
        return;
    }
    float values[8];
    decode_packed<8>(page, book, layout, middle, index / per_row, head, index % per_row * 8, values);
    for (int c = 0; c < 8; ++c) {
        out[static_cast<std::int64_t>(index) * 8 + c] = values[c];
    }
}

int whole_warps(const QvgPageLayout& layout) { return (layout.head_dim + 31) / 32 * 32; }

int blocks_for(std::int64_t items, int threads) { return static_cast<int>((items + threads - 1) / threads); }

// Of one page, in values.
std::int64_t residual_values(const QvgPageLayout& layout) {
    return keeps_residual(layout) ? static_cast<std::int64_t>(layout.tokens) * layout.heads * layout.head_dim : 0;
}

// Hands out the scratch from its beginning; every part on a multiple of 16 bytes.
class Parts {
public:
    explicit Parts(void* memory) : memory_(static_cast<std::uint8_t*>(memory)) {}
    template <class T>
    T* take(std::int64_t count) {
        std::uint8_t* at = memory_ ? memory_ + used_ : nullptr;
        used_ += (count * static_cast<std::int64_t>(sizeof(T)) + 15) / 16 * 16;
        return reinterpret_cast<T*>(at);
    }
    std::int64_t used() const { return used_; }

private:
    std::uint8_t* memory_;
    std::int64_t used_ = 0;
};

EncodeScratch take_parts(const QvgPageLayout& layout, int pages, Parts& parts) {
    const std::int64_t heads = static_cast<std::int64_t>(pages) * layout.heads;
    const int dim = layout.head_dim;
    EncodeScratch out;
    out.clusters = layout.centroids > layout.book_centroids ? layout.centroids : layout.book_centroids;
    const std::int64_t padded = padded_clusters(out.clusters);
    out.residual = parts.take<std::uint16_t>(pages * residual_values(layout));
    const std::int64_t zero_begin = parts.used();
    out.peaks = parts.take<int>(heads * layout.stages);
    out.weight_peaks = parts.take<int>(heads * layout.rank);
    out.covariance = parts.take<int>(layout.rank > 0 ? heads * dim * dim : 0);
    out.zero_bytes = parts.used() - zero_begin;
    out.mean = parts.take<float>(heads * dim);
    out.lowest = parts.take<float>(heads * dim);
    out.highest = parts.take<float>(heads * dim);
    out.grids = parts.take<StepGrid>(heads);
    out.centroids = parts.take<float>(heads * out.clusters * dim);
    out.coarse = parts.take<int>(heads * padded * padded_words(dim));
    out.norms = parts.take<int>(heads * padded);
    out.sums = parts.take<int>(heads * out.clusters * dim);
    out.members = parts.take<int>(heads * out.clusters);
    out.candidates = parts.take<int>(heads * (out.clusters * qvg::kStartDraws + 1) * (dim / 4));
    out.basis = parts.take<float>(heads * layout.rank * dim);
    out.basis_weights = parts.take<float>(heads * layout.rank * layout.tokens);
    out.ids = parts.take<std::uint8_t>(heads * layout.tokens);
    return out;
}

} // namespace

std::int64_t encode_scratch_bytes(const QvgPageLayout& layout, int pages) {
    Parts parts(nullptr);
    take_parts(layout, pages, parts);
    return parts.used();
}

EncodeScratch scratch_parts(const EncodeBatch& batch) {
    Parts parts(batch.scratch);
    return take_parts(batch.layout, batch.count, parts);
}

namespace {

dim3 head_grid(const EncodeBatch& batch, int blocks) {
    return {static_cast<unsigned>(blocks), static_cast<unsigned>(batch.layout.heads),
            static_cast<unsigned>(batch.count)};
}

template <bool kBf16, Rows kRows>
void queue_mean(const Work<kBf16, kRows>& work, cudaStream_t stream) {
    mean_kernel<<<head_grid(work.batch, blocks_for(work.batch.layout.head_dim, kMeanChannels)),
                  dim3(32, qvg::kMeanParts), 0, stream>>>(work);
}

template <int kClusterTiles, bool kBf16, Rows kRows>
void queue_sum_round(const Work<kBf16, kRows>& work, const RoundPlan& plan, cudaStream_t stream) {
    const QvgPageLayout& layout = work.batch.layout;
    const int bytes = sum_round_bytes(work.clusters(), layout.head_dim);
    cudaFuncSetAttribute(sum_round_kernel<kClusterTiles, kBf16, kRows>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         bytes);
    sum_round_kernel<kClusterTiles><<<head_grid(work.batch, blocks_for(layout.tokens, plan.block_tokens)), kTileThreads,
                                      static_cast<std::size_t>(bytes), stream>>>(work, plan);
}

// One assignment, with the sums of the members where they are wanted.
template <bool kBf16, Rows kRows>
void queue_round(const Work<kBf16, kRows>& work, bool counts, bool keeps_ids, cudaStream_t stream) {
    constexpr int kMostShared = 96 << 10; // what every device has
    const QvgPageLayout& layout = work.batch.layout;
    RoundPlan plan;
    const int blocks = blocks_for(layout.tokens, kRoundTokens);
    plan.block_tokens = blocks_for(blocks_for(layout.tokens, blocks), kWarpTokens) * kWarpTokens;
    plan.counts = counts;
    plan.keeps_ids = keeps_ids;
    if (counts && layout.head_dim <= kTileDim && work.clusters() <= 128) {
        plan.block_tokens = kSumTokens;
        if (work.clusters() <= 64) {
            queue_sum_round<4>(work, plan, stream);
        } else {
            queue_sum_round<8>(work, plan, stream);
        }
        return;
    }
    plan.shared_sums = counts && round_shared_bytes(work.clusters(), layout.head_dim, true) <= kMostShared;
    const int bytes = round_shared_bytes(work.clusters(), layout.head_dim, plan.shared_sums);
    cudaFuncSetAttribute(round_kernel<kBf16, kRows>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    round_kernel<<<head_grid(work.batch, blocks_for(layout.tokens, plan.block_tokens)), kRoundThreads,
                   static_cast<std::size_t>(bytes), stream>>>(work, plan);
}

template <bool kBf16, Rows kRows>
void queue_start(const Work<kBf16, kRows>& work, cudaStream_t stream) {
    const int candidates = work.clusters() * qvg::kStartDraws;
    const dim3 grid = head_grid(work.batch, 1);
    if (work.batch.layout.head_dim > kTileDim || candidates > 2 * kStartThreads) {
        start_kernel<0><<<grid, kStartThreads, 0, stream>>>(work);
    } else if (candidates > kStartThreads) {
        start_kernel<2><<<grid, kStartThreads, 0, stream>>>(work);
    } else {
        start_kernel<1><<<grid, kStartThreads, 0, stream>>>(work);
    }
}

// Ids and centroids of one stage, in the scratch. rounds: of assignment and update.
template <bool kBf16, Rows kRows>
void queue_clusters(const Work<kBf16, kRows>& work, int rounds, cudaStream_t stream) {
    if (work.clusters() == 1) { // ids are cleared, the mean is the centroid
        if (kRows == Rows::left_over) {
            queue_mean(work, stream);
        }
        return;
    }
    queue_start(work, stream);
    for (int round = 0; round < rounds; ++round) {
        queue_round(work, true, round + 1 == rounds, stream);
        update_kernel<<<head_grid(work.batch, work.clusters()), whole_warps(work.batch.layout), 0, stream>>>(work);
    }
}

QvgPageHeader header_of(const EncodeBatch& batch) {
    const QvgPageLayout& layout = batch.layout;
    QvgPageHeader header;
    header.grid = static_cast<std::uint8_t>(batch.grid);
    header.tokens = static_cast<std::uint32_t>(layout.tokens);
    header.heads = static_cast<std::uint32_t>(layout.heads);
    header.head_dim = static_cast<std::uint32_t>(layout.head_dim);
    header.block = static_cast<std::uint32_t>(layout.block);
    header.centroids = static_cast<std::uint32_t>(layout.centroids);
    header.id_bits = static_cast<std::uint32_t>(layout.id_bits);
    header.total_bytes = static_cast<std::uint64_t>(layout.total_bytes);
    header.more_stages = static_cast<std::uint8_t>(layout.stages - 1);
    header.book_centroids = static_cast<std::uint32_t>(layout.book_centroids);
    header.rank = static_cast<std::uint32_t>(layout.rank);
    return header;
}

// The stretches between the planes.
Gaps gaps_of(const QvgPageLayout& layout) {
    Gaps gaps;
    std::int64_t end = static_cast<std::int64_t>(sizeof(QvgPageHeader));
    const auto plane = [&](std::int64_t at, std::int64_t bytes) {
        if (at > end) {
            gaps.at[gaps.count] = end;
            gaps.bytes[gaps.count++] = static_cast<int>(at - end);
        }
        end = at + bytes;
    };
    plane(layout.codes_at, layout.code_bytes());
    plane(layout.scales_at, layout.scale_bytes());
    plane(layout.ids_at, layout.id_bytes());
    plane(layout.centroids_at, layout.centroid_bytes());
    if (layout.book_centroids > 0) {
        plane(layout.book_ids_at, layout.book_id_bytes());
    }
    if (layout.rank > 0) {
        plane(layout.basis_at, layout.basis_bytes());
        plane(layout.spans_at, layout.span_bytes());
        plane(layout.weights_at, layout.weight_bytes());
    }
    plane(layout.total_bytes, 0);
    return gaps;
}

template <bool kBf16, Rows kRows>
void queue_book(const Work<kBf16, kRows>& work, cudaStream_t stream) {
    book_kernel<<<head_grid(work.batch, kBookBlocks), kBookThreads, 0, stream>>>(work, header_of(work.batch),
                                                                                 gaps_of(work.batch.layout));
}

// What the stage leaves, to the scratch.
template <bool kBf16, Rows kRows>
void queue_residual(const Work<kBf16, kRows>& work, cudaStream_t stream) {
    const QvgPageLayout& layout = work.batch.layout;
    const std::int64_t items = static_cast<std::int64_t>(layout.tokens) * (layout.head_dim / 8);
    residual_kernel<<<head_grid(work.batch, blocks_for(items, kPackThreads)), kPackThreads, 0, stream>>>(work);
}

template <bool kBf16>
void queue_basis(const LeftByMean<kBf16>& work, cudaStream_t stream) {
    const EncodeBatch& batch = work.batch;
    const QvgPageLayout& layout = batch.layout;
    covariance_grid_kernel<<<head_grid(batch, 1), 128, 0, stream>>>(work);
    if (layout.head_dim <= kTileDim) {
        covariance_kernel<<<head_grid(batch, blocks_for(layout.tokens, kCovarianceTokens)), kTileThreads, 0, stream>>>(
            work);
    } else {
        wide_covariance_kernel<<<head_grid(batch, layout.head_dim), whole_warps(layout), 0, stream>>>(work);
    }
    if (layout.head_dim <= kTileDim) {
        basis_kernel<kTileDim><<<head_grid(batch, 1), whole_warps(layout), 0, stream>>>(work);
    } else {
        basis_kernel<0><<<head_grid(batch, 1), whole_warps(layout), 0, stream>>>(work);
    }
    project_kernel<<<head_grid(batch, blocks_for(layout.tokens, kProjectThreads / 4 * kProjectTokens)), kProjectThreads,
                     0, stream>>>(work);
}

template <bool kBf16, Rows kRows>
cudaError_t queue_codes(const Work<kBf16, kRows>& work, cudaStream_t stream) {
    const QvgPageLayout& layout = work.batch.layout;
    const std::int64_t lanes = layout.block < 32 ? 2 : 4;
    const std::int64_t items = lanes * layout.tokens * (layout.head_dim / layout.block);
    const dim3 grid = head_grid(work.batch, blocks_for(items, kPackThreads));
    switch (layout.block) {
        case 64: pack_kernel<64><<<grid, kPackThreads, 0, stream>>>(work); break;
        case 32: pack_kernel<32><<<grid, kPackThreads, 0, stream>>>(work); break;
        case 16: pack_kernel<16><<<grid, kPackThreads, 0, stream>>>(work); break;
        default: return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

// A page with a mean of its own and what is left of its rows, in terms of the session's centroids or of a basis.
template <bool kBf16>
cudaError_t queue_about_mean(const EncodeBatch& batch, const EncodeScratch& scratch, cudaStream_t stream) {
    LeftByMean<kBf16> work{batch, scratch};
    queue_mean(work, stream);
    queue_book(work, stream);
    if (batch.layout.rank > 0) {
        queue_basis(work, stream);
    } else {
        work.in_book = true;
        load_book_kernel<<<head_grid(batch, 1), kStartThreads, 0, stream>>>(work);
        queue_round(work, false, true, stream);
        queue_book(work, stream);
    }
    return queue_codes(work, stream);
}

template <bool kBf16>
cudaError_t queue_stages(const EncodeBatch& batch, const EncodeScratch& scratch, cudaStream_t stream) {
    const QvgPageLayout& layout = batch.layout;
    const int rounds = qvg::lloyd_iterations(layout.centroids);
    const Work<kBf16, Rows::source> first{batch, scratch};
    queue_mean(first, stream);
    queue_clusters(first, rounds, stream);
    queue_book(first, stream);
    if (layout.stages == 1) {
        return queue_codes(first, stream);
    }
    queue_residual(first, stream);
    Work<true, Rows::left_over> later{batch, scratch};
    for (int i = 0; i < batch.count; ++i) {
        later.batch.pages[i].rows = scratch.residual + i * residual_values(layout);
    }
    for (later.stage = 1; later.stage < layout.stages; ++later.stage) {
        queue_clusters(later, rounds, stream);
        queue_book(later, stream);
        if (later.stage + 1 < layout.stages) {
            queue_residual(later, stream);
        }
    }
    later.stage = layout.stages - 1;
    return queue_codes(later, stream);
}

cudaError_t clear_parts(const EncodeBatch& batch, const EncodeScratch& scratch, cudaStream_t stream) {
    const QvgPageLayout& layout = batch.layout;
    const auto heads = static_cast<std::size_t>(batch.count) * static_cast<std::size_t>(layout.heads);
    const cudaError_t error = cudaMemsetAsync(scratch.peaks, 0, static_cast<std::size_t>(scratch.zero_bytes), stream);
    if (error != cudaSuccess || scratch.clusters > 1) {
        return error;
    }
    return cudaMemsetAsync(scratch.ids, 0, heads * static_cast<std::size_t>(layout.tokens), stream);
}

template <bool kBf16>
cudaError_t queue_batch(const EncodeBatch& batch, cudaStream_t stream) {
    const EncodeScratch scratch = scratch_parts(batch);
    if (const cudaError_t error = clear_parts(batch, scratch, stream); error != cudaSuccess) {
        return error;
    }
    const bool about_mean = batch.layout.book_centroids > 0 || batch.layout.rank > 0;
    return about_mean ? queue_about_mean<kBf16>(batch, scratch, stream) : queue_stages<kBf16>(batch, scratch, stream);
}

// Threads: values of one head. The trained centroids as a codebook, and how many tokens chose each.
template <bool kBf16>
__global__ void store_book_kernel(LeftByMean<kBf16> work, Books books) {
    __shared__ int members[kQvgMaxCentroids];
    const QvgPageLayout& layout = work.layout();
    const qvg::BookView book = books.of[blockIdx.z];
    const int clusters = work.clusters();
    const int values = clusters * layout.head_dim;
    for (int k = static_cast<int>(threadIdx.x); k < clusters; k += static_cast<int>(blockDim.x)) {
        members[k] = 0;
    }
    __syncthreads();
    for (int t = static_cast<int>(threadIdx.x); t < layout.tokens; t += static_cast<int>(blockDim.x)) {
        atomicAdd(&members[work.ids()[t]], 1);
    }
    std::uint16_t* centroids = book.centroids + static_cast<std::int64_t>(blockIdx.y) * values;
    for (int i = static_cast<int>(threadIdx.x); i < values; i += static_cast<int>(blockDim.x)) {
        centroids[i] = to_bf16(work.centroids()[i]);
    }
    __syncthreads();
    for (int k = static_cast<int>(threadIdx.x); k < clusters; k += static_cast<int>(blockDim.x)) {
        book.weights[static_cast<int>(blockIdx.y) * clusters + k] = static_cast<float>(members[k]);
    }
}

// One block a centroid; threads: channels. Twin: update_book() in qvg/session_clusters.cpp.
template <bool kBf16>
__global__ void blend_book_kernel(LeftByMean<kBf16> work, Books old_books, Books new_books) {
    const QvgPageLayout& layout = work.layout();
    const qvg::BookView before = old_books.of[blockIdx.z];
    const qvg::BookView after = new_books.of[blockIdx.z];
    const int centroid = static_cast<int>(blockIdx.x);
    const int channel = static_cast<int>(threadIdx.x);
    const int members = work.members()[centroid];
    const std::int64_t at = static_cast<std::int64_t>(blockIdx.y) * layout.book_centroids + centroid;
    const auto here = static_cast<float>(members);
    const float weight = __fadd_rn(__fmul_rn(qvg::kSessionDecay, before.weights[at]), here);
    if (channel == 0) {
        after.weights[at] = weight;
    }
    if (channel >= layout.head_dim) {
        return;
    }
    const std::uint16_t old = before.centroids[at * layout.head_dim + channel];
    std::uint16_t value = old;
    if (members > 0) {
        const int sum = work.sums()[centroid * layout.head_dim + place_of(channel, layout.head_dim)];
        const float share = __fdiv_rn(here, weight);
        const float from = bf16_low(old);
        const float mean = __fmul_rn(__fdiv_rn(static_cast<float>(sum), here), work.grid().step);
        value = to_bf16(__fadd_rn(from, __fmul_rn(__fsub_rn(mean, from), share)));
    }
    after.centroids[at * layout.head_dim + channel] = value;
}

template <bool kBf16>
cudaError_t queue_training(const SessionJob& job, cudaStream_t stream) {
    LeftByMean<kBf16> work{job.batch, scratch_parts(job.batch)};
    if (const cudaError_t error = clear_parts(job.batch, work.scratch, stream); error != cudaSuccess) {
        return error;
    }
    queue_mean(work, stream);
    work.in_book = true;
    queue_clusters(work, qvg::kSessionRounds, stream);
    store_book_kernel<<<head_grid(job.batch, 1), 512, 0, stream>>>(work, job.after);
    return cudaGetLastError();
}

template <bool kBf16>
cudaError_t queue_update(const SessionJob& job, cudaStream_t stream) {
    LeftByMean<kBf16> work{job.batch, scratch_parts(job.batch)};
    for (int i = 0; i < job.batch.count; ++i) {
        work.batch.pages[i].codebook = job.before.of[i].centroids;
    }
    queue_mean(work, stream);
    work.in_book = true;
    load_book_kernel<<<head_grid(job.batch, 1), kStartThreads, 0, stream>>>(work);
    queue_round(work, true, false, stream); // to the same centroids as when the page was packed
    blend_book_kernel<<<head_grid(job.batch, work.clusters()), whole_warps(job.batch.layout), 0, stream>>>(
        work, job.before, job.after);
    return cudaGetLastError();
}

bool can_encode(const EncodeBatch& batch) {
    const QvgPageLayout& layout = batch.layout;
    return batch.count >= 1 && batch.count <= kMaxPages && layout.head_dim <= kQvgMaxHeadDim &&
           layout.tokens <= qvg::kMaxTokens &&
           (layout.stages == 1 || (layout.book_centroids == 0 && layout.rank == 0)) &&
           (layout.book_centroids == 0 || layout.rank == 0) && layout.book_centroids != 1;
}

} // namespace

cudaError_t train_books(const SessionJob& job, cudaStream_t stream) {
    if (!can_encode(job.batch)) {
        return cudaErrorInvalidValue;
    }
    return job.batch.bf16 ? queue_training<true>(job, stream) : queue_training<false>(job, stream);
}

cudaError_t update_books(const SessionJob& job, cudaStream_t stream) {
    if (!can_encode(job.batch)) {
        return cudaErrorInvalidValue;
    }
    return job.batch.bf16 ? queue_update<true>(job, stream) : queue_update<false>(job, stream);
}

cudaError_t encode_pages(const EncodeBatch& batch, cudaStream_t stream) {
    if (!can_encode(batch)) {
        return cudaErrorInvalidValue;
    }
    return batch.bf16 ? queue_batch<true>(batch, stream) : queue_batch<false>(batch, stream);
}

cudaError_t decode_head(const std::uint8_t* page, const std::uint8_t* book, const QvgPageLayout& layout, QvgGrid grid,
                        int head, float* out, cudaStream_t stream) {
    const std::int64_t items = static_cast<std::int64_t>(layout.tokens) * (layout.head_dim / 8);
    decode_kernel<<<blocks_for(items, 256), 256, 0, stream>>>(page, book, layout, qvg_middle(grid), head, out);
    return cudaGetLastError();
}

} // namespace wander::quant::cuda
