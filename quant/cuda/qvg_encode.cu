// The page encoder's launches. Sums and products run in the order of the CPU code and are never fused, so results are
// the same bits.
#include "quant/cuda/qvg_cluster_kernels.cuh"
#include "quant/cuda/qvg_encode.hpp"
#include "quant/cuda/qvg_pack_kernels.cuh"

namespace wander::quant::cuda {
namespace {

__global__ void decode_kernel(const std::uint8_t* page, QvgPageLayout layout, float middle, int head, float* out) {
    const int per_row = layout.head_dim / 8;
    const int index = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (index >= layout.tokens * per_row) {
        return;
    }
    float values[8];
    decode_packed<8>(page, layout, middle, index / per_row, head, index % per_row * 8, values);
    for (int c = 0; c < 8; ++c) {
        out[static_cast<std::int64_t>(index) * 8 + c] = values[c];
    }
}

int blocks_for(std::int64_t items, int threads) { return static_cast<int>((items + threads - 1) / threads); }

} // namespace

std::int64_t encode_scratch_bytes(const QvgPageLayout& layout, int pages) {
    const std::int64_t heads = static_cast<std::int64_t>(pages) * layout.heads;
    const std::int64_t padded =
        static_cast<std::int64_t>(blocks_for(layout.centroids, kAssignCentroids)) * kAssignCentroids;
    const std::int64_t floats = layout.head_dim * (1 + layout.centroids + padded) + padded;
    return heads * (floats * 4 + layout.tokens);
}

EncodeScratch scratch_parts(const EncodeBatch& batch) {
    const QvgPageLayout& layout = batch.layout;
    const std::int64_t heads = static_cast<std::int64_t>(batch.count) * layout.heads;
    const std::int64_t padded =
        static_cast<std::int64_t>(blocks_for(layout.centroids, kAssignCentroids)) * kAssignCentroids;
    EncodeScratch parts;
    parts.relative = static_cast<float*>(batch.scratch); // read in fours, so it comes first
    parts.mean = parts.relative + heads * padded * layout.head_dim;
    parts.centroids = parts.mean + heads * layout.head_dim;
    parts.half_norms = parts.centroids + heads * layout.centroids * layout.head_dim;
    parts.ids = reinterpret_cast<std::uint8_t*>(parts.half_norms + heads * padded);
    return parts;
}

namespace {

template <bool kBf16>
cudaError_t queue_batch(const EncodeBatch& batch, cudaStream_t stream) {
    const QvgPageLayout& layout = batch.layout;
    const Work<kBf16> work{batch, scratch_parts(batch)};
    const auto heads = static_cast<unsigned>(layout.heads);
    const auto pages = static_cast<unsigned>(batch.count);
    for (int i = 0; i < batch.count; ++i) {
        const cudaError_t cleared =
            cudaMemsetAsync(batch.pages[i].page, 0, static_cast<std::size_t>(layout.total_bytes), stream);
        if (cleared != cudaSuccess) {
            return cleared;
        }
    }
    mean_kernel<<<dim3(blocks_for(layout.head_dim, 32), heads, pages), dim3(32, qvg::kMeanParts), 0, stream>>>(work);
    start_kernel<<<dim3(1, heads, pages), kStartThreads, 0, stream>>>(work);
    const int channels = (layout.head_dim + 31) / 32 * 32; // whole warps
    const int padded = blocks_for(layout.centroids, kAssignCentroids) * kAssignCentroids;
    relative_kernel<<<dim3(padded, heads, pages), channels, 0, stream>>>(work);
    const std::size_t shared = static_cast<std::size_t>(layout.head_dim) * (kAssignCentroids + 1) * sizeof(float);
    for (int round = 0; round < qvg::lloyd_iterations(layout.centroids); ++round) {
        assign_kernel<<<dim3(blocks_for(layout.tokens, kAssignThreads), heads, pages), kAssignThreads, shared,
                        stream>>>(work);
        update_kernel<<<dim3(layout.centroids, heads, pages), channels, 0, stream>>>(work);
    }
    QvgPageHeader header;
    header.grid = static_cast<std::uint8_t>(batch.grid);
    header.tokens = static_cast<std::uint32_t>(layout.tokens);
    header.heads = heads;
    header.head_dim = static_cast<std::uint32_t>(layout.head_dim);
    header.block = static_cast<std::uint32_t>(layout.block);
    header.centroids = static_cast<std::uint32_t>(layout.centroids);
    header.id_bits = static_cast<std::uint32_t>(layout.id_bits);
    header.total_bytes = static_cast<std::uint64_t>(layout.total_bytes);
    book_kernel<<<dim3(1, heads, pages), 512, 0, stream>>>(work, header);
    const std::int64_t items = static_cast<std::int64_t>(layout.tokens) * (layout.head_dim / layout.block);
    const dim3 grid(blocks_for(items, kPackThreads), heads, pages);
    switch (layout.block) {
        case 64: pack_kernel<64, kBf16><<<grid, kPackThreads, 0, stream>>>(work); break;
        case 32: pack_kernel<32, kBf16><<<grid, kPackThreads, 0, stream>>>(work); break;
        case 16: pack_kernel<16, kBf16><<<grid, kPackThreads, 0, stream>>>(work); break;
        default: return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

} // namespace

cudaError_t encode_pages(const EncodeBatch& batch, cudaStream_t stream) {
    if (batch.count < 1 || batch.count > kMaxPages || batch.layout.head_dim > kQvgMaxHeadDim) {
        return cudaErrorInvalidValue;
    }
    return batch.bf16 ? queue_batch<true>(batch, stream) : queue_batch<false>(batch, stream);
}

cudaError_t decode_head(const std::uint8_t* page, const QvgPageLayout& layout, QvgGrid grid, int head, float* out,
                        cudaStream_t stream) {
    const std::int64_t items = static_cast<std::int64_t>(layout.tokens) * (layout.head_dim / 8);
    decode_kernel<<<blocks_for(items, 256), 256, 0, stream>>>(page, layout, qvg_middle(grid), head, out);
    return cudaGetLastError();
}

} // namespace wander::quant::cuda
