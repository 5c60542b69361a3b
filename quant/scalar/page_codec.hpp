#pragma once
// Packs and reads pages of the scalar formats on the CPU. Any thread, no state; the same bytes on every instruction
// set, and the same that the kernels give (quant/cuda/scalar_encode.hpp).

#include "quant/cpu/tiles.hpp"
#include "quant/scalar/page_layout.hpp"

#include <cstdint>

namespace wander::quant::scalar {

struct ScalarRows { // [tokens][heads][head_dim]
    const void* values = nullptr;
    bool bf16 = false; // else float32
};

// page: layout.total_bytes. Values that are not finite give a page that can be read, but says nothing about them.
void encode_page(const ScalarRows& rows, const ScalarPageLayout& layout, bool is_key, std::uint8_t* page,
                 cpu::SimdLevel level = cpu::best_simd());

// Tokens [t0, t1) of one head, row-major.
void decode_page_rows(const std::uint8_t* page, const ScalarPageLayout& layout, int head, int t0, int t1, float* out,
                      cpu::SimdLevel level = cpu::best_simd());

ScalarPageHeader page_header(const ScalarPageLayout& layout, bool is_key);

} // namespace wander::quant::scalar
