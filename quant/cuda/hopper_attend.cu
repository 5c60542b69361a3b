// Launches of Hopper's attention. Compiled for sm_90a alone (quant/CMakeLists.txt): nothing here runs elsewhere but
// hopper_supports().
#include "quant/cuda/hopper_attend.hpp"
#include "quant/cuda/hopper_bf16.cuh"

#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include <atomic>

namespace wander::quant::cuda {
namespace {

// 128 queries and 176 keys fill the registers: scores and result of 64 queries are 152 values a thread.
using Bf16Tile = hopper::Tile<2, 176, 2>;

// The driver's function that describes tensors, found at run time: the program starts without a driver.
PFN_cuTensorMapEncodeTiled_v12000 describer() {
    static const PFN_cuTensorMapEncodeTiled_v12000 found = [] {
        void* function = nullptr;
        cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
        const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                                                   cudaEnableDefault, &result);
        const bool there = error == cudaSuccess && result == cudaDriverEntryPointSuccess;
        return there ? reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function) : nullptr;
    }();
    return found;
}

// [rows][heads][128] of bf16 in boxes of 64 channels of one head and `box` rows.
bool describe_rows(CUtensorMap& map, const void* data, int heads, std::int64_t rows, std::int64_t row, int box) {
    const cuuint64_t sizes[] = {hopper::kChannels, static_cast<cuuint64_t>(heads), static_cast<cuuint64_t>(rows)};
    const cuuint64_t strides[] = {hopper::kChannels * 2, static_cast<cuuint64_t>(row) * 2};
    const cuuint32_t boxes[] = {hopper::kHalf, 1, static_cast<cuuint32_t>(box)};
    const cuuint32_t steps[] = {1, 1, 1};
    return describer()(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<void*>(data), sizes, strides, boxes, steps,
                       CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                       CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

int multiprocessors(int device) {
    int count = 1;
    cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
    return count;
}

int tiles_of(int rows, int tile) { return (rows + tile - 1) / tile; }

hopper::Work work_of(const HopperJob& job) {
    int key_tiles = 0;
    for (int i = 0; i < job.segment_count; ++i) {
        key_tiles += tiles_of(job.segments[i].rows, Bf16Tile::kKeys);
    }
    return hopper::share_out(tiles_of(job.queries, Bf16Tile::kQueries) * job.heads, key_tiles,
                             multiprocessors(job.device));
}

} // namespace

bool hopper_supports(int device) {
    int major = 0, minor = 0;
    return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
           cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess && major == 9 &&
           minor == 0 && describer();
}

int hopper_tile_keys() { return Bf16Tile::kKeys; }

std::int64_t hopper_place_bytes(const HopperJob& job) {
    return static_cast<std::int64_t>(hopper::places(work_of(job))) * Bf16Tile::kGroups * hopper::kPlaceVectors *
           hopper::kStatThreads * static_cast<std::int64_t>(sizeof(float4));
}

const char* hopper_attend(const HopperJob& job, Stream stream) {
    if (!describer()) {
        return "the driver cannot describe tensors to the copy engine";
    }
    if (job.heads < 1 || job.queries < 1 || job.segment_count < 1 || job.segment_count > kMaxSegments) {
        return "attention needs queries, keys and no more segments than kMaxSegments";
    }
    hopper::Launch launch;
    launch.work = work_of(job);
    if (launch.work.shared * Bf16Tile::kGroups > kHopperCounts || (launch.work.shared > 0 && !job.places)) {
        return "attention has no room for parts of results";
    }
    const std::int64_t dense = static_cast<std::int64_t>(job.heads) * hopper::kChannels;
    int keys = 0, tile = 0;
    bool described = true;
    for (int i = 0; i < job.segment_count; ++i) {
        const HopperSegment& segment = job.segments[i];
        launch.first_tile[i] = tile;
        launch.first_row[i] = keys;
        launch.rows[i] = segment.rows;
        described = described && segment.rows > 0 &&
                    describe_rows(launch.v[i], segment.values, job.heads, segment.rows, segment.value_row,
                                  Bf16Tile::kKeys);
        keys += segment.rows;
        tile += tiles_of(segment.rows, Bf16Tile::kKeys);
    }
    described = described &&
                describe_rows(launch.q, job.q, job.heads, job.queries, job.q_row > 0 ? job.q_row : dense,
                              Bf16Tile::kQueries) &&
                describe_rows(launch.k, job.k, job.heads, keys, dense, Bf16Tile::kKeys);
    if (!described) {
        return "the driver refused to describe queries, keys or values (addresses and rows are multiples of 16 bytes)";
    }
    launch.segments = job.segment_count;
    launch.queries = job.queries;
    launch.query_tiles = tiles_of(job.queries, Bf16Tile::kQueries);
    launch.scale = static_cast<float>(job.scale);
    launch.scale_log2 = static_cast<float>(job.scale * 1.4426950408889634);
    launch.out = static_cast<__nv_bfloat16*>(job.out);
    launch.out_row = job.out_row > 0 ? job.out_row : dense;
    launch.lse = job.lse;
    launch.places = static_cast<float4*>(job.places);
    launch.counts = job.counts;
    const auto kernel = hopper::attend_bf16<Bf16Tile>;
    static std::atomic<unsigned> prepared{0}; // a bit for each device
    const unsigned bit = 1U << (job.device % 32);
    if (!(prepared.load() & bit)) {
        const cudaError_t error =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Bf16Tile::kSharedBytes);
        if (error != cudaSuccess) {
            return cudaGetErrorString(error);
        }
        prepared |= bit;
    }
    kernel<<<static_cast<unsigned>(launch.work.blocks), Bf16Tile::kThreads, Bf16Tile::kSharedBytes, stream>>>(launch);
    const cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

} // namespace wander::quant::cuda
