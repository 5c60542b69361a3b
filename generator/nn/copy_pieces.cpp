#include "generator/nn/copy_pieces.hpp"

#include <ATen/ATen.h>

#if WANDER_CUDA
#include "generator/nn/cuda/copy_rows.hpp"

#include <c10/cuda/CUDAStream.h>
#endif

#include <algorithm>

namespace wander::nn {

namespace {

#if WANDER_CUDA
bool rows_are_dense(const at::Tensor& x) { return x.dim() == 3 && x.stride(2) == 1 && x.stride(1) == x.size(2); }

cuda::RowCopy row_copy(const CopyPiece& piece) {
    const auto bytes = static_cast<std::int64_t>(piece.from.element_size());
    TORCH_CHECK(piece.from.sizes() == piece.to.sizes() && piece.from.scalar_type() == piece.to.scalar_type() &&
                    rows_are_dense(piece.from) && rows_are_dense(piece.to) && piece.from.is_cuda(),
                "copy_pieces: both sides must have the same rows, dense in themselves, on GPUs");
    cuda::RowCopy copy;
    copy.from = piece.from.const_data_ptr();
    copy.to = piece.to.mutable_data_ptr();
    copy.rows = piece.from.size(0);
    copy.row_bytes = piece.from.size(1) * piece.from.size(2) * bytes;
    copy.from_stride = piece.from.stride(0) * bytes;
    copy.to_stride = piece.to.stride(0) * bytes;
    return copy;
}
#endif

} // namespace

void copy_pieces(const std::vector<CopyPiece>& pieces) {
    if (pieces.empty()) return;
#if WANDER_CUDA
    if (pieces.front().to.is_cuda()) {
        const c10::DeviceIndex device = pieces.front().to.get_device();
        std::vector<cuda::RowCopy> copies;
        copies.reserve(pieces.size());
        for (const CopyPiece& piece : pieces) {
            TORCH_CHECK(piece.to.get_device() == device, "copy_pieces: all targets must be on one GPU");
            copies.push_back(row_copy(piece));
        }
        for (std::size_t i = 0; i < copies.size(); i += cuda::kMostRowCopies) {
            cuda::RowCopies batch;
            batch.count = static_cast<int>(std::min<std::size_t>(copies.size() - i, cuda::kMostRowCopies));
            std::copy_n(copies.begin() + static_cast<std::ptrdiff_t>(i), batch.count, batch.copies);
            const char* const refused = cuda::launch_copy_rows(batch, c10::cuda::getCurrentCUDAStream(device).stream());
            TORCH_CHECK(!refused, "copying between GPUs: ", refused ? refused : "");
        }
        return;
    }
#endif
    for (const CopyPiece& piece : pieces) piece.to.copy_(piece.from);
}

} // namespace wander::nn
