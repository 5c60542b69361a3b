#pragma once
// Session codebooks on the device: the same bytes as qvg::train_book and qvg::update_book. Queued on the stream, no
// host synchronisation, no floating-point atomics.

#include "quant/cuda/qvg_encode.hpp"
#include "quant/qvg/book_view.hpp"

namespace wander::quant::cuda {

struct Books {
    qvg::BookView of[kMaxPages];
};

struct SessionJob {
    EncodeBatch batch; // rows, seeds and scratch; pages are neither read nor written
    Books before;      // of an update: those that the pages were packed with
    Books after;
};

cudaError_t train_books(const SessionJob& job, cudaStream_t stream);
cudaError_t update_books(const SessionJob& job, cudaStream_t stream);

} // namespace wander::quant::cuda
