#include "generator/nn/cuda/copy_rows.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>

namespace wander::nn::cuda {
namespace {

constexpr int kThreads = 256;
// Of one thread: so many reads are under way at once, which another GPU's memory needs, as it is far.
constexpr int kAhead = 4;

template <class Vector>
__global__ void __launch_bounds__(kThreads) copy_rows(RowCopies batch) {
    const RowCopy& copy = batch.copies[blockIdx.y];
    const auto width = static_cast<unsigned>(copy.row_bytes / static_cast<std::int64_t>(sizeof(Vector)));
    const unsigned total = static_cast<unsigned>(copy.rows) * width;
    const unsigned first = blockIdx.x * (kThreads * kAhead) + threadIdx.x;
    Vector values[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
        const unsigned index = first + i * kThreads;
        if (index >= total) break;
        const auto* row = static_cast<const char*>(copy.from) + index / width * copy.from_stride;
        values[i] = reinterpret_cast<const Vector*>(row)[index % width];
    }
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
        const unsigned index = first + i * kThreads;
        if (index >= total) break;
        auto* row = static_cast<char*>(copy.to) + index / width * copy.to_stride;
        reinterpret_cast<Vector*>(row)[index % width] = values[i];
    }
}

bool all_multiples_of(const RowCopies& batch, std::int64_t bytes) {
    for (int i = 0; i < batch.count; ++i) {
        const RowCopy& copy = batch.copies[i];
        for (const std::int64_t value :
             {reinterpret_cast<std::int64_t>(copy.from), reinterpret_cast<std::int64_t>(copy.to), copy.row_bytes,
              copy.from_stride, copy.to_stride}) {
            if (value % bytes != 0) return false;
        }
    }
    return true;
}

template <class Vector>
void launch(const RowCopies& batch, std::int64_t most_bytes, Stream stream) {
    constexpr std::int64_t kBlockBytes = std::int64_t{kThreads} * kAhead * static_cast<std::int64_t>(sizeof(Vector));
    const dim3 grid(static_cast<unsigned>((most_bytes + kBlockBytes - 1) / kBlockBytes),
                    static_cast<unsigned>(batch.count));
    copy_rows<Vector><<<grid, kThreads, 0, stream>>>(batch);
}

} // namespace

const char* launch_copy_rows(const RowCopies& copies, Stream stream) {
    std::int64_t most_bytes = 0;
    for (int i = 0; i < copies.count; ++i)
        most_bytes = std::max(most_bytes, copies.copies[i].rows * copies.copies[i].row_bytes);
    if (most_bytes == 0) return nullptr;
    if (most_bytes >= std::int64_t{1} << 33) return "pieces of 8 GiB and more are not copied";
    if (all_multiples_of(copies, 16)) {
        launch<uint4>(copies, most_bytes, stream);
    } else if (all_multiples_of(copies, 4)) {
        launch<unsigned>(copies, most_bytes, stream);
    } else {
        return "rows must begin at multiples of 4 bytes";
    }
    const cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

} // namespace wander::nn::cuda
