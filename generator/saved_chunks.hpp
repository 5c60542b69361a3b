#pragma once
// The tensors of a saved causal walk (docs/formats.md, "Saved walk", version 2). Room-internal. Any thread.

#include "generator/plain/result.hpp"
#include "generator/walk_loop.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace wander {

// Of a file: that tensor, finite, copied, of that type and that many dimensions, or what is wrong.
using ReadTensor = std::function<Result<at::Tensor>(const char* name, at::ScalarType type, std::int64_t dims)>;

std::map<std::string, at::Tensor> pack_chunks(const CausalMemory& memory);
// `cameras`: it has poses, labels and steering. bad_input without the file's name where they do not belong together.
Result<CausalMemory> unpack_chunks(const ReadTensor& read, bool cameras);

} // namespace wander
