#include "quant/scalar/page_codec.hpp"

#include "quant/scalar/number_codes.hpp"
#include "quant/scalar/page_kernels.hpp"

#include <cassert>
#include <cstring>
#include <vector>

namespace wander::quant::scalar {
namespace {

void gather_head(const ScalarRows& rows, const ScalarPageLayout& layout, int head, float* out) {
    const auto dim = static_cast<std::size_t>(layout.head_dim);
    for (int t = 0; t < layout.tokens; ++t, out += dim) {
        const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(t) * layout.heads + head) * layout.head_dim;
        if (!rows.bf16) {
            std::memcpy(out, static_cast<const float*>(rows.values) + at, sizeof(float) * dim);
            continue;
        }
        const std::uint16_t* from = static_cast<const std::uint16_t*>(rows.values) + at;
        for (std::size_t c = 0; c < dim; ++c) {
            out[c] = bits_float(static_cast<std::uint32_t>(from[c]) << 16);
        }
    }
}

} // namespace

ScalarPageHeader page_header(const ScalarPageLayout& layout, bool is_key) {
    ScalarPageHeader header;
    header.format = layout.rule.id;
    header.is_key = is_key ? 1 : 0;
    header.tokens = static_cast<std::uint32_t>(layout.tokens);
    header.heads = static_cast<std::uint32_t>(layout.heads);
    header.head_dim = static_cast<std::uint32_t>(layout.head_dim);
    header.group = static_cast<std::uint32_t>(layout.group);
    header.total_bytes = static_cast<std::uint64_t>(layout.total_bytes);
    return header;
}

void encode_page(const ScalarRows& rows, const ScalarPageLayout& layout, bool is_key, std::uint8_t* page,
                 cpu::SimdLevel level) {
    assert(layout.head_dim % kScalarChannels == 0 && layout.head_dim <= kScalarMaxHeadDim);
    const ScalarKernels& kernels = scalar_kernels(level);
    std::vector<float> head_rows(static_cast<std::size_t>(layout.tokens) * static_cast<std::size_t>(layout.head_dim));
    std::memset(page, 0, static_cast<std::size_t>(layout.total_bytes));
    const ScalarPageHeader header = page_header(layout, is_key);
    std::memcpy(page, &header, sizeof header);
    for (int head = 0; head < layout.heads; ++head) {
        gather_head(rows, layout, head, head_rows.data());
        if (layout.rule.rotated) {
            kernels.rotate(head_rows.data(), layout.tokens, layout.head_dim);
        }
        if (layout.pair()) {
            float reach[2];
            kernels.reach(head_rows.data(), layout, reach);
            std::memcpy(page + layout.reach_at + static_cast<std::ptrdiff_t>(head) * 8, reach, sizeof reach);
        }
        kernels.encode(head_rows.data(), layout, head, page);
    }
}

void decode_page_rows(const std::uint8_t* page, const ScalarPageLayout& layout, int head, int t0, int t1, float* out,
                      cpu::SimdLevel level) {
    scalar_kernels(level).decode(page, layout, head, t0, t1, out);
}

} // namespace wander::quant::scalar
