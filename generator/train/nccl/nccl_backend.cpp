#include "generator/train/nccl/nccl_backend.hpp"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

extern "C" void wander_make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                 c10::intrusive_ptr<c10d::Backend>& made) {
    made = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size);
}
