#pragma once
// Launchers of the kernels that read pages on an NVIDIA GPU: decode, rotate, and merge partial attention results.
//
// Raw device pointers, the caller's stream, no synchronisation, no allocation. head_dim is a multiple of 8.
// Plain twin: quant/cpu/tiles_portable.inl (tests/unit/quant/gpu/attend_cuda_test.cpp, fp32 1e-5, bf16 2e-2).

#include <cstdint>

struct CUstream_st;

namespace wander::quant::cuda {

using Stream = CUstream_st*;

enum class Element { float32, bfloat16, e4m3 };

// Device tables of one chunk; latents are counted visible history first, then the new chunk.
struct DeviceTables {
    const float* time = nullptr;  // [latents][head_dim / 2][2] cosine, sine; pairs from time_pairs on unused
    const float* space = nullptr; // [tokens_per_latent][head_dim / 2][2]; pairs below time_pairs unused
    int time_pairs = 0;
    int tokens_per_latent = 1;
};

// Consecutive rows of one page, or of plain memory [tokens][heads][head_dim].
struct ExpandRun {
    const void* source = nullptr;
    int first_row = 0;   // stored row in the page
    int first_token = 0; // the token of the page whose place that row has; the rows after it have the places after it
    int rows = 0;
    int table_latent = 0; // row of the tables for the page's first latent
    int out_row = 0;      // where its rows begin in out
};

inline constexpr int kMaxRuns = 32;

// Reads runs of pages that agree in everything but their bytes and writes them, turned, to
// out[out_row + row][branch][head_count][head_dim].
struct ExpandJob {
    ExpandRun runs[kMaxRuns];
    int run_count = 0;
    Element source_element = Element::float32; // of plain memory; packed pages know theirs
    int heads = 0;                             // of the source
    int head_dim = 0;
    int first_head = 0; // heads [first_head, first_head + head_count) are read
    int head_count = 0;
    const DeviceTables* tables = nullptr; // null: nothing turns
    bool rotary = false;                  // first branch: RoPE (keys, queries) or unchanged (values)
    const float* matrices = nullptr;      // [latents][16], same rows as the tables; null: one branch only
    Element element = Element::float32;   // of out
    const float* inverse_scale = nullptr; // device scalar that values are multiplied by, e4m3 only; null: 1
    void* out = nullptr;
};

// Plain memory, any source type but e4m3. False when no kernel exists for these types.
bool expand_plain(const ExpandJob& job, Stream stream);

// The factors of three tensors for E4M3: what values are multiplied by when they are stored, and its inverse. The
// largest magnitude of each maps to 448, or to 224 for keys and values, since older ones than those measured may be
// larger.
struct ScaleJob {
    const void* tensors[3] = {}; // queries, keys, values: `count` values each
    std::int64_t count = 0;
    Element element = Element::bfloat16;
    float* inverse_scale = nullptr; // [3]
    float* descale = nullptr;       // [3]
};

void launch_scales(const ScaleJob& job, Stream stream);

// total <- softmax-weighted union of total and part, both with their natural log-sum-exp. Rows are (query, head).
struct MergeJob {
    int queries = 0;
    int heads = 0; // of all branches
    int head_dim = 0;
    bool first = false; // nothing merged yet: copy
    Element element = Element::float32;
    const void* part = nullptr;          // element at [head * part_head_stride + query * part_query_stride + channel]
    const float* part_descale = nullptr; // device scalar that an e4m3 part is multiplied by
    std::int64_t part_head_stride = 0;
    std::int64_t part_query_stride = 0;
    const float* part_lse = nullptr;
    std::int64_t lse_head_stride = 0;
    std::int64_t lse_query_stride = 1;
    float log_weight = 0;          // added to part_lse
    const float* noise = nullptr;  // [heads of the model][noise_groups], of the part's keys; null: no correction
    const float* energy = nullptr; // [queries][heads][noise_groups], |q|^2
    int first_head = 0;            // of this part among the heads of the model
    int branch_heads = 1;          // heads of one branch here
    int noise_groups = 0;
    float half_square_scale = 0; // s^2 / 2
    float max_bias = 0;
    float* total = nullptr;     // [queries][heads][head_dim]
    float* total_lse = nullptr; // [heads][queries]
};

// out[row][group] = sum of the squares of `channels` channels; rows of head_dim. The twin is in attention_cpu.cpp.
struct EnergyJob {
    std::int64_t rows = 0;
    int head_dim = 0;
    int channels = 16;
    Element element = Element::float32;
    const void* source = nullptr;
    const float* descale = nullptr; // device scalar that stored values are multiplied by; null: 1
    float* out = nullptr;
};

void launch_energy(const EnergyJob& job, Stream stream);

void launch_merge(const MergeJob& job, Stream stream);

// total [queries][branches][head_count][head_dim] -> heads [first_head, first_head + head_count) of
// result [branches][queries][heads][head_dim] in `element`; the second branch is turned by
// matrices[query / tokens_per_latent].
struct FinishJob {
    int queries = 0;
    int branches = 1;
    int heads = 0;
    int first_head = 0;
    int head_count = 0;
    int head_dim = 0;
    int tokens_per_latent = 1;
    Element element = Element::float32;
    const float* total = nullptr;
    const float* matrices = nullptr;
    void* result = nullptr;
};

void launch_finish(const FinishJob& job, Stream stream);

} // namespace wander::quant::cuda
