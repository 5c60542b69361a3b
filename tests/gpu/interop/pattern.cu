#include "tests/gpu/interop/pattern.hpp"

#include <cuda_runtime.h>

namespace wander::render {
namespace {

__global__ void fill(std::uint32_t* pixels, std::size_t count, std::uint32_t frame, int slow_rounds) {
    const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
    const std::size_t first = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    // The right values come last: before them every pixel passes through others.
    for (int round = slow_rounds; round >= 0; --round) {
        for (std::size_t i = first; i < count; i += stride) {
            reinterpret_cast<volatile std::uint32_t*>(pixels)[i] =
                pattern_pixel(frame, static_cast<std::uint32_t>(i)) ^ static_cast<std::uint32_t>(round);
        }
    }
}

} // namespace

void write_pattern(void* pixels, std::size_t pixel_count, std::uint32_t frame, int slow_rounds, void* stream) {
    fill<<<64, 256, 0, static_cast<cudaStream_t>(stream)>>>(static_cast<std::uint32_t*>(pixels), pixel_count, frame,
                                                            slow_rounds);
}

void* make_stream() {
    cudaStream_t stream = nullptr;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    return stream;
}

void destroy_stream(void* stream) {
    cudaStreamSynchronize(static_cast<cudaStream_t>(stream));
    cudaStreamDestroy(static_cast<cudaStream_t>(stream));
}

} // namespace wander::render
