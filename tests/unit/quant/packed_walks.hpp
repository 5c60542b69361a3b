#pragma once
// Walks that pack beside their context passes against walks that pack at the commit, on the device of a setup.

#include "tests/unit/quant/cache_oracle.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace wander::test {

// One chunk as the transformer does it: a pass over all layers, then the context pass, which writes a layer before it
// attends to it and leaves the last layer's attention out. Returns what attention gave, all layers of both passes.
std::vector<at::Tensor> walk_chunk(quant::KvCache& cache, const CacheSetup& setup, std::int64_t first);

// What the cache reads of all visible latents, keys and values of all layers.
std::vector<at::Tensor> read_everything(const quant::KvCache& cache, const CacheSetup& setup, std::int64_t next);

testing::AssertionResult same(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b);

// Two walks over the same chunks and switches give the same bits, one packing beside its passes, the other as
// `other_beside` says. formats: switched to in turns, some while old pages still wait; rules: changed and the walk
// restarted on the way as well.
void expect_same_walks(const CacheSetup& setup, bool other_beside, const std::vector<std::string>& formats, bool rules);

// Context passes that are given up half-way, cleared half-way, or asked for layers again behind their write: what is
// read is what the dense oracle makes of the cache's own values, and what was not yet packed is what was written.
void expect_broken_passes_leave_no_trace(const CacheSetup& setup, double tolerance);

// What the ledger says was held at most.
std::int64_t peak_of_walk(CacheSetup setup, bool beside);

} // namespace wander::test
