#pragma once
// The published encoder of one tensor of one span: k-means by stage, residuals, codes. Scalar and deterministic, for
// conformance; the program itself packs pages (page_encoder.hpp).
//
// The published run draws each stage's first centroids from its global generator. Here they are an argument, so the
// caller says what they depend on.

#include "quant/qvg/dump.hpp"

#include <cstdint>
#include <vector>

namespace wander::quant::qvg {

// Tokens that a stage starts from, [heads][clusters], drawn with replacement as published: of a seed alone.
std::vector<std::uint32_t> drawn_starts(const DumpShape& shape, std::uint64_t seed, int stage);

// values: as Dump has them, [heads][tokens][dim] bfloat16. starts: by stage.
Dump pack_dump(std::vector<std::uint16_t> values, const DumpShape& shape,
               const std::vector<std::vector<std::uint32_t>>& starts, int iterations);

} // namespace wander::quant::qvg
