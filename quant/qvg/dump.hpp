#pragma once
// The published packed state of one tensor of one span, in logical order: the dump form, bit for bit what the published
// encoder and decoder make of it. Scalar, for conformance and for exchange with other programs; the program itself
// stores pages.
//
// Shapes: values [heads][tokens][dim] bfloat16; ids[s] [heads][tokens]; centroids[s] [heads][clusters][dim] bfloat16;
// codes [heads][tokens][dim * bits / 8], first channel in the highest bits; scales, zeros [heads][tokens][dim / block]
// e4m3.

#include <cstdint>
#include <vector>

namespace wander::quant::qvg {

struct DumpShape {
    int heads = 0;
    int tokens = 0;
    int dim = 0;
    int block = 64; // channels a scale; divides dim
    int stages = 1; // 0: only the block quantiser
    int clusters = 0;
    int bits = 2; // 2 or 4
    bool asymmetric = false;
};

struct Dump {
    std::vector<std::vector<std::uint8_t>> ids;        // by stage
    std::vector<std::vector<std::uint16_t>> centroids; // by stage
    std::vector<std::uint8_t> codes;
    std::vector<std::uint8_t> scales;
    std::vector<std::uint8_t> zeros; // empty unless asymmetric
};

// Bytes of the planes of one tensor.
struct DumpBytes {
    std::int64_t codes = 0;
    std::int64_t ids = 0;
    std::int64_t scales = 0;
    std::int64_t zeros = 0;
    std::int64_t centroids = 0;
    std::int64_t total() const { return codes + ids + scales + zeros + centroids; }
};
DumpBytes dump_bytes(const DumpShape& shape);

// values minus the centroid of each token, rounded to bfloat16, in place.
void subtract_stage(std::vector<std::uint16_t>& values, const DumpShape& shape, const std::vector<std::uint8_t>& ids,
                    const std::vector<std::uint16_t>& centroids);

// Fills codes, scales and zeros from the residual after all stages.
void quantise_residual(const std::vector<std::uint16_t>& residual, const DumpShape& shape, Dump& dump);

// The decoded tensor, bfloat16.
std::vector<std::uint16_t> decode_dump(const DumpShape& shape, const Dump& dump);

} // namespace wander::quant::qvg
