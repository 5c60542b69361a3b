#include "quant/cuda/expand_rows.cuh"
#include "quant/cuda/page_decode.cuh"
#include "quant/cuda/qvg_encode.hpp"

namespace wander::quant::cuda {
namespace {

struct PackedRows {
    const std::uint8_t* page;
    const std::uint8_t* book;
    QvgPageLayout layout;
    float middle; // code that stands for zero
    __device__ Eight load(int row, int head, int channel) const {
        Eight value;
        decode_packed<8>(page, book, layout, middle, row, head, channel, value.x);
        return value;
    }

    static constexpr int kRows = 4;
    __device__ void load_rows(const int (&rows)[kRows], int head, int channel, Eight (&values)[kRows]) const {
        float out[kRows][8];
        decode_rows(page, book, layout, middle, rows, head, channel, out);
        for (int r = 0; r < kRows; ++r) {
            for (int c = 0; c < 8; ++c) {
                values[r].x[c] = out[r][c];
            }
        }
    }
};

} // namespace

bool expand_qvg(const ExpandJob& job, const std::uint8_t* book, const QvgPageLayout& layout, QvgGrid grid,
                Stream stream) {
    return expand_source(PackedRows{nullptr, book, layout, qvg_middle(grid)}, job, stream);
}

} // namespace wander::quant::cuda
