// The scalar page encoder's kernels and launches. Twin: quant/scalar/page_kernels.inl, bit for bit.
#include "quant/cuda/scalar_encode.hpp"
#include "quant/cuda/scalar_rows.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSlices = 8; // threads that share the tokens of one group of eight channels
constexpr unsigned kAll = 0xffffffffU;

template <bool kBf16>
__device__ Eight source_eight(const ScalarEncodeBatch& batch, int token, int head, int channel) {
    const ScalarPageLayout& layout = batch.layout;
    const long long at = (static_cast<long long>(token) * layout.heads + head) * layout.head_dim + channel;
    const void* rows = batch.pages[blockIdx.z].rows;
    if constexpr (kBf16) {
        return load_eight(static_cast<const __nv_bfloat16*>(rows) + at);
    } else {
        return load_eight(static_cast<const float*>(rows) + at);
    }
}

// The largest of a warp goes to the head's reach. Both are positive, so their bits are ordered as they are.
__device__ void note_reach(const ScalarPageLayout& layout, int head, std::uint8_t* page, unsigned step,
                           unsigned minimum) {
    for (int apart = 16; apart > 0; apart /= 2) {
        step = max(step, __shfl_xor_sync(kAll, step, apart));
        minimum = max(minimum, __shfl_xor_sync(kAll, minimum, apart));
    }
    if (threadIdx.x % 32 == 0) {
        auto* reach = reinterpret_cast<unsigned*>(page + layout.reach_at) + 2 * head;
        atomicMax(reach, step);
        atomicMax(reach + 1, minimum);
    }
}

// Groups of channels. A row is `lanes` threads of a warp, a power of two; those beyond the head are idle. Whole warps
// stay to the end. Pass one of e4m3_pair formats (kReach) finds the head's reach, pass two packs.
template <ScalarCode kCode, bool kBf16, bool kReach>
__global__ void __launch_bounds__(kThreads) channel_kernel(ScalarEncodeBatch batch, int lanes) {
    const ScalarPageLayout& layout = batch.layout;
    const int index = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
    const int token = index / lanes;
    const int channel = index % lanes * 8;
    const int head = static_cast<int>(blockIdx.y);
    const bool active = token < layout.tokens && channel < layout.head_dim;
    std::uint8_t* page = batch.pages[blockIdx.z].page;

    Eight value = {};
    if (active) {
        value = source_eight<kBf16>(batch, token, head, channel);
    }
    if (layout.rule.rotated) {
        rotate_eight(value, lanes, kAll);
    }
    float low = INFINITY;
    float high = -INFINITY;
    if (active) {
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            low = fminf(low, value.x[c]);
            high = fmaxf(high, value.x[c]);
        }
    }
    const int group_lanes = layout.groups == 1 ? lanes : layout.group / 8;
    for (int apart = 1; apart < group_lanes; apart *= 2) {
        low = fminf(low, __shfl_xor_sync(kAll, low, apart));
        high = fmaxf(high, __shfl_xor_sync(kAll, high, apart));
    }
    const float top = scalar::top_code(kCode, layout.rule.parameters);
    if constexpr (kReach) {
        note_reach(layout, head, page, active ? scalar::float_bits(scalar::step_reach(low, high, top)) : 0U,
                   active ? scalar::float_bits(scalar::minimum_reach(low)) : 0U);
        return;
    }
    if (index == 0 && head == 0) {
        *reinterpret_cast<scalar::ScalarPageHeader*>(page) = batch.header;
    }
    if (!active) {
        return;
    }
    const GroupGrid grid = grid_of(layout, head_units(layout, head, page), low, high);
    if (channel % layout.group == 0) {
        put_grid(grid, layout, layout.entry(0, head, token, channel), page);
    }
    unsigned codes[8];
#pragma unroll
    for (int c = 0; c < 8; ++c) {
        codes[c] = nearest_code<kCode>(value.x[c], grid.base, grid.reciprocal, top);
    }
    store_codes<kCode>(page + layout.code_row(0, head, token) + channel * scalar::code_bits(kCode) / 8, codes);
}

// Groups of tokens: a block is one group of one head, threads (eight channels, slice of the tokens).
template <ScalarCode kCode, bool kBf16, bool kReach>
__global__ void __launch_bounds__(kThreads) token_kernel(ScalarEncodeBatch batch) {
    __shared__ float lows[kSlices][scalar::kScalarMaxHeadDim];
    __shared__ float highs[kSlices][scalar::kScalarMaxHeadDim];
    const ScalarPageLayout& layout = batch.layout;
    const int group = static_cast<int>(blockIdx.x);
    const int head = static_cast<int>(blockIdx.y);
    const int channel = static_cast<int>(threadIdx.x) * 8;
    const int slice = static_cast<int>(threadIdx.y);
    const int begin = group * layout.group;
    const int end = layout.group_end(group);
    std::uint8_t* page = batch.pages[blockIdx.z].page;
    const float top = scalar::top_code(kCode, layout.rule.parameters);
    if (!kReach && group == 0 && head == 0 && threadIdx.x == 0 && slice == 0) {
        *reinterpret_cast<scalar::ScalarPageHeader*>(page) = batch.header;
    }
    const HeadUnits units = kReach ? HeadUnits{} : head_units(layout, head, page);

    GroupGrid grids[8]; // of the stage before, then of this one
    const auto left = [&](int token, int stage) {
        Eight value = source_eight<kBf16>(batch, token, head, channel);
        if (stage > 0) {
#pragma unroll
            for (int c = 0; c < 8; ++c) {
                const auto code =
                    static_cast<float>(nearest_code<kCode>(value.x[c], grids[c].base, grids[c].reciprocal, top));
                value.x[c] = __fsub_rn(value.x[c], __fadd_rn(__fmul_rn(code, grids[c].step), grids[c].base));
            }
        }
        return value;
    };
    for (int stage = 0; stage < layout.rule.stages; ++stage) {
        Eight low;
        Eight high;
        for (int c = 0; c < 8; ++c) {
            low.x[c] = INFINITY;
            high.x[c] = -INFINITY;
        }
        for (int t = begin + slice; t < end; t += kSlices) {
            const Eight value = left(t, stage);
#pragma unroll
            for (int c = 0; c < 8; ++c) {
                low.x[c] = fminf(low.x[c], value.x[c]);
                high.x[c] = fmaxf(high.x[c], value.x[c]);
            }
        }
        __syncthreads(); // the stage before has read
        for (int c = 0; c < 8; ++c) {
            lows[slice][channel + c] = low.x[c];
            highs[slice][channel + c] = high.x[c];
        }
        __syncthreads();
        for (int s = 0; s < kSlices; ++s) {
            for (int c = 0; c < 8; ++c) {
                low.x[c] = fminf(low.x[c], lows[s][channel + c]);
                high.x[c] = fmaxf(high.x[c], highs[s][channel + c]);
            }
        }
        if constexpr (kReach) {
            if (slice == 0) {
                unsigned step = 0;
                unsigned minimum = 0;
                for (int c = 0; c < 8; ++c) {
                    step = max(step, scalar::float_bits(scalar::step_reach(low.x[c], high.x[c], top)));
                    minimum = max(minimum, scalar::float_bits(scalar::minimum_reach(low.x[c])));
                }
                auto* reach = reinterpret_cast<unsigned*>(page + layout.reach_at) + 2 * head;
                atomicMax(reach, step);
                atomicMax(reach + 1, minimum);
            }
            return;
        }
        GroupGrid next[8];
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            next[c] = grid_of(layout, units, low.x[c], high.x[c]);
            if (slice == 0) {
                put_grid(next[c], layout, layout.entry(stage, head, begin, channel + c), page);
            }
        }
        for (int t = begin + slice; t < end; t += kSlices) {
            const Eight value = left(t, stage);
            unsigned codes[8];
#pragma unroll
            for (int c = 0; c < 8; ++c) {
                codes[c] = nearest_code<kCode>(value.x[c], next[c].base, next[c].reciprocal, top);
            }
            store_codes<kCode>(page + layout.code_row(stage, head, t) + channel * scalar::code_bits(kCode) / 8, codes);
        }
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            grids[c] = next[c];
        }
    }
}

template <ScalarCode kCode, bool kBf16>
void queue_kernels(const ScalarEncodeBatch& batch, cudaStream_t stream) {
    const ScalarPageLayout& layout = batch.layout;
    const auto heads = static_cast<unsigned>(layout.heads);
    const auto pages = static_cast<unsigned>(batch.count);
    if (layout.rule.axis == GroupAxis::channel) {
        int lanes = 1;
        while (lanes * 8 < layout.head_dim) {
            lanes *= 2;
        }
        const long long threads = static_cast<long long>(layout.tokens) * lanes;
        const dim3 grid(static_cast<unsigned>((threads + kThreads - 1) / kThreads), heads, pages);
        if (layout.pair()) {
            channel_kernel<kCode, kBf16, true><<<grid, kThreads, 0, stream>>>(batch, lanes);
        }
        channel_kernel<kCode, kBf16, false><<<grid, kThreads, 0, stream>>>(batch, lanes);
        return;
    }
    if constexpr (scalar::code_bits(kCode) < 8) {
        const dim3 grid(static_cast<unsigned>(layout.groups), heads, pages);
        const dim3 block(static_cast<unsigned>(layout.head_dim / 8), kSlices);
        if (layout.pair()) {
            token_kernel<kCode, kBf16, true><<<grid, block, 0, stream>>>(batch);
        }
        token_kernel<kCode, kBf16, false><<<grid, block, 0, stream>>>(batch);
    }
}

template <ScalarCode kCode>
void queue_code(const ScalarEncodeBatch& batch, cudaStream_t stream) {
    if (batch.bf16) {
        queue_kernels<kCode, true>(batch, stream);
    } else {
        queue_kernels<kCode, false>(batch, stream);
    }
}

} // namespace

cudaError_t encode_scalar_pages(const ScalarEncodeBatch& batch, cudaStream_t stream) {
    const ScalarPageLayout& layout = batch.layout;
    if (batch.count < 1 || batch.count > kMaxScalarPages || layout.head_dim > scalar::kScalarMaxHeadDim ||
        layout.head_dim % scalar::kScalarChannels != 0) {
        return cudaErrorInvalidValue;
    }
    if (layout.rule.axis == GroupAxis::token && scalar::code_bits(layout.rule.code) == 8) {
        return cudaErrorInvalidValue; // no format has such pages
    }
    for (int i = 0; i < batch.count; ++i) {
        const cudaError_t cleared =
            cudaMemsetAsync(batch.pages[i].page, 0, static_cast<std::size_t>(layout.total_bytes), stream);
        if (cleared != cudaSuccess) {
            return cleared;
        }
    }
    switch (layout.rule.code) {
        case ScalarCode::two_bit: queue_code<ScalarCode::two_bit>(batch, stream); break;
        case ScalarCode::four_bit: queue_code<ScalarCode::four_bit>(batch, stream); break;
        case ScalarCode::eight_bit: queue_code<ScalarCode::eight_bit>(batch, stream); break;
        case ScalarCode::e4m3: queue_code<ScalarCode::e4m3>(batch, stream); break;
    }
    return cudaGetLastError();
}

} // namespace wander::quant::cuda
