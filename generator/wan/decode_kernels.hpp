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

// How the x of a job lies in memory. `boxes`: a convolution made every pixel a box of pixels in time and space.
enum class PictureLayout {
    plain,    // [frames, rows, columns, channels]
    quarters, // [frames, rows / 2 + 1, columns / 2 + 1, 4, channels], which up_conv of decode_ops.hpp leaves: (row,
              // column) is quarter 2 (row % 2) + column % 2 of the square (row / 2 + row % 2, column / 2 + column % 2)
    boxes, // [.., rows / 2, columns / 2, 4 * times, channels]: (row, column) of frame t is part ((first + t) % times *
           // 2
           // + row % 2) * 2 + column % 2 of pixel (row / 2, column / 2) of frame (first + t) / times
};

// v = x + bias + residual, then n = v / sqrt(mean(v^2) + eps) * gamma, then SiLU, then the input of a convolution that
// is causal in time, in the form of a 2-D convolution: frame t of `out` holds, pixel by pixel, the channels of frames
// t - 2, t - 1 and t. The frames before the first come from `past`, which is brought up to date.
struct CausalInputJob {
    const void* x = nullptr; // bf16
    PictureLayout layout = PictureLayout::plain;
    int times = 1; // of boxes and `around`
    int first = 0;
    const float* bias = nullptr;    // [channels], of boxes [4 * times, channels], or null
    const void* residual = nullptr; // [frames, rows, columns, channels], or null
    // With quarters or boxes and without residual: a smaller picture that is added enlarged, bf16 [.., rows / 2,
    // columns / 2, its channels], frame t its frame (first + t) / times. With quarters channel c of row r takes its
    // channel c (around_step 1) or 2 c + r % 2 (around_step 2). With boxes it has 4 * times * channels /
    // around_repeat channels and channel c of part p takes its channel (p * channels + c) / around_repeat.
    const void* around = nullptr;
    int around_step = 1;
    int around_repeat = 1; // 1, 2, 4 or a multiple of 8; divides `channels`
    // [frames, rows, columns, channels]: v, which is rounded to bf16 before the norm sees it; null: not kept
    void* sum = nullptr;
    const float* gamma = nullptr; // [channels]; null: no norm
    float eps = 0;
    bool silu = false;
    int taps = 1; // 3: as above; 1: out is the frame itself, no past
    // Pixels on each side, 0 or 1, by which the pictures of `out` and `past` are larger and repeat what is at the edge.
    int border = 0;
    void* past = nullptr; // bf16 [2, rows, columns, channels], older frame first
    bool fresh = false;   // past holds nothing yet: both of its frames are as the first one
    void* out = nullptr;  // bf16 [frames, rows, columns, taps * channels]; null: only `sum` is wanted (taps 1)
    int frames = 0;
    int rows = 0;
    int columns = 0;
    int channels = 0;
};

// Does a kernel exist for that many channels? Multiples of 8 whose eighths are 1 to 4 times a power of two up to 32.
bool causal_input_serves(int channels);
void launch_causal_input(const CausalInputJob& job, Stream stream);

// Every pixel becomes a square of `size` x `size`, 1 or 2; with times = 2 every frame becomes two, the first half of
// the channels being the earlier one. The first `drop` frames of the result are left out. Sums below zero are
// multiplied by `leak`. With size and times 1 and nothing dropped `out` may be `x`.
struct EnlargeJob {
    const void* x = nullptr;        // bf16 [frames, rows, columns, times * channels]
    const float* bias = nullptr;    // [times * channels] or null
    const void* residual = nullptr; // like x, or null
    float leak = 1;
    void* out = nullptr; // bf16 [frames * times - drop, size rows, size columns, channels]
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
// dx - 1)], zero outside; with `border` the products have one more pixel on each side, and nothing lies outside. With
// patch 2 a pixel becomes a square of four: channel = 4 colour + 2 column + row.
struct SumTapsJob {
    const void* products = nullptr; // bf16 [frames, planes, rows + 2 border, columns + 2 border], planes >= 27 outputs
    const void* past = nullptr;     // bf16 [2, ..]: of the two frames before
    const float* bias = nullptr;    // [outputs]
    void* out = nullptr;            // bf16 [frames, patch rows, patch columns, 3]
    int patch = 1;                  // 1 or 2
    int border = 0;                 // 0 or 1
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
