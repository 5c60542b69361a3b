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
    int table_latent = 0;        // row of the tables for the page's first latent
    int out_row = 0;             // where its rows begin in out
    std::int64_t source_row = 0; // plain memory: values between rows; 0: ExpandJob::source_row
    bool plain = false;          // among packed pages, where their format takes such runs: plain memory
};

inline constexpr int kMaxRuns = 64;

// Reads runs of pages that agree in everything but their bytes and writes them, turned, to
// out[out_row + row][branch][head_count][head_dim]. Plain memory of one branch and type may be turned in place.
//
// One job may read keys and values: the last `value_runs` runs are values then, which RoPE does not turn, and go to
// out_of_values in the same way.
struct ExpandJob {
    ExpandRun runs[kMaxRuns];
    int run_count = 0;
    int value_runs = 0;
    Element source_element = Element::float32; // of plain memory; packed pages know theirs
    std::int64_t source_row = 0;               // values between rows of plain memory; 0: heads * head_dim
    int heads = 0;                             // of the source
    int head_dim = 0;
    int first_head = 0; // heads [first_head, first_head + head_count) are read
    int head_count = 0;
    const DeviceTables* tables = nullptr; // null: nothing turns
    bool rotary = false;                  // first branch: RoPE (keys, queries) or unchanged (values)
    const float* matrices = nullptr;      // [latents][16], same rows as the tables; null: one branch only
    Element element = Element::float32;   // of out
    const float* inverse_scale = nullptr; // device scalar that values are multiplied by, e4m3 only; null: 1
    std::int64_t out_row_stride = 0;      // values between rows of out; 0: dense
    // > 0, e4m3 without RoPE only: written column by column, out[branch * head_count + head][channel][out_columns], a
    // multiple of 16. Each 16 columns hold 16 rows in the order in which the tensor cores take probabilities from
    // registers (place_of_row() in expand_rows.cuh); columns behind the last row up to a multiple of 16 become zero.
    std::int64_t out_columns = 0;
    int out_rows = 0; // of all jobs that fill out; with out_columns
    void* out = nullptr;
    void* out_of_values = nullptr;                  // with value_runs; so is the scalar:
    const float* inverse_scale_of_values = nullptr; // as inverse_scale
};

// Plain memory, any source type but e4m3. False when no kernel exists for these types.
bool expand_plain(const ExpandJob& job, Stream stream);

// What E4M3 attention multiplies by, on the device; one struct for all calls over the same chunk's tensors.
struct E4m3Factors {
    float inverse_scale[3];    // queries, keys, values: what they are multiplied by when they are stored
    float descale[3];          // the inverses
    float descale_probability; // probabilities are at most 1, so 256 uses E4M3's range (448) without overflow
    float scale_probability;
    float largest[2]; // written by cuDNN: largest probability and output; nobody reads them
};

// Fills *factors. The largest magnitude of each tensor maps to 448, or to 224 for keys and values, since older ones
// than those measured may be larger; a text's largest maps to 448 at most.
struct ScaleJob {
    const void* tensors[3] = {};      // queries, keys, values
    std::int64_t row_strides[3] = {}; // values between rows
    std::int64_t rows = 0;
    int row_values = 0; // a multiple of 8
    Element element = Element::bfloat16;
    const float* text_largest = nullptr; // device, of the text's keys and values; null: no text
    E4m3Factors* factors = nullptr;
    bool queries_alone = false; // keys and values keep the factors that *factors has for them
};

void launch_scales(const ScaleJob& job, Stream stream);

// A result of attention over some keys, with its natural log-sum-exp.
struct MergePart {
    const void* values = nullptr; // element at [head * head_stride + query * query_stride + channel]
    const float* lse = nullptr;
    std::int64_t head_stride = 0;
    std::int64_t query_stride = 0;
    std::int64_t lse_head_stride = 0;
    std::int64_t lse_query_stride = 1;
    float log_weight = 0;         // added to lse
    const float* noise = nullptr; // [heads of the model][noise_groups], of the part's keys; null: no correction
};

inline constexpr int kMaxMergeParts = 4;

// The softmax-weighted union of the parts and, if there is one, of what was merged before. Rows are (query, head);
// heads count branch by branch. The union goes to `result` or, where more parts follow, to `total`.
struct MergeJob {
    int queries = 0;
    int branches = 1;
    int first_head = 0; // of the parts among the heads of the model
    int head_count = 0; // of one branch
    int head_dim = 0;
    MergePart parts[kMaxMergeParts];
    int part_count = 0;
    Element element = Element::float32;  // of the parts
    const float* part_descale = nullptr; // device scalar that e4m3 parts are multiplied by
    const float* energy = nullptr;       // [queries][branches * head_count][noise_groups], |q|^2
    int noise_groups = 0;
    float half_square_scale = 0; // s^2 / 2
    float max_bias = 0;
    bool with_total = false;             // something was merged before
    float* total = nullptr;              // [queries][branches * head_count][head_dim]
    const float* lse_of_total = nullptr; // [branches * head_count][queries], read with with_total
    float* new_lse = nullptr;            // the same, another place, written without `result`
    // [queries][branches][heads][head_dim]; the second branch is turned by matrices[query / tokens_per_latent].
    void* result = nullptr;
    Element result_element = Element::float32;
    int heads = 0; // of the model
    int tokens_per_latent = 1;
    const float* matrices = nullptr;
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

} // namespace wander::quant::cuda
