#pragma once
// GPUs that read each other's memory. Room-internal.

#include "generator/plain/result.hpp"

#include <c10/core/Device.h>

#include <vector>

namespace wander {

// From now on kernels on each of these GPUs may read what torch allocates on the others. Nothing to do for the CPU.
// wrong_use where a GPU stands twice or CPU and GPUs are mixed, unavailable where two GPUs cannot.
Result<void> let_read_each_other(const std::vector<at::Device>& devices);

} // namespace wander
