#pragma once
// Opening CUDA at run time. Room-internal; use generator/device.hpp.

#include "generator/device.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace wander {

struct CudaDevice {
    std::string name;
    std::array<std::uint8_t, 16> uuid{};
};

// Loads libtorch_cuda once and looks at device 0. `unavailable` with the reason in words; the answer is remembered.
Result<CudaDevice> open_cuda();

int cuda_device_count();
std::int64_t cuda_peak_bytes(int index);
DeviceMemory cuda_memory(int index);

} // namespace wander
