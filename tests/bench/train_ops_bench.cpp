// The trainer's operations on an NVIDIA GPU at their true sizes (dim 320, 84 tokens a latent): milliseconds forward and
// backward of each, kernels and plain twins, then of six blocks together with their matrix products. Prints one JSON
// object a line; median of the runs.
//
//     train_ops_bench [--plain] [CLIPS] [LATENTS]      default: 12 24; --plain also times the twins
#include "generator/train/ops.hpp"
#include "generator/train/ops_cuda.hpp"

#include <ATen/ATen.h>

#include <cstdio>

#if WANDER_CUDA
#include "tests/bench/figures.hpp"
#include "tests/bench/gpu_event.hpp"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace wander::train;
using wander::bench::Event;
using wander::bench::median;
using wander::bench::ms_of;
using Tensors = std::vector<at::Tensor>;
using Operation = std::function<Tensors()>;

constexpr std::int64_t kTokens = 84, kHeads = 5, kDim = kHeads * kHeadDim, kFfn = 1280, kLayers = 6;
constexpr double kEps = 1e-6;

void measure(const char* name, const char* way, const Operation& operation, const Tensors& inputs, int runs = 15) {
    Event begin, end;
    std::vector<double> forward, backward;
    for (int run = 0; run < runs + 2; ++run) {
        for (at::Tensor input : inputs) input.mutable_grad() = at::Tensor();
        cudaDeviceSynchronize();
        Tensors results;
        const double forward_ms = ms_of(begin, end, [&] { results = operation(); });
        Tensors gradients;
        for (const at::Tensor& result : results) gradients.push_back(at::ones_like(result));
        cudaDeviceSynchronize();
        const double backward_ms = ms_of(begin, end, [&] { torch::autograd::backward(results, gradients); });
        if (run < 2) continue;
        forward.push_back(forward_ms);
        backward.push_back(backward_ms);
    }
    std::printf(R"({"operation": "%s", "way": "%s", "forward_ms": %.3f, "backward_ms": %.3f})"
                "\n",
                name, way, median(forward), median(backward));
    std::fflush(stdout);
}

// Six blocks as the trainer runs them.
class Blocks {
public:
    explicit Blocks(const at::TensorOptions& options) {
        const auto weight = [&](std::int64_t out, std::int64_t in) {
            leaves_.push_back((at::randn({out, in}, options) * 0.03).requires_grad_(true));
            return leaves_.back();
        };
        const auto vector = [&](std::int64_t size) {
            leaves_.push_back(at::ones({size}, options).requires_grad_(true));
            return leaves_.back();
        };
        for (int layer = 0; layer < kLayers; ++layer)
            blocks_.push_back({weight(3 * kDim, kDim), vector(3 * kDim), weight(kDim, 2 * kDim), vector(kDim),
                               weight(kFfn, kDim), vector(kFfn), weight(kDim, kFfn), vector(kDim), vector(kDim),
                               vector(kDim)});
    }

    const Tensors& leaves() const { return leaves_; }

    Tensors run(at::Tensor x, const Tensors& factors, const Turns& turns, std::int64_t latents, bool twins) const {
        const auto bf16 = [](const at::Tensor& weight) { return weight.to(at::kBFloat16); };
        const auto linear = [&](const at::Tensor& in, const Tensors& block, std::size_t index) {
            return at::linear(in, bf16(block[index]), bf16(block[index + 1]));
        };
        for (const Tensors& block : blocks_) {
            const auto norm = [&](const at::Tensor& rows, std::size_t index) {
                return twins ? plain::norm_modulate(rows, factors[index], factors[index + 1], kEps, at::kBFloat16)
                             : norm_modulate(rows, factors[index], factors[index + 1], kEps, at::kBFloat16);
            };
            const at::Tensor qkv = linear(norm(x, 0), block, 0);
            TurnedQkv turned;
            if (twins) {
                const Tensors parts = qkv.chunk(3, 3);
                turned = plain::rotate_qkv(parts[0], parts[1], parts[2], block[8], block[9], turns, kEps);
            } else {
                turned = rotate_qkv(qkv, block[8], block[9], turns, kEps);
            }
            const at::Tensor o =
                (twins ? plain::clip_attention : clip_attention)(turned.q, turned.k, turned.v, latents, kTokens);
            const at::Tensor y = linear((twins ? plain::unrotate_joined : unrotate_joined)(o, turns.camera), block, 2);
            AddedAndNormed middle;
            if (twins) {
                middle.x = plain::gated_add(x, y, factors[2]);
                middle.h = norm(middle.x, 3);
            } else {
                middle = gated_add_norm(x, y, factors[2], factors[3], factors[4], kEps, at::kBFloat16);
            }
            const at::Tensor z = linear(at::gelu(linear(middle.h, block, 4), "tanh"), block, 6);
            x = (twins ? plain::gated_add : gated_add)(middle.x, z, factors[5]);
        }
        return {x};
    }

private:
    std::vector<Tensors> blocks_; // qkv, out, ffn in, ffn out with their biases, both norms
    Tensors leaves_;
};

void run(std::int64_t batch, std::int64_t latents, bool with_twins) {
    const auto options = at::TensorOptions().dtype(at::kFloat).device(at::kCUDA);
    const auto compute = options.dtype(at::kBFloat16);
    const std::int64_t row = 1 + 2 * latents;
    const auto leaf = [](const at::Tensor& x) { return x.detach().requires_grad_(true); };
    const at::Tensor x = leaf(at::randn({batch, row, kTokens, kDim}, options)),
                     y = leaf(at::randn({batch, row, kTokens, kDim}, compute)),
                     qkv = leaf(at::randn({batch, row, kTokens, 3 * kDim}, compute));
    Tensors factors;
    for (int i = 0; i < 6; ++i) factors.push_back(leaf(at::randn({batch, row, kDim}, options) * 0.1 + 1));
    const at::Tensor norm_q = leaf(at::ones({kDim}, options)), norm_k = leaf(at::ones({kDim}, options));
    const std::vector<std::int64_t> heads = {batch, row * kTokens, 2 * kHeads, kHeadDim};
    const at::Tensor q = leaf(at::randn(heads, compute)), k = leaf(at::randn(heads, compute)),
                     v = leaf(at::randn(heads, compute));
    const at::Tensor angle = at::randn({row, kTokens, 32}, options),
                     unit = at::eye(4, options).repeat({batch, row, 1, 1});
    const Turns turns{angle.cos(), angle.sin(), unit, unit};
    const Tensors parts = {leaf(qkv.narrow(3, 0, kDim).contiguous()), leaf(qkv.narrow(3, kDim, kDim).contiguous()),
                           leaf(qkv.narrow(3, 2 * kDim, kDim).contiguous())};
    const Blocks blocks(options);
    for (const bool twins : {false, true}) {
        if (twins && !with_twins) break;
        const char* way = twins ? "plain" : "kernels";
        measure("norm_modulate", way,
                [&] {
                    return Tensors{
                        (twins ? plain::norm_modulate : norm_modulate)(x, factors[0], factors[1], kEps, at::kBFloat16)};
                },
                {x, factors[0], factors[1]});
        measure("rotate_qkv", way,
                [&] {
                    const TurnedQkv turned =
                        twins ? plain::rotate_qkv(parts[0], parts[1], parts[2], norm_q, norm_k, turns, kEps)
                              : rotate_qkv(qkv, norm_q, norm_k, turns, kEps);
                    return Tensors{turned.q, turned.k, turned.v};
                },
                {qkv, parts[0], parts[1], parts[2], norm_q, norm_k});
        measure("clip_attention", way,
                [&] { return Tensors{(twins ? plain::clip_attention : clip_attention)(q, k, v, latents, kTokens)}; },
                {q, k, v});
        if (!twins)
            measure("clip_attention", "kernels for any GPU",
                    [&] { return Tensors{fused::clip_attention(q, k, v, latents, kTokens, false)}; }, {q, k, v});
        measure("unrotate_joined", way,
                [&] { return Tensors{(twins ? plain::unrotate_joined : unrotate_joined)(q, turns.camera)}; }, {q});
        measure("gated_add", way, [&] { return Tensors{(twins ? plain::gated_add : gated_add)(x, y, factors[2])}; },
                {x, y, factors[2]});
        if (!twins)
            measure("gated_add_norm", way,
                    [&] {
                        const AddedAndNormed both =
                            gated_add_norm(x, y, factors[2], factors[3], factors[4], kEps, at::kBFloat16);
                        return Tensors{both.x, both.h};
                    },
                    {x, y, factors[2], factors[3], factors[4]});
        Tensors inputs = blocks.leaves();
        inputs.push_back(x);
        inputs.insert(inputs.end(), factors.begin(), factors.end());
        measure("six blocks", way, [&] { return blocks.run(x, factors, turns, latents, twins); }, inputs);
    }
}

} // namespace
#endif

int main(int argc, char** argv) {
#if WANDER_CUDA
    std::vector<std::int64_t> sizes;
    bool with_twins = false;
    for (int i = 1; i < argc; ++i) {
        if (std::string(argv[i]) == "--plain")
            with_twins = true;
        else
            sizes.push_back(std::atoll(argv[i]));
    }
    if (!dlopen(WANDER_TORCH_LIB_DIR "/libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) || !at::globalContext().hasCUDA()) {
        std::fprintf(stderr, "train_ops_bench: no NVIDIA GPU\n");
        return 1;
    }
    at::globalContext().setAllowTF32CuBLAS(true);
    run(sizes.empty() ? 12 : sizes[0], sizes.size() < 2 ? 24 : sizes[1], with_twins);
    return 0;
#else
    (void)argc, (void)argv;
    std::fprintf(stderr, "train_ops_bench: built without CUDA\n");
    return 1;
#endif
}
