#include "quant/cuda/expand.hpp"
#include "quant/cuda/rows.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kThreads = 256;

unsigned blocks_for(long long threads) { return static_cast<unsigned>((threads + kThreads - 1) / kThreads); }

// The part's log-sum-exp with what its keys stand for and what their noise added taken into account.
__device__ inline float corrected_lse(const MergeJob& job, const MergePart& part, int query, int head) {
    float lse = part.lse[head * part.lse_head_stride + query * part.lse_query_stride] + part.log_weight;
    if (part.noise) {
        const float* noise = part.noise + (job.first_head + head % job.head_count) * job.noise_groups;
        const long long row = static_cast<long long>(query) * job.branches * job.head_count + head;
        const float* energy = job.energy + row * job.noise_groups;
        float beta = 0.0F;
        for (int g = 0; g < job.noise_groups; ++g) {
            beta = fmaf(noise[g], energy[g], beta);
        }
        lse -= fminf(beta * job.half_square_scale, job.max_bias);
    }
    return lse;
}

template <class T>
__global__ void __launch_bounds__(kThreads) square_rows(EnergyJob job) {
    const int groups = job.head_dim / job.channels;
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    if (index >= job.rows * groups) {
        return;
    }
    const T* source = static_cast<const T*>(job.source) + index * job.channels;
    float sum = 0.0F;
    for (int c = 0; c < job.channels; c += 8) {
        const Eight value = load_eight(source + c);
        for (int i = 0; i < 8; ++i) {
            sum += value.x[i] * value.x[i];
        }
    }
    const float factor = job.descale ? *job.descale : 1.0F;
    job.out[index] = sum * factor * factor;
}

// One thread: eight channels of one (query, head).
template <class T, class Out>
__global__ void __launch_bounds__(kThreads) merge_parts(const __grid_constant__ MergeJob job) {
    const int groups = job.head_dim / 8;
    const int all_heads = job.branches * job.head_count;
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    const long long row = index / groups;
    if (row >= static_cast<long long>(job.queries) * all_heads) {
        return;
    }
    const int channel = static_cast<int>(index % groups) * 8;
    const int query = static_cast<int>(row / all_heads);
    const int head = static_cast<int>(row % all_heads);
    const long long lse_at = static_cast<long long>(head) * job.queries + query;
    float* total = job.total + row * job.head_dim + channel;

    float lse[kMaxMergeParts];
    float before = 0.0F;
    float peak = -INFINITY;
#pragma unroll
    for (int p = 0; p < kMaxMergeParts; ++p) {
        if (p < job.part_count) {
            lse[p] = corrected_lse(job, job.parts[p], query, head);
            peak = fmaxf(peak, lse[p]);
        }
    }
    if (job.with_total) {
        before = job.lse_of_total[lse_at];
        peak = fmaxf(peak, before);
    }
    Eight sum{};
    float weights = 0.0F;
    const float factor = job.part_descale ? *job.part_descale : 1.0F;
#pragma unroll
    for (int p = 0; p < kMaxMergeParts; ++p) {
        if (p < job.part_count) {
            const MergePart& part = job.parts[p];
            const Eight value = load_eight(static_cast<const T*>(part.values) + head * part.head_stride +
                                           query * part.query_stride + channel);
            const float weight = __expf(lse[p] - peak);
            weights += weight;
            for (int i = 0; i < 8; ++i) {
                sum.x[i] = fmaf(weight * factor, value.x[i], sum.x[i]);
            }
        }
    }
    if (job.with_total) {
        const Eight value = load_eight(total);
        const float weight = __expf(before - peak);
        weights += weight;
        for (int i = 0; i < 8; ++i) {
            sum.x[i] = fmaf(weight, value.x[i], sum.x[i]);
        }
    }
    const float inverse = 1.0F / weights;
    for (int i = 0; i < 8; ++i) {
        sum.x[i] *= inverse;
    }
    if (!job.result) {
        store_eight(total, sum);
        if (channel == 0) {
            job.new_lse[lse_at] = peak + logf(weights);
        }
        return;
    }
    const int branch = head / job.head_count;
    if (branch == 1) {
        float matrix[16];
        for (int i = 0; i < 16; ++i) {
            matrix[i] = job.matrices[query / job.tokens_per_latent * 16 + i];
        }
        sum = turn_eight(matrix, sum);
    }
    const long long target =
        (static_cast<long long>(query) * job.branches + branch) * job.heads + job.first_head + head % job.head_count;
    store_eight(static_cast<Out*>(job.result) + target * job.head_dim + channel, sum);
}

template <class T>
void launch_merge_parts(const MergeJob& job, Stream stream) {
    const long long rows = static_cast<long long>(job.queries) * job.branches * job.head_count;
    const unsigned blocks = blocks_for(rows * (job.head_dim / 8));
    if (job.result_element == Element::float32) {
        merge_parts<T, float><<<blocks, kThreads, 0, stream>>>(job);
    } else {
        merge_parts<T, __nv_bfloat16><<<blocks, kThreads, 0, stream>>>(job);
    }
}

} // namespace

void launch_merge(const MergeJob& job, Stream stream) {
    switch (job.element) {
        case Element::float32: launch_merge_parts<float>(job, stream); break;
        case Element::bfloat16: launch_merge_parts<__nv_bfloat16>(job, stream); break;
        case Element::e4m3: launch_merge_parts<__nv_fp8_e4m3>(job, stream); break;
    }
}

void launch_energy(const EnergyJob& job, Stream stream) {
    const unsigned blocks = blocks_for(job.rows * (job.head_dim / job.channels));
    switch (job.element) {
        case Element::float32: square_rows<float><<<blocks, kThreads, 0, stream>>>(job); break;
        case Element::bfloat16: square_rows<__nv_bfloat16><<<blocks, kThreads, 0, stream>>>(job); break;
        case Element::e4m3: square_rows<__nv_fp8_e4m3><<<blocks, kThreads, 0, stream>>>(job); break;
    }
}

} // namespace wander::quant::cuda
