#include "quant/cuda/expand.hpp"
#include "quant/cuda/rows.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kThreads = 256;

unsigned blocks_for(long long threads) { return static_cast<unsigned>((threads + kThreads - 1) / kThreads); }

// The part's log-sum-exp with what its keys stand for and what their noise added taken into account.
__device__ inline float corrected_lse(const MergeJob& job, int query, int head) {
    float lse = job.part_lse[head * job.lse_head_stride + query * job.lse_query_stride] + job.log_weight;
    if (job.noise) {
        const float* noise = job.noise + (job.first_head + head % job.branch_heads) * job.noise_groups;
        const float* energy = job.energy + (static_cast<long long>(query) * job.heads + head) * job.noise_groups;
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

// One thread: eight channels of one (query, head). Where the threads of a row share a warp (kFused) they also bring its
// log-sum-exp up to date; otherwise merge_lse does, since the old one is read by several warps.
template <class T, bool kFused>
__global__ void __launch_bounds__(kThreads) merge_rows(MergeJob job) {
    const int groups = job.head_dim / 8;
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    const long long row = index / groups;
    if (row >= static_cast<long long>(job.queries) * job.heads) {
        return;
    }
    const int channel = static_cast<int>(index % groups) * 8;
    const int query = static_cast<int>(row / job.heads);
    const int head = static_cast<int>(row % job.heads);
    const float part_lse = corrected_lse(job, query, head);
    Eight part = load_eight(static_cast<const T*>(job.part) + head * job.part_head_stride +
                            query * job.part_query_stride + channel);
    if (job.part_descale) {
        const float factor = *job.part_descale;
        for (int i = 0; i < 8; ++i) {
            part.x[i] *= factor;
        }
    }
    float* total = job.total + row * job.head_dim + channel;
    float* lse = job.total_lse + static_cast<long long>(head) * job.queries + query;
    if (job.first) {
        store_eight(total, part);
        if (kFused && channel == 0) {
            *lse = part_lse;
        }
        return;
    }
    const float total_lse = *lse;
    const float peak = fmaxf(total_lse, part_lse);
    const float total_weight = __expf(total_lse - peak);
    const float part_weight = __expf(part_lse - peak);
    const float weight = total_weight + part_weight;
    const float scale = 1.0F / weight;
    Eight sum = load_eight(total);
    for (int i = 0; i < 8; ++i) {
        sum.x[i] = (sum.x[i] * total_weight + part.x[i] * part_weight) * scale;
    }
    store_eight(total, sum);
    if (kFused) {
        __syncwarp(__activemask()); // every lane of the row has read the old value
        if (channel == 0) {
            *lse = peak + logf(weight);
        }
    }
}

// Apart from merge_rows, which reads the old value in several threads.
__global__ void __launch_bounds__(kThreads) merge_lse(MergeJob job) {
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    if (index >= static_cast<long long>(job.queries) * job.heads) {
        return;
    }
    const long long head = index / job.queries;
    const long long query = index % job.queries;
    const float part = corrected_lse(job, static_cast<int>(query), static_cast<int>(head));
    if (job.first) {
        job.total_lse[index] = part;
        return;
    }
    const float total = job.total_lse[index];
    const float peak = fmaxf(total, part);
    job.total_lse[index] = peak + logf(expf(total - peak) + expf(part - peak));
}

template <class T>
void launch_merge_rows(const MergeJob& job, Stream stream) {
    const long long rows = static_cast<long long>(job.queries) * job.heads;
    const unsigned blocks = blocks_for(rows * (job.head_dim / 8));
    if (32 % (job.head_dim / 8) == 0) {
        merge_rows<T, true><<<blocks, kThreads, 0, stream>>>(job);
    } else {
        merge_rows<T, false><<<blocks, kThreads, 0, stream>>>(job);
        merge_lse<<<blocks_for(rows), kThreads, 0, stream>>>(job);
    }
}

template <class T>
__global__ void __launch_bounds__(kThreads) finish_rows(FinishJob job) {
    const int groups = job.head_dim / 8;
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    const long long row = index / groups; // (branch, query, head)
    if (row >= static_cast<long long>(job.branches) * job.queries * job.head_count) {
        return;
    }
    const int channel = static_cast<int>(index % groups) * 8;
    const int head = static_cast<int>(row % job.head_count);
    const int query = static_cast<int>(row / job.head_count % job.queries);
    const int branch = static_cast<int>(row / job.head_count / job.queries);
    const long long source = (static_cast<long long>(query) * job.branches + branch) * job.head_count + head;
    const long long target = (static_cast<long long>(branch) * job.queries + query) * job.heads + job.first_head + head;
    Eight value = load_eight(job.total + source * job.head_dim + channel);
    if (branch == 1) {
        float matrix[16];
        for (int i = 0; i < 16; ++i) {
            matrix[i] = job.matrices[query / job.tokens_per_latent * 16 + i];
        }
        value = turn_eight(matrix, value);
    }
    store_eight(static_cast<T*>(job.result) + target * job.head_dim + channel, value);
}

} // namespace

void launch_merge(const MergeJob& job, Stream stream) {
    switch (job.element) {
        case Element::float32: launch_merge_rows<float>(job, stream); break;
        case Element::bfloat16: launch_merge_rows<__nv_bfloat16>(job, stream); break;
        case Element::e4m3: launch_merge_rows<__nv_fp8_e4m3>(job, stream); break;
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

void launch_finish(const FinishJob& job, Stream stream) {
    const unsigned blocks =
        blocks_for(static_cast<long long>(job.branches) * job.queries * job.head_count * (job.head_dim / 8));
    if (job.element == Element::float32) {
        finish_rows<float><<<blocks, kThreads, 0, stream>>>(job);
    } else {
        finish_rows<__nv_bfloat16><<<blocks, kThreads, 0, stream>>>(job);
    }
}

} // namespace wander::quant::cuda
