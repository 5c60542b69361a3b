#pragma once
// What the pages of a cache hold and take, for ledgers and panels.

#include "quant/cache/codebook_store.hpp"
#include "quant/cache/page_table.hpp"
#include "quant/plain/memory_ledger.hpp"

#include <cstdint>
#include <vector>

namespace wander::quant {

// first_latent: of the newest chunk, which decides what is visible.

// Pages and codebooks alone: text, scratch, peak and what the converter has to do are left at 0.
MemoryLedger count_pages(const PageTable& table, const CodebookStore& codebooks, const CacheShape& shape,
                         std::int64_t first_latent);

std::vector<PageCell> page_cells(const PageTable& table, std::int64_t first_latent);

} // namespace wander::quant
