#pragma once
// What a file of torch.save holds: every tensor with its place in the file. Parsed from the bytes, never executed.
//
// Tensors of nested dicts and lists are named by their keys joined with '/': "generator_ema/model.head.modulation".
// An object of another kind is remembered with its reason and is an error only for who wants it. Pure (fuzzed), any
// thread. Format: docs/formats.md, "Torch archives".

#include "generator/plain/result.hpp"
#include "generator/weights/dtype.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace wander {

struct TorchTensorEntry {
    Dtype dtype = Dtype::f32;
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> stride; // elements, never negative
    std::uint64_t begin = 0;          // of the first element in the file, bytes
    std::uint64_t end = 0;            // behind the last element that the strides reach
    bool contiguous() const;          // rows one after another, so begin..end is all of it
};

struct TorchIndex {
    std::map<std::string, TorchTensorEntry> tensors;
    std::map<std::string, std::string> unread; // name of an entry -> what it is instead of a tensor
    std::uint64_t pickle_begin = 0;            // the part of the file that says what it holds
    std::uint64_t pickle_end = 0;
};

// bad_input where the file is damaged, compressed, of the old format (before zip) or big-endian.
Result<TorchIndex> parse_torch_archive(std::span<const std::uint8_t> file);

} // namespace wander
