// The page encoder's launches. Sums and products run in the order of the CPU code and are never fused, so results are
// the same bits.
#include "quant/cuda/qvg_basis_kernels.cuh"
#include "quant/cuda/qvg_cluster_kernels.cuh"
#include "quant/cuda/qvg_encode.hpp"
#include "quant/cuda/qvg_pack_kernels.cuh"
#include "quant/cuda/qvg_session.hpp"

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

// Values of the scratch for one head.
struct HeadSizes {
    explicit HeadSizes(const QvgPageLayout& layout)
        : clusters(layout.centroids > layout.book_centroids ? layout.centroids : layout.book_centroids),
          padded(static_cast<std::int64_t>(blocks_for(clusters, kAssignCentroids)) * kAssignCentroids),
          basis(static_cast<std::int64_t>(layout.rank) * layout.head_dim),
          basis_weights(static_cast<std::int64_t>(layout.rank) * layout.tokens) {}
    std::int64_t clusters;
    std::int64_t padded; // to whole panels
    std::int64_t basis;
    std::int64_t basis_weights;
};

} // namespace

std::int64_t encode_scratch_bytes(const QvgPageLayout& layout, int pages) {
    const std::int64_t heads = static_cast<std::int64_t>(pages) * layout.heads;
    const HeadSizes sizes(layout);
    const std::int64_t floats = layout.head_dim * (1 + sizes.clusters + sizes.padded) + sizes.padded +
                                (1 + qvg::kMeanParts) * sizes.basis + sizes.basis_weights;
    return heads * (floats * 4 + layout.tokens) + pages * residual_values(layout) * 2;
}

EncodeScratch scratch_parts(const EncodeBatch& batch) {
    const QvgPageLayout& layout = batch.layout;
    const std::int64_t heads = static_cast<std::int64_t>(batch.count) * layout.heads;
    const HeadSizes sizes(layout);
    EncodeScratch parts;
    // What is read in fours comes first.
    parts.residual = static_cast<std::uint16_t*>(batch.scratch);
    parts.relative = reinterpret_cast<float*>(parts.residual + batch.count * residual_values(layout));
    parts.basis_weights = parts.relative + heads * sizes.padded * layout.head_dim;
    parts.mean = parts.basis_weights + heads * sizes.basis_weights;
    parts.centroids = parts.mean + heads * layout.head_dim;
    parts.half_norms = parts.centroids + heads * sizes.clusters * layout.head_dim;
    parts.basis = parts.half_norms + heads * sizes.padded;
    parts.basis_sums = parts.basis + heads * sizes.basis;
    parts.ids = reinterpret_cast<std::uint8_t*>(parts.basis_sums + heads * qvg::kMeanParts * sizes.basis);
    return parts;
}

namespace {

dim3 head_grid(const EncodeBatch& batch, int blocks) {
    return {static_cast<unsigned>(blocks), static_cast<unsigned>(batch.layout.heads),
            static_cast<unsigned>(batch.count)};
}

// Ids and centroids of one stage, in the scratch. rounds: of assignment and update; 0: the centroids are those of the
// session.
template <bool kBf16>
void queue_clusters(const Work<kBf16>& work, int rounds, cudaStream_t stream) {
    const EncodeBatch& batch = work.batch;
    const QvgPageLayout& layout = batch.layout;
    mean_kernel<<<head_grid(batch, blocks_for(layout.head_dim, 32)), dim3(32, qvg::kMeanParts), 0, stream>>>(work);
    if (rounds > 0) {
        start_kernel<<<head_grid(batch, 1), kStartThreads, 0, stream>>>(work);
    } else {
        load_book_kernel<<<head_grid(batch, 1), kStartThreads, 0, stream>>>(work);
    }
    const int channels = whole_warps(layout);
    const int padded = blocks_for(work.clusters(), kAssignCentroids) * kAssignCentroids;
    relative_kernel<<<head_grid(batch, padded), channels, 0, stream>>>(work);
    const std::size_t shared = static_cast<std::size_t>(layout.head_dim) * (kAssignCentroids + 1) * sizeof(float);
    const dim3 tokens = head_grid(batch, blocks_for(layout.tokens, kAssignThreads));
    if (rounds == 0) {
        assign_kernel<<<tokens, kAssignThreads, shared, stream>>>(work);
    }
    for (int round = 0; round < rounds; ++round) {
        assign_kernel<<<tokens, kAssignThreads, shared, stream>>>(work);
        update_kernel<<<head_grid(batch, work.clusters()), channels, 0, stream>>>(work);
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

template <bool kBf16>
void queue_stage(const Work<kBf16>& work, cudaStream_t stream) {
    queue_clusters(work, work.in_book ? 0 : qvg::lloyd_iterations(work.clusters()), stream);
    book_kernel<<<head_grid(work.batch, 1), 512, 0, stream>>>(work, header_of(work.batch));
}

// What the stage leaves, to the scratch.
template <bool kBf16>
void queue_residual(const Work<kBf16>& work, cudaStream_t stream) {
    const QvgPageLayout& layout = work.batch.layout;
    const std::int64_t items = static_cast<std::int64_t>(layout.tokens) * (layout.head_dim / 4);
    residual_kernel<<<head_grid(work.batch, blocks_for(items, kPackThreads)), kPackThreads, 0, stream>>>(work);
}

void queue_basis(const Work<true>& work, cudaStream_t stream) {
    const EncodeBatch& batch = work.batch;
    const int channels = whole_warps(batch.layout);
    const dim3 tokens = head_grid(batch, blocks_for(batch.layout.tokens, kPackThreads));
    start_basis_kernel<<<head_grid(batch, 1), channels, 0, stream>>>(work);
    for (int round = 0; round < qvg::kBasisRounds; ++round) {
        project_kernel<<<tokens, kPackThreads, 0, stream>>>(work);
        weigh_kernel<<<head_grid(batch, qvg::kMeanParts), channels, 0, stream>>>(work);
        turn_basis_kernel<<<head_grid(batch, 1), channels, 0, stream>>>(work);
    }
    round_basis_kernel<<<head_grid(batch, 1), kPackThreads, 0, stream>>>(work);
    project_kernel<<<tokens, kPackThreads, 0, stream>>>(work);
    weights_kernel<<<head_grid(batch, 1), kPackThreads, 0, stream>>>(work);
}

template <bool kBf16>
cudaError_t queue_codes(const Work<kBf16>& work, cudaStream_t stream) {
    const QvgPageLayout& layout = work.batch.layout;
    const std::int64_t items = static_cast<std::int64_t>(layout.tokens) * (layout.head_dim / layout.block);
    const dim3 grid = head_grid(work.batch, blocks_for(items, kPackThreads));
    switch (layout.block) {
        case 64: pack_kernel<64, kBf16><<<grid, kPackThreads, 0, stream>>>(work); break;
        case 32: pack_kernel<32, kBf16><<<grid, kPackThreads, 0, stream>>>(work); break;
        case 16: pack_kernel<16, kBf16><<<grid, kPackThreads, 0, stream>>>(work); break;
        default: return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

// The batch with what was left in the scratch as its source.
Work<true> left_over(const EncodeBatch& batch) {
    Work<true> work{batch, scratch_parts(batch)};
    for (int i = 0; i < batch.count; ++i) {
        work.batch.pages[i].rows = work.scratch.residual + i * residual_values(batch.layout);
    }
    return work;
}

template <bool kBf16>
cudaError_t queue_batch(const EncodeBatch& batch, cudaStream_t stream) {
    const QvgPageLayout& layout = batch.layout;
    for (int i = 0; i < batch.count; ++i) {
        const cudaError_t cleared =
            cudaMemsetAsync(batch.pages[i].page, 0, static_cast<std::size_t>(layout.total_bytes), stream);
        if (cleared != cudaSuccess) {
            return cleared;
        }
    }
    const Work<kBf16> first{batch, scratch_parts(batch)};
    queue_stage(first, stream);
    if (!keeps_residual(layout)) {
        return queue_codes(first, stream);
    }
    queue_residual(first, stream);
    Work<true> later = left_over(batch);
    for (int stage = 1; stage < layout.stages; ++stage) {
        later.stage = stage;
        queue_stage(later, stream);
        if (stage + 1 < layout.stages) {
            queue_residual(later, stream);
        }
    }
    if (layout.book_centroids > 0) {
        later.in_book = true;
        queue_stage(later, stream);
    }
    if (layout.rank > 0) {
        queue_basis(later, stream);
    }
    return queue_codes(later, stream);
}

// Threads: values of one head. The trained centroids as a codebook, and how many tokens chose each.
__global__ void store_book_kernel(Work<true> work, qvg::BookView book) {
    __shared__ int members[kQvgMaxCentroids];
    const QvgPageLayout& layout = work.layout();
    const int clusters = work.clusters();
    const int values = clusters * layout.head_dim;
    for (int k = static_cast<int>(threadIdx.x); k < clusters; k += static_cast<int>(blockDim.x)) {
        members[k] = 0;
    }
    __syncthreads();
    for (int t = static_cast<int>(threadIdx.x); t < layout.tokens; t += static_cast<int>(blockDim.x)) {
        atomicAdd(&members[work.ids()[t]], 1); // whole numbers: any order gives the same
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
__global__ void blend_book_kernel(Work<true> work, const std::uint8_t* page, qvg::BookView before,
                                  qvg::BookView after) {
    const QvgPageLayout& layout = work.layout();
    const int head = static_cast<int>(blockIdx.y);
    const int centroid = static_cast<int>(blockIdx.x);
    const int channel = static_cast<int>(threadIdx.x);
    int members = 0;
    const float sum = member_sum(work, [&](int token) { return layout.book_id(page, head, token); }, centroid, members);
    const std::int64_t at = static_cast<std::int64_t>(head) * layout.book_centroids + centroid;
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
        const float share = __fdiv_rn(here, weight);
        const float from = bf16_low(old);
        value = to_bf16(__fadd_rn(from, __fmul_rn(__fsub_rn(__fdiv_rn(sum, here), from), share)));
    }
    after.centroids[at * layout.head_dim + channel] = value;
}

// The rows of the page about their mean, to the scratch; pages[0].page is left alone. Twin: rows_about_mean().
template <bool kBf16>
void queue_about_mean(const EncodeBatch& batch, std::uint8_t* page, cudaStream_t stream) {
    Work<kBf16> first{batch, scratch_parts(batch)};
    first.batch.pages[0].page = page;
    queue_stage(first, stream);
    queue_residual(first, stream);
}

} // namespace

cudaError_t train_book(const SessionJob& job, cudaStream_t stream) {
    job.batch.bf16 ? queue_about_mean<true>(job.batch, job.page_scratch, stream)
                   : queue_about_mean<false>(job.batch, job.page_scratch, stream);
    Work<true> work = left_over(job.batch);
    work.in_book = true;
    queue_clusters(work, qvg::kSessionRounds, stream);
    store_book_kernel<<<head_grid(job.batch, 1), 512, 0, stream>>>(work, job.after);
    return cudaGetLastError();
}

cudaError_t update_book(const SessionJob& job, cudaStream_t stream) {
    job.batch.bf16 ? queue_about_mean<true>(job.batch, job.page_scratch, stream)
                   : queue_about_mean<false>(job.batch, job.page_scratch, stream);
    Work<true> work = left_over(job.batch);
    work.in_book = true;
    blend_book_kernel<<<head_grid(job.batch, work.clusters()), whole_warps(job.batch.layout), 0, stream>>>(
        work, job.batch.pages[0].page, job.before, job.after);
    return cudaGetLastError();
}

cudaError_t encode_pages(const EncodeBatch& batch, cudaStream_t stream) {
    if (batch.count < 1 || batch.count > kMaxPages || batch.layout.head_dim > kQvgMaxHeadDim) {
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
