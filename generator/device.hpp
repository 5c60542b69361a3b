#pragma once
// The machine's compute device: which one to use, what it is called, how precisely it shall compute, its memory peaks.
//
// libtorch_cuda is not linked: pick_device opens it at run time where a driver is, so one program serves machines with
// and without an NVIDIA GPU. Call pick_device before anything else asks torch about CUDA, and before other threads
// compute (vector_math.hpp says why). Any thread; the first call is slow where CUDA is set up.

#include "generator/plain/result.hpp"

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>
#include <string>

namespace wander {

struct ComputeDevice {
    at::Device device = at::kCPU;
    std::string name;                    // of the product
    std::array<std::uint8_t, 16> uuid{}; // of the CUDA device, zeros on the CPU
    at::ScalarType compute = at::kFloat; // kFloat or kBFloat16
    int threads = 1;                     // of the CPU, all together

    bool is_cuda() const { return device.is_cuda(); }
    std::string kind() const { return is_cuda() ? "cuda" : "cpu"; }
    std::string precision() const { return compute == at::kBFloat16 ? "bf16" : "fp32"; }
};

// device: auto, cpu or cuda; precision: auto, fp32 or bf16; threads: 0 = all cores this process may use.
// wrong_use for unknown words and for "cuda" where there is none.
Result<ComputeDevice> pick_device(const std::string& device, const std::string& precision, int threads);

// GPUs of this machine that CUDA shows; 0 where pick_device found none.
int device_count();

// Does this CPU multiply bf16 matrices in hardware (AVX-512 BF16 or AMX)?
bool cpu_has_bf16();

// How many threads torch uses for work that the calling thread starts. Other threads keep theirs.
void set_own_thread_count(int threads);

// Highest resident memory of this process so far.
std::int64_t peak_host_bytes();
// Of the whole device as its driver counts, every program's; zeros on the CPU.
struct DeviceMemory {
    std::int64_t used_bytes = 0;
    std::int64_t total_bytes = 0;
};
DeviceMemory device_memory(at::Device device);
// Highest sum of torch's allocations on the device so far (the cache's pages are among them, its kept rows
// are not); 0 on the CPU.
std::int64_t peak_gpu_bytes(at::Device device);

} // namespace wander
