#pragma once
// The basis of a page on the device. Plain twin: qvg/page_basis.cpp, bit for bit. Source rows are what the mean left.

#include "quant/cuda/qvg_work.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kRank = qvg::kBasisRank;
static_assert(kRank == 4, "weights of a token are read as one float4");

// Threads: channels, whole warps; rows in shared memory, this thread's channel of each in `row`. As orthonormalise() of
// the twin: sums over channels run in channel order, one thread each.
__device__ void orthonormalise(float (&row)[kRank], int dim) {
    __shared__ float rows[kRank][kQvgMaxHeadDim];
    __shared__ float shares[kRank];
    __shared__ float inverse;
    const int channel = static_cast<int>(threadIdx.x);
    const bool held = channel < dim;
    for (int k = 0; k < kRank; ++k) {
        for (int j = 0; j < k; ++j) {
            __syncthreads();
            if (held) {
                rows[k][channel] = row[k];
            }
            __syncthreads();
            if (channel == 0) {
                float sum = 0;
                for (int c = 0; c < dim; ++c) {
                    sum = __fadd_rn(sum, __fmul_rn(rows[k][c], rows[j][c]));
                }
                shares[j] = sum;
            }
            __syncthreads();
            if (held) {
                row[k] = __fsub_rn(row[k], __fmul_rn(shares[j], rows[j][channel]));
            }
        }
        __syncthreads();
        if (held) {
            rows[k][channel] = row[k];
        }
        __syncthreads();
        if (channel == 0) {
            float square = 0;
            for (int c = 0; c < dim; ++c) {
                square = __fadd_rn(square, __fmul_rn(rows[k][c], rows[k][c]));
            }
            inverse = square > 0 ? __fdiv_rn(1.0F, __fsqrt_rn(square)) : 0.0F;
        }
        __syncthreads();
        if (held) {
            row[k] = __fmul_rn(row[k], inverse);
            rows[k][channel] = row[k];
        }
    }
}

template <bool kBf16>
__device__ void put_basis(const Work<kBf16>& work, const float (&row)[kRank]) {
    const int dim = work.layout().head_dim;
    if (static_cast<int>(threadIdx.x) < dim) {
        for (int k = 0; k < kRank; ++k) {
            work.basis()[k * dim + static_cast<int>(threadIdx.x)] = row[k];
        }
    }
}

// Threads: channels.
template <bool kBf16>
__global__ void start_basis_kernel(Work<kBf16> work) {
    float row[kRank];
    for (int k = 0; k < kRank; ++k) {
        row[k] = qvg::start_sign(k, static_cast<int>(threadIdx.x));
    }
    orthonormalise(row, work.layout().head_dim);
    put_basis(work, row);
}

// Weights of every token along the basis. Threads: tokens. Shared: the basis.
template <bool kBf16>
__global__ void project_kernel(Work<kBf16> work) {
    __shared__ float basis[kRank * kQvgMaxHeadDim];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    for (int i = static_cast<int>(threadIdx.x); i < kRank * dim; i += static_cast<int>(blockDim.x)) {
        basis[i] = work.basis()[i];
    }
    __syncthreads();
    const int token = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (token >= layout.tokens) {
        return;
    }
    float sum[kRank] = {};
    for (int c = 0; c < dim; c += 4) {
        const float4 x = source4(work, token, c);
        const float values[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
            for (int k = 0; k < kRank; ++k) {
                sum[k] = __fadd_rn(sum[k], __fmul_rn(values[i], basis[k * dim + c + i]));
            }
        }
    }
    work.basis_weights()[token] = {sum[0], sum[1], sum[2], sum[3]};
}

// Block blockIdx.x adds the tokens of one part, in order. Threads: channels.
template <bool kBf16>
__global__ void weigh_kernel(Work<kBf16> work) {
    const QvgPageLayout& layout = work.layout();
    const int channel = static_cast<int>(threadIdx.x);
    if (channel >= layout.head_dim) {
        return;
    }
    float sum[kRank] = {};
    for (int t = static_cast<int>(blockIdx.x); t < layout.tokens; t += qvg::kMeanParts) {
        const float x = source(work, t, channel);
        const float4 w = work.basis_weights()[t];
        sum[0] = __fadd_rn(sum[0], __fmul_rn(x, w.x));
        sum[1] = __fadd_rn(sum[1], __fmul_rn(x, w.y));
        sum[2] = __fadd_rn(sum[2], __fmul_rn(x, w.z));
        sum[3] = __fadd_rn(sum[3], __fmul_rn(x, w.w));
    }
    for (int k = 0; k < kRank; ++k) {
        work.basis_sums()[(static_cast<int>(blockIdx.x) * kRank + k) * layout.head_dim + channel] = sum[k];
    }
}

// Threads: channels.
template <bool kBf16>
__global__ void turn_basis_kernel(Work<kBf16> work) {
    const int dim = work.layout().head_dim;
    const int channel = static_cast<int>(threadIdx.x);
    float row[kRank] = {};
    for (int k = 0; k < kRank && channel < dim; ++k) {
        row[k] = work.basis_sums()[k * dim + channel];
        for (int p = 1; p < qvg::kMeanParts; ++p) {
            row[k] = __fadd_rn(row[k], work.basis_sums()[(p * kRank + k) * dim + channel]);
        }
    }
    orthonormalise(row, dim);
    put_basis(work, row);
}

// The basis to the page, and rounded as it is there. Threads: any number, one block a head.
template <bool kBf16>
__global__ void round_basis_kernel(Work<kBf16> work) {
    const QvgPageLayout& layout = work.layout();
    auto* stored = reinterpret_cast<std::uint16_t*>(work.batch.pages[blockIdx.z].page +
                                                    layout.basis_row(static_cast<int>(blockIdx.y), 0));
    for (int i = static_cast<int>(threadIdx.x); i < kRank * layout.head_dim; i += static_cast<int>(blockDim.x)) {
        const std::uint16_t bits = to_bf16(work.basis()[i]);
        stored[i] = bits;
        work.basis()[i] = bf16_low(bits);
    }
}

// Spans and bytes of the weights. One block of kPackThreads a head. The largest magnitude is the same in any order.
template <bool kBf16>
__global__ void weights_kernel(Work<kBf16> work) {
    __shared__ float most[kRank][128];
    const QvgPageLayout& layout = work.layout();
    const int head = static_cast<int>(blockIdx.y);
    const int thread = static_cast<int>(threadIdx.x);
    float largest[kRank] = {};
    for (int t = thread; t < layout.tokens; t += 128) {
        const float4 w = work.basis_weights()[t];
        largest[0] = fmaxf(largest[0], fabsf(w.x));
        largest[1] = fmaxf(largest[1], fabsf(w.y));
        largest[2] = fmaxf(largest[2], fabsf(w.z));
        largest[3] = fmaxf(largest[3], fabsf(w.w));
    }
    for (int k = 0; k < kRank; ++k) {
        most[k][thread] = largest[k];
    }
    for (int step = 64; step > 0; step /= 2) {
        __syncthreads();
        for (int k = 0; k < kRank && thread < step; ++k) {
            most[k][thread] = fmaxf(most[k][thread], most[k][thread + step]);
        }
    }
    __syncthreads();
    std::uint8_t* page = work.batch.pages[blockIdx.z].page;
    float inverse[kRank];
    for (int k = 0; k < kRank; ++k) {
        inverse[k] = most[k][0] > 0 ? __fdiv_rn(127.0F, most[k][0]) : 0.0F;
        if (thread == 0) {
            reinterpret_cast<float*>(page + layout.span_row(head))[k] = __fdiv_rn(most[k][0], 127.0F);
        }
    }
    for (int t = thread; t < layout.tokens; t += 128) {
        const float4 w = work.basis_weights()[t];
        const float values[kRank] = {w.x, w.y, w.z, w.w};
        auto* bytes = reinterpret_cast<std::int8_t*>(page + layout.weight_row(head, t));
        for (int k = 0; k < kRank; ++k) {
            const float code = fminf(fmaxf(roundf(__fmul_rn(values[k], inverse[k])), -127.0F), 127.0F);
            bytes[k] = static_cast<std::int8_t>(static_cast<int>(code));
        }
    }
}

} // namespace
} // namespace wander::quant::cuda
