#pragma once
// Launchers of the kernels that read pages on an NVIDIA GPU: decode, rotate, and merge partial attention results.
//
// Raw device pointers, the caller's stream, no synchronisation, no allocation. head_dim is a multiple of 8.
// Plain twin: quant/cpu/tiles_portable.inl (tests/unit/quant/gpu/attend_cuda_test.cpp, fp32 1e-5, bf16 2e-2).

#include <cstdint>

struct CUstream_st;

namespace wander::quant::cuda {

using Stream = CUstream_st*;

enum class Element { float32, bfloat16 };

// Device tables of one chunk; latents are counted visible history first, then the new chunk.
struct DeviceTables {
    const float* time = nullptr;  // [latents][head_dim / 2][2] cosine, sine; pairs from time_pairs on unused
    const float* space = nullptr; // [tokens_per_latent][head_dim / 2][2]; pairs below time_pairs unused
    int time_pairs = 0;
    int tokens_per_latent = 1;
};

// Reads `tokens` rows of one page or of plain memory and writes them, turned, to out[token][branch][head][head_dim].
struct ExpandJob {
    const void* source = nullptr; // page, or [tokens][heads][head_dim] in `element`
    int decoder = 0;              // PageDecoder of the format; 0: raw
    int page_tokens = 0;          // of the whole page; packed pages only
    int centroids = 0;            // as in EncodeOptions; packed pages only
    int heads = 0;
    int head_dim = 0;
    Element element = Element::float32;
    int first_token = 0; // in the page
    int tokens = 0;
    const DeviceTables* tables = nullptr; // null: nothing turns
    int table_latent = 0;                 // row of the tables for the page's first latent
    bool rotary = false;                  // first branch: RoPE (keys, queries) or unchanged (values)
    const float* matrices = nullptr;      // [latents][16], same rows as the tables; null: one branch only
    void* out = nullptr;
};

// False when no kernel exists for this decoder.
bool launch_expand(const ExpandJob& job, Stream stream);

// total <- softmax-weighted union of total and part, both with their natural log-sum-exp. Rows are (query, head).
struct MergeJob {
    int queries = 0;
    int heads = 0; // of all branches
    int head_dim = 0;
    bool first = false; // nothing merged yet: copy
    Element element = Element::float32;
    const void* part = nullptr; // element at [head * part_head_stride + query * part_query_stride + channel]
    std::int64_t part_head_stride = 0;
    std::int64_t part_query_stride = 0;
    const float* part_lse = nullptr;
    std::int64_t lse_head_stride = 0;
    std::int64_t lse_query_stride = 1;
    float* total = nullptr;     // [queries][heads][head_dim]
    float* total_lse = nullptr; // [heads][queries]
};

void launch_merge(const MergeJob& job, Stream stream);

// total [queries][branches][heads][head_dim] -> result [branches][queries][heads][head_dim] in `element`; the second
// branch is turned by matrices[query / tokens_per_latent].
struct FinishJob {
    int queries = 0;
    int branches = 1;
    int heads = 0;
    int head_dim = 0;
    int tokens_per_latent = 1;
    Element element = Element::float32;
    const float* total = nullptr;
    const float* matrices = nullptr;
    void* result = nullptr;
};

void launch_finish(const FinishJob& job, Stream stream);

} // namespace wander::quant::cuda
