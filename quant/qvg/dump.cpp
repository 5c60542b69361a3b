#include "quant/qvg/dump.hpp"

#include "quant/qvg/block_quantiser.hpp"
#include "quant/qvg/number_formats.hpp"

#include <cstddef>

namespace wander::quant::qvg {
namespace {

std::size_t rows_of(const DumpShape& shape) {
    return static_cast<std::size_t>(shape.heads) * static_cast<std::size_t>(shape.tokens);
}

// First element of the centroid of row `row` (head-major).
std::size_t centroid_at(const DumpShape& shape, std::size_t row, int id) {
    const std::size_t head = row / static_cast<std::size_t>(shape.tokens);
    return (head * static_cast<std::size_t>(shape.clusters) + static_cast<std::size_t>(id)) *
           static_cast<std::size_t>(shape.dim);
}

} // namespace

DumpBytes dump_bytes(const DumpShape& shape) {
    const auto rows = static_cast<std::int64_t>(rows_of(shape));
    DumpBytes bytes;
    bytes.codes = rows * shape.dim * shape.bits / 8;
    bytes.ids = rows * shape.stages;
    bytes.scales = rows * (shape.dim / shape.block);
    bytes.zeros = shape.asymmetric ? bytes.scales : 0;
    bytes.centroids = static_cast<std::int64_t>(shape.stages) * shape.heads * shape.clusters * shape.dim * 2;
    return bytes;
}

void subtract_stage(std::vector<std::uint16_t>& values, const DumpShape& shape, const std::vector<std::uint8_t>& ids,
                    const std::vector<std::uint16_t>& centroids) {
    const auto dim = static_cast<std::size_t>(shape.dim);
    for (std::size_t row = 0; row < rows_of(shape); ++row) {
        const std::size_t centroid = centroid_at(shape, row, ids[row]);
        for (std::size_t c = 0; c < dim; ++c) {
            std::uint16_t& value = values[row * dim + c];
            value = float_to_bf16(bf16_to_float(value) - bf16_to_float(centroids[centroid + c]));
        }
    }
}

void quantise_residual(const std::vector<std::uint16_t>& residual, const DumpShape& shape, Dump& dump) {
    const DumpBytes bytes = dump_bytes(shape);
    dump.codes.assign(static_cast<std::size_t>(bytes.codes), 0);
    dump.scales.assign(static_cast<std::size_t>(bytes.scales), 0);
    dump.zeros.assign(static_cast<std::size_t>(bytes.zeros), 0);
    const auto block = static_cast<std::size_t>(shape.block);
    const auto per_byte = static_cast<std::size_t>(8 / shape.bits);
    std::vector<float> values(block);
    std::vector<std::uint8_t> codes(block);
    for (std::size_t b = 0; b < dump.scales.size(); ++b) {
        for (std::size_t c = 0; c < block; ++c) {
            values[c] = bf16_to_float(residual[b * block + c]);
        }
        const BlockScale scale = quantise_block(values.data(), shape.block, shape.bits, shape.asymmetric, codes.data());
        dump.scales[b] = scale.scale;
        if (shape.asymmetric) {
            dump.zeros[b] = scale.zero;
        }
        for (std::size_t c = 0; c < block; ++c) {
            const std::size_t at = b * block + c;
            const auto shift = static_cast<unsigned>(per_byte - 1 - at % per_byte) * static_cast<unsigned>(shape.bits);
            std::uint8_t& byte = dump.codes[at / per_byte];
            byte = static_cast<std::uint8_t>(byte | (codes[c] << shift));
        }
    }
}

std::vector<std::uint16_t> decode_dump(const DumpShape& shape, const Dump& dump) {
    const auto dim = static_cast<std::size_t>(shape.dim);
    const auto per_byte = static_cast<std::size_t>(8 / shape.bits);
    const int offset = shape.asymmetric ? 0 : (1 << (shape.bits - 1)) - 1;
    std::vector<std::uint16_t> out(rows_of(shape) * dim);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::size_t row = i / dim;
        const auto shift = static_cast<unsigned>(per_byte - 1 - i % per_byte) * static_cast<unsigned>(shape.bits);
        const int code = (dump.codes[i / per_byte] >> shift) & ((1 << shape.bits) - 1);
        const std::size_t block = i / static_cast<std::size_t>(shape.block);
        float value = static_cast<float>(code - offset) * e4m3_to_float(dump.scales[block]);
        if (shape.asymmetric) {
            value += e4m3_to_float(dump.zeros[block]);
        }
        for (std::size_t s = 0; s < static_cast<std::size_t>(shape.stages); ++s) {
            value += bf16_to_float(dump.centroids[s][centroid_at(shape, row, dump.ids[s][row]) + i % dim]);
        }
        out[i] = float_to_bf16(value);
    }
    return out;
}

} // namespace wander::quant::qvg
