#pragma once
// Session codebooks on the device: the same bytes as qvg::train_book and qvg::update_book. Queued on the stream, no
// host synchronisation, no floating-point atomics.

#include "quant/cuda/qvg_encode.hpp"
#include "quant/qvg/book_view.hpp"

namespace wander::quant::cuda {

struct SessionJob {
    EncodeBatch batch;                    // one page with its scratch; pages[0].page is packed (update), else unused
    std::uint8_t* page_scratch = nullptr; // layout.total_bytes, aligned to 64 bytes
    qvg::BookView before;
    qvg::BookView after;
};

cudaError_t train_book(const SessionJob& job, cudaStream_t stream);
cudaError_t update_book(const SessionJob& job, cudaStream_t stream);

} // namespace wander::quant::cuda
