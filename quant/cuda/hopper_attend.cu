// Launches of Hopper's attention. Compiled for sm_90a alone (quant/CMakeLists.txt): nothing here runs elsewhere but
// hopper_supports().
#include "quant/cuda/hopper_attend.hpp"
#include "quant/cuda/hopper_kernel.cuh"

#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>

namespace wander::quant::cuda {
namespace {

// What fills the registers: scores and result of 64 queries are 152 values a thread in BF16, and in E4M3 192 with the
// products that are yet to join the result.
template <int kBlocks>
using Bf16Tiles = hopper::Tile<false, 176, 2, kBlocks>;
using Bf16Tile = Bf16Tiles<1>;
using Bf16Pairs = Bf16Tiles<2>;
using E4m3Tile = hopper::Tile<true, kE4m3TileKeys, 4, 1>;

// The driver's function that describes tensors, found at run time: the program starts without a driver.
PFN_cuTensorMapEncodeTiled_v12000 describer() {
    static const PFN_cuTensorMapEncodeTiled_v12000 found = [] {
        void* function = nullptr;
        cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
        const cudaError_t error =
            cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &result);
        const bool there = error == cudaSuccess && result == cudaDriverEntryPointSuccess;
        return there ? reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function) : nullptr;
    }();
    return found;
}

struct Box {
    cuuint64_t sizes[3];   // of the tensor, innermost first
    cuuint64_t strides[2]; // bytes
    cuuint32_t box[3];
};

bool describe(CUtensorMap& map, CUtensorMapDataType type, const void* data, const Box& box) {
    const cuuint32_t steps[] = {1, 1, 1};
    return describer()(&map, type, 3, const_cast<void*>(data), box.sizes, box.strides, box.box, steps,
                       CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                       CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

// [rows][heads][128] in boxes of 128 bytes of one head and `box` rows.
template <class T>
bool describe_rows(CUtensorMap& map, const void* data, int heads, std::int64_t rows, std::int64_t row, int box) {
    const cuuint64_t value = T::kValueBytes;
    return describe(map, T::kE4m3 ? CU_TENSOR_MAP_DATA_TYPE_UINT8 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, data,
                    {{hopper::kChannels, static_cast<cuuint64_t>(heads), static_cast<cuuint64_t>(rows)},
                     {hopper::kChannels * value, static_cast<cuuint64_t>(row) * value},
                     {static_cast<cuuint32_t>(128 / T::kValueBytes), 1, static_cast<cuuint32_t>(box)}});
}

// [heads][128][row] bytes in boxes of all channels of one head and 128 keys.
bool describe_columns(CUtensorMap& map, const HopperSegment& segment, int heads) {
    const auto row = static_cast<cuuint64_t>(segment.value_row);
    return describe(
        map, CU_TENSOR_MAP_DATA_TYPE_UINT8, segment.values,
        {{(static_cast<cuuint64_t>(segment.rows) + 15) / 16 * 16, hopper::kChannels, static_cast<cuuint64_t>(heads)},
         {row, row * hopper::kChannels},
         {E4m3Tile::kKeys, hopper::kChannels, 1}});
}

int multiprocessors(int device) {
    int count = 1;
    cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
    return count;
}

int tiles_of(int rows, int tile) { return (rows + tile - 1) / tile; }

// Whether two blocks that read the same keys go together: faster by 2 % with 3,520 queries, as fast with 14,080, and
// slower where each head has a block too many (docs/performance.md). In E4M3 it is no faster.
bool in_pairs(int queries) { return tiles_of(queries, Bf16Tile::kQueries) % 2 == 0; }

// What `call` returns for the kernel that does the job.
template <class Call>
auto with_tile(bool e4m3, int queries, Call call) {
    if (e4m3) {
        return call(E4m3Tile{});
    }
    return in_pairs(queries) ? call(Bf16Pairs{}) : call(Bf16Tile{});
}

template <class T>
hopper::Work work_for(int heads, int queries, int key_tiles, int device) {
    const int clusters = std::max(1, multiprocessors(device) / T::kBlocks);
    return hopper::share_out(tiles_of(queries, T::kQueries) * heads, key_tiles, clusters);
}
template <class T>
hopper::Work work_of(const HopperJob& job) {
    int key_tiles = 0;
    for (int i = 0; i < job.segment_count; ++i) {
        key_tiles += tiles_of(job.segments[i].rows, T::kKeys);
    }
    return work_for<T>(job.heads, job.queries, key_tiles, job.device);
}

template <class T>
const char* launch_tiles(const HopperJob& job, Stream stream) {
    hopper::Launch launch;
    launch.work = work_of<T>(job);
    if (launch.work.shared * T::kGroups * T::kBlocks > kHopperCounts || (launch.work.shared > 0 && !job.places)) {
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
        if constexpr (T::kE4m3) {
            described = described && segment.rows > 0 && describe_columns(launch.v[i], segment, job.heads);
        } else {
            described = described && segment.rows > 0 &&
                        describe_rows<T>(launch.v[i], segment.values, job.heads, segment.rows, segment.value_row,
                                         T::kKeys / T::kBlocks);
        }
        keys += segment.rows;
        tile += tiles_of(segment.rows, T::kKeys);
    }
    described = described &&
                describe_rows<T>(launch.q, job.q, job.heads, job.queries, job.q_row > 0 ? job.q_row : dense,
                                 T::kBlockQueries) &&
                describe_rows<T>(launch.k, job.k, job.heads, keys, dense, T::kKeys / T::kBlocks);
    if (!described) {
        return "the driver refused to describe queries, keys or values (addresses and rows are multiples of 16 bytes)";
    }
    launch.segments = job.segment_count;
    launch.queries = job.queries;
    launch.query_tiles = tiles_of(job.queries, T::kQueries);
    launch.scale_log2 = static_cast<float>(job.scale * 1.4426950408889634);
    launch.factors = job.factors;
    launch.out = static_cast<__nv_bfloat16*>(job.out);
    launch.out_row = job.out_row > 0 ? job.out_row : dense;
    launch.branch_heads = job.branch_heads > 0 ? job.branch_heads : job.heads;
    launch.out_branch = job.out_branch;
    launch.matrices = job.matrices;
    launch.tokens_per_latent = job.tokens_per_latent;
    launch.lse = job.lse;
    launch.places = static_cast<float4*>(job.places);
    launch.counts = job.counts;
    const auto kernel = hopper::attend_tiles<T>;
    static std::atomic<unsigned> prepared{0}; // a bit for each device
    const unsigned bit = 1U << (job.device % 32);
    if (!(prepared.load() & bit)) {
        const cudaError_t error =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kSharedBytes);
        if (error != cudaSuccess) {
            return cudaGetErrorString(error);
        }
        prepared |= bit;
    }
    const cudaError_t error =
        launch_clusters(T::kBlocks, kernel, dim3(static_cast<unsigned>(launch.work.blocks * T::kBlocks)),
                        dim3(T::kThreads), T::kSharedBytes, stream, launch);
    return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
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
    return with_tile(job.factors != nullptr, job.queries, [&job]<class T>(T) {
        return static_cast<std::int64_t>(hopper::places(work_of<T>(job))) * T::kGroups * T::kBlocks *
               hopper::kPlaceVectors * hopper::kStatThreads * static_cast<std::int64_t>(sizeof(float4));
    });
}

int hopper_heads(int device, int heads, int branches, int most, int queries, std::int64_t keys, bool e4m3) {
    const auto cost = [&](int count) {
        return hopper::cost_of(with_tile(e4m3, queries, [&]<class T>(T) {
            return work_for<T>(count * branches, queries, tiles_of(static_cast<int>(keys), T::kKeys), device);
        }));
    };
    int best = 1;
    long long least = 0;
    for (int together = 1; together <= most && together <= heads; ++together) {
        const int rest = heads % together;
        const long long all = heads / together * cost(together) + (rest > 0 ? cost(rest) : 0);
        if (least == 0 || all <= least) {
            least = all;
            best = together;
        }
    }
    return best;
}

const char* hopper_attend(const HopperJob& job, Stream stream) {
    if (!describer()) {
        return "the driver cannot describe tensors to the copy engine";
    }
    const int most = job.factors ? 1 : kMaxSegments;
    if (job.heads < 1 || job.queries < 1 || job.segment_count < 1 || job.segment_count > most) {
        return "attention needs queries, keys and no more segments than kMaxSegments (E4M3: one)";
    }
    if (job.branch_heads > 0 && (2 * job.branch_heads != job.heads || !job.matrices)) {
        return "attention needs as many heads of the second branch as of the first, and its matrices";
    }
    return with_tile(job.factors != nullptr, job.queries, [&]<class T>(T) { return launch_tiles<T>(job, stream); });
}

} // namespace wander::quant::cuda
