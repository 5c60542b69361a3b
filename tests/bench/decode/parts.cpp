#include "tests/bench/decode/parts.hpp"

#include "generator/wan/decode_ops.hpp"
#include "generator/wan/vae_ops.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>

namespace wander::bench {
namespace {

at::Tensor picture(std::int64_t n, std::int64_t channels, std::int64_t height, std::int64_t width) {
    return at::randn({n, channels, height, width}, at::TensorOptions(at::kCUDA).dtype(at::kBFloat16))
        .contiguous(at::MemoryFormat::ChannelsLast);
}

// One level: the pass between convolutions with a residual and without, its convolution, the way up from it.
void bench_level(std::int64_t channels, std::int64_t out, std::int64_t rows, std::int64_t cols, std::int64_t frames) {
    const auto make = [&](std::int64_t n, std::int64_t c) { return picture(n, c, rows, cols); };
    const at::Tensor bias = at::randn({channels}, at::TensorOptions(at::kCUDA));
    Unsummed x{make(frames, channels), bias, {}};
    at::Tensor past;
    CausalInput how;
    how.gamma = at::ones({channels}, at::TensorOptions(at::kCUDA));
    how.eps = 1e-12;
    how.silu = true;
    how.past = &past;
    const std::string at = std::to_string(channels) + " channels " + std::to_string(rows) + "x" + std::to_string(cols);
    const double plane = static_cast<double>(frames * channels * rows * cols) * 2e-9; // GB
    const double ends = 4 * plane / static_cast<double>(frames);                      // past, read and written
    print_part("input, " + at, frames, event_ms([&] { causal_input(x, how); }), 4 * plane + ends, 0);
    x.residual = make(frames, channels);
    how.keep_sum = true;
    print_part("input + residual, " + at, frames, event_ms([&] { causal_input(x, how); }), 6 * plane + ends, 0);
    const at::Tensor side = make(frames, 3 * channels);
    const at::Tensor weight = picture(out, 3 * channels, 3, 3);
    print_part("convolution to " + std::to_string(out) + ", " + at, frames,
               event_ms([&] { at::conv2d(side, weight, {}, 1, 1); }), 3 * plane,
               54e-12 * static_cast<double>(channels * out * rows * cols * frames));
    x.residual = at::Tensor();
    print_part("enlarge, " + at, frames, event_ms([&] { enlarge(x, 1, 0, true); }), 5 * plane, 0);
}

// The same convolution in its 3-D form, and pointwise ones as convolution and as matrix product.
void bench_forms(std::int64_t in, std::int64_t out, std::int64_t rows, std::int64_t cols, std::int64_t frames) {
    const auto bf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
    const double values = static_cast<double>(rows * cols * frames);
    const std::string where = std::to_string(in) + " to " + std::to_string(out) + " channels " + std::to_string(rows) +
                              "x" + std::to_string(cols);
    const at::Tensor clip =
        at::randn({1, in, frames + 2, rows, cols}, bf16).contiguous(at::MemoryFormat::ChannelsLast3d);
    const at::Tensor cube = at::randn({out, in, 3, 3, 3}, bf16).contiguous(at::MemoryFormat::ChannelsLast3d);
    print_part("3-D convolution, " + where, frames, event_ms([&] { at::conv3d(clip, cube, {}, 1, {0, 1, 1}); }), 0,
               54e-12 * values * static_cast<double>(in * out));
    const at::Tensor x = picture(frames, in, rows, cols);
    const at::Tensor point = picture(out, in, 1, 1);
    const double teraflop = 2e-12 * values * static_cast<double>(in * out);
    print_part("1x1 convolution, " + where, frames, event_ms([&] { at::conv2d(x, point); }),
               2e-9 * values * static_cast<double>(in + out), teraflop);
    const at::Tensor matrix = point.view({out, in}).t();
    print_part("1x1 as product, " + where, frames,
               event_ms([&] { at::matmul(x.permute({0, 2, 3, 1}).reshape({-1, in}), matrix); }),
               2e-9 * values * static_cast<double>(in + out), teraflop);
}

} // namespace

void bench_full_parts(const Options& options) {
    const std::int64_t r = options.rows, c = options.cols;
    bench_level(384, 384, r, c, 3);
    bench_level(384, 384, 2 * r, 2 * c, 6);
    bench_level(192, 192, 4 * r, 4 * c, 4);
    bench_level(96, 96, 8 * r, 8 * c, 1);
    bench_level(96, 3, 8 * r, 8 * c, 1);
    const at::Tensor qkv = picture(3, 3 * 384, r, c);
    const double pixels = static_cast<double>(r * c);
    print_part("attention", 3, event_ms([&] { attend_in_frames(qkv); }), 0, 12e-12 * 384 * pixels * pixels);
}

// Of the Wan 2.2 VAE: `rows` x `cols` latents, a latent at once.
void bench_wan22_parts(std::int64_t rows, std::int64_t cols) {
    bench_level(1024, 1024, rows, cols, 1);
    bench_level(1024, 1024, 2 * rows, 2 * cols, 2);
    bench_level(1024, 512, 4 * rows, 4 * cols, 4);
    bench_level(512, 512, 4 * rows, 4 * cols, 4);
    bench_level(512, 256, 8 * rows, 8 * cols, 4);
    bench_level(256, 256, 8 * rows, 8 * cols, 4);
    bench_forms(1024, 1024, 2 * rows, 2 * cols, 2);
    bench_forms(512, 512, 4 * rows, 4 * cols, 4);
    bench_forms(512, 256, 8 * rows, 8 * cols, 4);
    bench_forms(256, 256, 8 * rows, 8 * cols, 4);
    for (const std::int64_t channels : {1024, 512}) {
        const std::int64_t r = rows * 2048 / channels, c = cols * 2048 / channels, n = 4;
        const at::Tensor small = picture(n, channels, r, c);
        const at::Tensor weight = picture(4 * channels, channels, 2, 2);
        print_part("up, " + std::to_string(channels) + " channels", n, event_ms([&] { up_conv(small, weight, {}); }), 0,
                   32e-12 * static_cast<double>(channels * channels * n * (r + 1) * (c + 1)));
        const at::Tensor large = picture(n, channels, 2 * r, 2 * c);
        const at::Tensor square = picture(channels, channels, 3, 3);
        print_part("3x3 on the doubled picture, " + std::to_string(channels) + " channels", n,
                   event_ms([&] { at::conv2d(large, square, {}, 1, 1); }), 0,
                   72e-12 * static_cast<double>(channels * channels * n * r * c));
    }
    const at::Tensor last = picture(4, 256, 8 * rows, 8 * cols);
    const at::Tensor taps = tap_weight(picture(12, 768, 3, 3));
    const at::Tensor bias = at::zeros({12}, at::TensorOptions(at::kCUDA));
    const at::Tensor out = picture(4, 3, 16 * rows, 16 * cols);
    at::Tensor past;
    print_part("head", 4, event_ms([&] { conv_by_products(last, taps, bias, past, out); }), 0,
               54e-12 * 256 * 12 * 4 * static_cast<double>(64 * rows * cols));
    const at::Tensor qkv = picture(1, 3 * 1024, rows, cols);
    const double pixels = static_cast<double>(rows * cols);
    print_part("attention, 1024 channels", 1, event_ms([&] { attend_by_products(qkv); }), 0,
               4e-12 * 1024 * pixels * pixels);
}

void bench_hunyuan_parts(std::int64_t rows, std::int64_t cols) {
    bench_level(1024, 8192, rows, cols, 1);
    bench_level(1024, 4096, 2 * rows, 2 * cols, 2);
    const std::pair<std::int64_t, std::int64_t> levels[] = {{1024, 1}, {1024, 2}, {512, 4}, {256, 8}, {128, 16}};
    for (const auto& [channels, larger] : levels) {
        const std::int64_t frames = std::min<std::int64_t>(larger, 4);
        bench_level(channels, channels, larger * rows, larger * cols, frames);
        bench_forms(channels, channels, larger * rows, larger * cols, frames);
    }
    const at::Tensor last = picture(4, 128, 16 * rows + 2, 16 * cols + 2);
    const at::Tensor taps = tap_weight(picture(3, 384, 3, 3));
    const at::Tensor bias = at::zeros({3}, at::TensorOptions(at::kCUDA));
    const at::Tensor out = picture(4, 3, 16 * rows, 16 * cols);
    at::Tensor past;
    print_part("head", 4, event_ms([&] { conv_by_products(last, taps, bias, past, out, true); }), 0,
               54e-12 * 128 * 3 * 4 * static_cast<double>(256 * rows * cols));
    // The step between two levels: channels become pixels, what goes beside is added, a border is laid around.
    Unsummed boxes{picture(4, 512, 8 * rows, 8 * cols), at::zeros({512}, at::TensorOptions(at::kCUDA)), {}};
    boxes.layout = Unsummed::Layout::boxes;
    boxes.shown = 4;
    boxes.around = picture(4, 256, 8 * rows, 8 * cols);
    CausalInput how;
    how.gamma = at::ones({128}, at::TensorOptions(at::kCUDA));
    how.eps = 1e-12;
    how.silu = true;
    at::Tensor before;
    how.past = &before;
    how.keep_sum = true;
    how.replicate = true;
    const double plane = 2e-9 * 128 * 256 * static_cast<double>(rows * cols);
    print_part("input from boxes, 128 channels", 4, event_ms([&] { causal_input(boxes, how); }),
               (4 * (1 + 0.5 + 1 + 3) + 4) * plane, 0);
}

// Of four latents at 704x1280: the last convolution with as many rows as it needs and with a multiple of eight, a
// memory block's convolution in the finest level, bare and with what follows it.
void bench_tiny_parts() {
    const auto bf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
    const auto conv_of = [&](std::int64_t out, std::int64_t in) {
        return make_plain_conv(at::randn({out, in, 3, 3}, bf16) * 0.05, at::randn({out}, bf16), at::kCUDA,
                               at::kBFloat16);
    };
    const at::Tensor last = picture(16, 64, 352, 640), middle = picture(8, 64, 176, 320),
                     coarse = picture(4, 256, 44, 80);
    const double last_teraflop = 18e-12 * 64 * 16 * 352 * 640;
    for (const std::int64_t rows : {3, 8, 12, 16}) {
        const PlainConv conv = conv_of(rows, 64);
        print_part("tiny, last, 64 -> " + std::to_string(rows), 16, event_ms([&] { conv_only(conv, last); }), 0,
                   last_teraflop * static_cast<double>(rows));
    }
    for (const at::Tensor& x : {middle, coarse}) {
        const PlainConv conv = conv_of(x.size(1), x.size(1));
        const double teraflop = 18e-12 * static_cast<double>(x.size(1) * x.numel());
        print_part("tiny, memory block's", x.size(0), event_ms([&] { conv_only(conv, x); }), 0, teraflop);
        print_part("tiny, memory block's, ReLU", x.size(0), event_ms([&] { conv_add_relu(conv, x, x, true); }), 0,
                   teraflop);
        print_part("tiny, memory block's, LeakyReLU", x.size(0),
                   event_ms([&] { conv_add_relu(conv, x, x, true, 0.2); }), 0, teraflop);
    }
}

} // namespace wander::bench
