#pragma once
// Launchers of the trainer's kernels on an NVIDIA GPU: the operations of generator/train/ops.hpp, forward and backward.
//
// Raw device pointers, the caller's stream, no synchronisation, no allocation. "bf16" stands for bfloat16, everything
// else is float32; arithmetic is float32. Every result is written by one thread and sums have a fixed order, so equal
// inputs give equal bytes. Rows are dense unless a stride is named. A group is the T consecutive rows of one latent of
// one clip; D = 64 heads. Twins: wander::train::plain (tests/unit/train/gpu/ops_cuda_test.cpp).

#include <cstdint>

struct CUstream_st;

namespace wander::train::cuda {

using Stream = CUstream_st*;

// Numbers of heads that the row kernels are compiled for.
bool has_row_kernels(std::int64_t heads);
// Sums over a group's rows come in this many parts.
int row_parts();
// Latents of more tokens than this do not fit clip_attention's blocks.
inline constexpr int kMaxAttentionTokens = 96;

// x_out = x + gate * y, then h = LN(x_out) * scale + shift; each half may be left out.
struct RowsForward {
    std::int64_t groups = 0;
    int tokens = 0, heads = 0;
    float eps = 0;
    const float* x = nullptr;
    const void* y = nullptr; // bf16; null: x_out = x, not written
    const float* gate = nullptr;
    float* x_out = nullptr;
    const float* shift = nullptr; // [groups, D]; shift, scale null: no norm
    const float* scale = nullptr;
    void* h = nullptr;           // bf16
    float* statistics = nullptr; // mean and 1 / deviation of each row, [rows, 2]
};
void launch_rows_forward(const RowsForward& job, Stream stream);

// dx = dx_out + what reaches it through h; dy = gate * dx; sums over a group's rows: dgate of dx * y, dshift of dh,
// dscale of dh * LN(x).
struct RowsBackward {
    std::int64_t groups = 0;
    int tokens = 0, heads = 0;
    const float* dx_out = nullptr; // null: none
    const void* dh = nullptr;      // bf16; null: no norm
    const float* x_out = nullptr;  // with dh: what was normed
    const float* statistics = nullptr;
    const float* scale = nullptr;
    const void* y = nullptr; // bf16; null: nothing was added
    const float* gate = nullptr;
    float* dx = nullptr;    // null: not wanted (without a norm it is dx_out)
    void* dy = nullptr;     // bf16
    float* dgate = nullptr; // [groups, row_parts(), D] each
    float* dshift = nullptr;
    float* dscale = nullptr;
};
void launch_rows_backward(const RowsBackward& job, Stream stream);

// RMS over D, RoPE and PRoPE. Inputs q, k, v: rows `stride` values apart.
struct TurnJob {
    std::int64_t groups = 0; // B N
    int latents = 0;         // N
    int tokens = 0, heads = 0;
    float eps = 0;
    const void* q = nullptr; // bf16
    const void* k = nullptr;
    const void* v = nullptr;
    std::int64_t stride = 0;
    const float* norm_q = nullptr; // [D]
    const float* norm_k = nullptr;
    const float* cos = nullptr; // [N, T, 32]
    const float* sin = nullptr;
    const float* camera = nullptr; // [groups, 4, 4]
    const float* camera_inverse = nullptr;
    // Forward: written. Backward: their gradients, read. [rows, 2 heads, 64] bf16.
    void* turned_q = nullptr;
    void* turned_k = nullptr;
    void* turned_v = nullptr;
    // Backward alone.
    void* dq = nullptr; // bf16, rows `gradient_stride` values apart
    void* dk = nullptr;
    void* dv = nullptr;
    std::int64_t gradient_stride = 0;
    float* dnorms = nullptr; // [groups, row_parts(), 2, D]: parts of the gradients of norm_q and norm_k
};
void launch_turn_forward(const TurnJob& job, Stream stream);
void launch_turn_backward(const TurnJob& job, Stream stream);

// The second half of the heads times `camera` (or its transpose, which is the way back), the first as it is.
struct UnturnJob {
    std::int64_t groups = 0;
    int tokens = 0, heads = 0; // heads: of one half
    bool transposed = false;
    const float* camera = nullptr; // [groups, 4, 4]
    const void* in = nullptr;      // [rows, 2 heads, 64] bf16
    void* out = nullptr;
};
void launch_unturn(const UnturnJob& job, Stream stream);

// Attention of teacher forcing. All of q, k, v, o and gradients: [B, (1 + 2 L) T, heads, 64] bf16.
struct AttentionJob {
    int batch = 0, heads = 0, latents = 0, tokens = 0; // latents: L; heads: all of them
    const void* q = nullptr;
    const void* k = nullptr;
    const void* v = nullptr;
    void* o = nullptr;
    float* log_sum = nullptr; // [B, heads, rows]: log2 of the sum of exp of the scaled products
    // Backward alone. delta [B, heads, rows] is scratch: sum of o * do.
    const void* d_o = nullptr;
    float* delta = nullptr;
    void* dq = nullptr;
    void* dk = nullptr;
    void* dv = nullptr;
};
// From compute capability 8.0 on.
bool attention_supports(int device);
void launch_attention_forward(const AttentionJob& job, Stream stream);
void launch_attention_backward(const AttentionJob& job, Stream stream);
// The same with the products of Hopper GPUs (compute capability 9.0), faster there; tests/bench/train_ops_bench.cpp
// measures both.
void launch_hopper_attention_forward(const AttentionJob& job, Stream stream);
void launch_hopper_attention_backward(const AttentionJob& job, Stream stream);

} // namespace wander::train::cuda
