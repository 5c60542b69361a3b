#include "generator/device.hpp"

#include "generator/device_cuda.hpp"
#include "generator/vector_math.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <sched.h>
#include <fstream>
#include <mutex>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace wander {

namespace {

int usable_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
    return std::max(1, CPU_COUNT(&set));
}

// The value of a line "key<blanks>: value" of a file below /proc.
std::string proc_value(const char* path, std::string_view key) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (!line.starts_with(key)) continue;
        const auto colon = line.find(':');
        const auto value = line.find_first_not_of(" \t", colon == std::string::npos ? line.size() : colon + 1);
        if (value != std::string::npos) return line.substr(value);
    }
    return {};
}

Result<at::ScalarType> pick_precision(const std::string& precision, bool hardware_bf16) {
    if (precision == "fp32") return at::kFloat;
    if (precision == "bf16") return at::kBFloat16;
    if (precision == "auto") return hardware_bf16 ? at::kBFloat16 : at::kFloat;
    return Error{ErrorCode::wrong_use, fmt::format("--precision {}: use auto, fp32 or bf16", precision)};
}

} // namespace

bool cpu_has_bf16() {
#if defined(__x86_64__)
    // The system must save the wide registers too; __builtin_cpu_supports checks that for avx512f.
    if (!__builtin_cpu_supports("avx512f")) return false;
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return false;
    const bool avx512_bf16 = (a >> 5) & 1u;
    __get_cpuid_count(7, 0, &a, &b, &c, &d);
    const bool amx_bf16 = (d >> 22) & 1u;
    return avx512_bf16 || amx_bf16;
#else
    return false;
#endif
}

Result<ComputeDevice> pick_device(const std::string& device, const std::string& precision, int threads) {
    if (device != "auto" && device != "cpu" && device != "cuda") {
        return Error{ErrorCode::wrong_use, fmt::format("--device {}: use auto, cpu or cuda", device)};
    }
    if (threads < 0)
        return Error{ErrorCode::wrong_use, fmt::format("--threads {}: use 1 or more, or 0 for all cores", threads)};

    settle_vector_math();
    ComputeDevice picked;
    picked.threads = threads > 0 ? threads : usable_cores();
    if (device != "cpu") {
        auto cuda = open_cuda();
        if (cuda) {
            picked.device = at::Device(at::kCUDA, 0);
            picked.name = cuda->name;
            picked.uuid = cuda->uuid;
        } else if (device == "cuda") {
            return Error{ErrorCode::wrong_use,
                         fmt::format("--device cuda: {}; use --device cpu, or auto to take what there is",
                                     cuda.error().message)};
        }
    }
    if (!picked.is_cuda()) picked.name = proc_value("/proc/cpuinfo", "model name");
    auto compute = pick_precision(precision, picked.is_cuda() || cpu_has_bf16());
    if (!compute) return compute.error();
    picked.compute = *compute;
    // fp32 shall mean fp32: torch's default lets convolutions round to TF32.
    if (picked.is_cuda()) at::globalContext().setAllowTF32CuDNN(picked.compute != at::kFloat);
    return picked;
}

void set_own_thread_count(int threads) {
    // torch sets a thread's count anew when the thread first does parallel work; asking for it makes that happen now.
    at::get_num_threads();
    at::set_num_threads(threads);
}

int device_count() { return open_cuda() ? cuda_device_count() : 0; }

std::int64_t peak_host_bytes() {
    const std::string kib = proc_value("/proc/self/status", "VmHWM");
    return kib.empty() ? 0 : std::stoll(kib) * 1024;
}

DeviceMemory device_memory(at::Device device) {
    return device.is_cuda() ? cuda_memory(device.index()) : DeviceMemory{};
}

std::int64_t peak_gpu_bytes(at::Device device) { return device.is_cuda() ? cuda_peak_bytes(device.index()) : 0; }

} // namespace wander
