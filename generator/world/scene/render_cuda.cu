// Twin: generator/world/scene/render_cpu.cpp.
#include "generator/world/scene/render_cuda.hpp"

#include <algorithm>

namespace wander::scene::cuda {
namespace {

constexpr int kTileWidth = 16; // a block draws 16 x 8 pixels: rays of one warp stay close together
constexpr int kTileHeight = 8;
constexpr int kMaxPictures = 32768; // of one launch

__global__ void __launch_bounds__(kTileWidth* kTileHeight) draw_kernel(DrawJob job, int first) {
    const int picture = first + static_cast<int>(blockIdx.y);
    const int tiles_across = (job.format.width + kTileWidth - 1) / kTileWidth;
    const int tile = static_cast<int>(blockIdx.x);
    const int column = tile % tiles_across * kTileWidth + static_cast<int>(threadIdx.x);
    const int row = tile / tiles_across * kTileHeight + static_cast<int>(threadIdx.y);
    if (column >= job.format.width || row >= job.format.height) return;
    const long long pixel = (static_cast<long long>(picture) * job.format.height + row) * job.format.width + column;
    draw_pixel(job.scenes[job.scene_of[picture]], job.cameras[picture], job.format, column, row, job.rgb + pixel * 3);
}

} // namespace

cudaError_t draw_pictures(const DrawJob& job, cudaStream_t stream) {
    const int tiles =
        ((job.format.width + kTileWidth - 1) / kTileWidth) * ((job.format.height + kTileHeight - 1) / kTileHeight);
    for (int first = 0; first < job.pictures; first += kMaxPictures) {
        const dim3 blocks(static_cast<unsigned>(tiles),
                          static_cast<unsigned>(std::min(kMaxPictures, job.pictures - first)));
        draw_kernel<<<blocks, dim3(kTileWidth, kTileHeight), 0, stream>>>(job, first);
    }
    return cudaGetLastError();
}

} // namespace wander::scene::cuda
