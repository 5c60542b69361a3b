#pragma once
// The one call into libwander_nccl.so, a library of its own because it needs libtorch_cuda, which the program opens at
// run time only.

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace wander::train {

inline constexpr const char* kNcclLibrary = "libwander_nccl.so";
inline constexpr const char* kMakeNcclName = "wander_make_nccl";
// Throws c10::Error where NCCL cannot be set up.
using MakeNccl = void (*)(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                          c10::intrusive_ptr<c10d::Backend>& made);

} // namespace wander::train
