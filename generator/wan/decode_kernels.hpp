#pragma once
// Launchers of the decoders' own CUDA kernels: everything between two convolutions in one pass over memory.
//
// Raw device pointers, bf16 pictures [frames, rows, columns, channels] (channels last), the caller's stream, no
// synchronisation, no allocation. Plain twins in torch: vae_ops.hpp and decode_ops.cpp; tests/unit/generator/gpu/
// decode_kernels_test.cpp compares (one bf16 step; equal where nothing is computed).

#include <cstdint>

struct CUstream_st;

namespace wander::cuda {

using Stream = CUstream_st*;

// v = x + bias + residual, then n = v / sqrt(mean(v^2) + eps) * gamma, then SiLU, then the input of a convolution that
// is causal in time, in the form of a 2-D convolution: frame t of `out` holds, pixel by pixel, the channels of frames
// t - 2, t - 1 and t. The frames before the first come from `past`, which is brought up to date.
struct CausalInputJob {
    const void* x = nullptr; // bf16 [frames, pixels, channels], or as phase_columns says
    // Not 0: x is bf16 [frames, rows / 2 + 1, columns / 2 + 1, 4, channels] with this many columns, the four quarters
    // of squares that decode_ops.hpp's up_conv leaves: (row, column) is quarter 2 (row % 2) + column % 2 of the square
    // (row / 2 + row % 2, column / 2 + column % 2).
    int phase_columns = 0;
    const float* bias = nullptr;    // [channels] or null
    const void* residual = nullptr; // [frames, pixels, channels], or null
    // With phase_columns and without residual: a picture of half the rows and columns, bf16 [.., rows / 2, columns / 2,
    // around_step * channels], that is added enlarged. Channel c of row r takes its channel c (around_step 1) or
    // 2 c + r % 2 (around_step 2), frame t its frame (around_first + t) / around_time.
    const void* around = nullptr;
    int around_step = 1;
    int around_time = 1;
    int around_first = 0;
    void* sum =
        nullptr; // [frames, pixels, channels]: v, which is rounded to bf16 before the norm sees it; null: not kept
    const float* gamma = nullptr; // [channels]; null: no norm
    float eps = 0;
    bool silu = false;
    int taps = 1;         // 3: as above; 1: out is the frame itself, no past
    void* past = nullptr; // bf16 [2, pixels, channels], older frame first
    void* out = nullptr;  // bf16 [frames, pixels, taps * channels]; null: only `sum` is wanted (taps 1)
    int frames = 0;
    std::int64_t pixels = 0;
    int channels = 0;
};

// Does a kernel exist for that many channels? Multiples of 8 whose eighths are 1 to 4 times a power of two up to 32.
bool causal_input_serves(int channels);
void launch_causal_input(const CausalInputJob& job, Stream stream);

// Every pixel becomes a square of `size` x `size`, 1 or 2; with times = 2 every frame becomes two, the first half of
// the channels being the earlier one. The first `drop` frames of the result are left out.
struct EnlargeJob {
    const void* x = nullptr;        // bf16 [frames, rows, columns, times * channels]
    const float* bias = nullptr;    // [times * channels] or null
    const void* residual = nullptr; // like x, or null
    void* out = nullptr;            // bf16 [frames * times - drop, size rows, size columns, channels]
    int frames = 0;
    int rows = 0;
    int columns = 0;
    int channels = 0; // a multiple of 8
    int size = 2;
    int times = 1;
    int drop = 0;
};
void launch_enlarge(const EnlargeJob& job, Stream stream);

// The end of a 3x3x3 convolution to `outputs` = 3 patch^2 channels whose products are there: out of pixel p is bias +
// the sum over the taps (dt, dy, dx) of products[frame - 2 + dt][((dt 3 + dy) 3 + dx) outputs + channel][p + (dy - 1,
// dx - 1)], zero outside. With patch 2 a pixel becomes a square of four: channel = 4 colour + 2 column + row.
struct SumTapsJob {
    const void* products = nullptr; // bf16 [frames, planes, rows, columns], planes >= 27 outputs
    const void* past = nullptr;     // bf16 [2, planes, rows, columns]: of the two frames before
    const float* bias = nullptr;    // [outputs]
    void* out = nullptr;            // bf16 [frames, patch rows, patch columns, 3]
    int patch = 1;                  // 1 or 2
    int frames = 0;
    int planes = 0;
    int rows = 0;
    int columns = 0;
};
void launch_sum_taps(const SumTapsJob& job, Stream stream);

// A frame to RGBA8, A = 255: byte = round to even (clamp(value * scale + offset, 0, 255)).
struct PixelsJob {
    const void* x = nullptr; // [3, rows, columns] at these strides, in values
    bool bf16 = true;        // else float
    std::int64_t channel_stride = 0;
    std::int64_t row_stride = 0;
    std::int64_t column_stride = 0;
    int rows = 0;
    int columns = 0;
    float scale = 0;
    float offset = 0;
    void* out = nullptr; // [rows, columns, 4]
};
void launch_pixels(const PixelsJob& job, Stream stream);

} // namespace wander::cuda
