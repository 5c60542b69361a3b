#pragma once
// RMS norm over channels and SiLU in one pass over memory, for channels-last pictures on the CPU.
//
// Written as separate torch operations the norms of the decoder cost as much as its convolutions. One thread each call;
// the caller splits pixels. Twin: rms_silu_reference, which tests compare with (1e-6 relative for float).

#include <cstdint>

namespace wander {

struct RmsSilu {
    std::int64_t pixels = 0;
    std::int64_t channels = 0;
    const float* gamma = nullptr; // [channels]
    float eps = 0;                // added to the mean square
    bool silu = true;
};

void rms_silu(const RmsSilu& task, const float* in, float* out);
void rms_silu_bf16(const RmsSilu& task, const std::uint16_t* in, std::uint16_t* out);
void rms_silu_reference(const RmsSilu& task, const float* in, float* out);

} // namespace wander
