#include "quant/cuda/expand.hpp"
#include "quant/cuda/page_decode.cuh"
#include "quant/cuda/rows.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
struct PlainRows {
    const T* rows;
    int heads;
    int head_dim;
    __device__ Eight load(int token, int head, int channel) const {
        return load_eight(rows + (static_cast<long long>(token) * heads + head) * head_dim + channel);
    }
};

struct PackedRows {
    const std::uint8_t* page;
    QvgPageLayout layout;
    float middle; // code that stands for zero
    __device__ Eight load(int token, int head, int channel) const {
        Eight value;
        decode_packed<8>(page, layout, middle, token, head, channel, value.x);
        return value;
    }
};

struct ExpandArgs {
    int heads;
    int head_dim;
    int first_token;
    int tokens;
    DeviceTables tables;
    int table_latent;
    bool rotary;
    const float* matrices;
};

// One thread: eight channels of one token, all heads, so that its part of the tables is read once.
template <class T, class Source>
__global__ void __launch_bounds__(kThreads) expand_rows(Source source, ExpandArgs args, T* out) {
    const int groups = args.head_dim / 8;
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    const int row = static_cast<int>(index / groups);
    if (row >= args.tokens) {
        return;
    }
    const int channel = static_cast<int>(index % groups) * 8;
    const int token = args.first_token + row;
    const int latent = args.table_latent + token / args.tables.tokens_per_latent;

    float2 turn[4];
    if (args.rotary) {
        const int within = token % args.tables.tokens_per_latent;
        const int pairs = args.head_dim / 2;
        const auto* time = reinterpret_cast<const float2*>(args.tables.time) + static_cast<long long>(latent) * pairs;
        const auto* space = reinterpret_cast<const float2*>(args.tables.space) + static_cast<long long>(within) * pairs;
        for (int i = 0; i < 4; ++i) {
            const int pair = channel / 2 + i;
            turn[i] = pair < args.tables.time_pairs ? time[pair] : space[pair];
        }
    }
    float matrix[16];
    if (args.matrices) {
        for (int i = 0; i < 16; ++i) {
            matrix[i] = args.matrices[static_cast<long long>(latent) * 16 + i];
        }
    }

    const int branches = args.matrices ? 2 : 1;
    T* target = out + static_cast<long long>(row) * branches * args.heads * args.head_dim + channel;
    for (int head = 0; head < args.heads; ++head, target += args.head_dim) {
        const Eight value = source.load(token, head, channel);
        if (args.rotary) {
            Eight turned;
            for (int i = 0; i < 4; ++i) {
                turned.x[2 * i] = value.x[2 * i] * turn[i].x - value.x[2 * i + 1] * turn[i].y;
                turned.x[2 * i + 1] = value.x[2 * i + 1] * turn[i].x + value.x[2 * i] * turn[i].y;
            }
            store_eight(target, turned);
        } else {
            store_eight(target, value);
        }
        if (args.matrices) {
            store_eight(target + static_cast<long long>(args.heads) * args.head_dim, turn_eight(matrix, value));
        }
    }
}

template <class T, class Source>
void launch_source(const Source& source, const ExpandJob& job, Stream stream) {
    ExpandArgs args{
        job.heads,        job.head_dim, job.first_token, job.tokens, job.tables ? *job.tables : DeviceTables{},
        job.table_latent, job.rotary,   job.matrices};
    const long long threads = static_cast<long long>(job.tokens) * (job.head_dim / 8);
    expand_rows<T, Source><<<static_cast<unsigned>((threads + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
        source, args, static_cast<T*>(job.out));
}

template <class T>
bool launch_element(const ExpandJob& job, Stream stream) {
    if (job.tokens == 0) {
        return true;
    }
    const int centroids = job.centroids > 0 ? job.centroids : qvg_default_centroids(job.page_tokens);
    PackedRows packed{static_cast<const std::uint8_t*>(job.source), {}, 0.0F};
    switch (static_cast<PageDecoder>(job.decoder)) {
        case PageDecoder::raw:
            launch_source<T>(PlainRows<T>{static_cast<const T*>(job.source), job.heads, job.head_dim}, job, stream);
            return true;
        case PageDecoder::four_level:
        case PageDecoder::ternary:
            packed.layout = qvg_page_layout(job.page_tokens, job.heads, job.head_dim, centroids);
            packed.middle = static_cast<PageDecoder>(job.decoder) == PageDecoder::four_level ? 1.5F : 1.0F;
            launch_source<T>(packed, job, stream);
            return true;
    }
    return false;
}

} // namespace

bool launch_expand(const ExpandJob& job, Stream stream) {
    return job.element == Element::float32 ? launch_element<float>(job, stream)
                                           : launch_element<__nv_bfloat16>(job, stream);
}

} // namespace wander::quant::cuda
