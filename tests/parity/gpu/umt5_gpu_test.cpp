// The umT5 encoder on the GPU: goldens, both placements, and what a streamed encode needs of the device at full size.

#include "generator/device.hpp"
#include "generator/text/prompt_encoder.hpp"
#include "tests/support/gpu_peak.hpp"
#include "tests/support/small_tokenizer.hpp"
#include "tests/support/umt5_case.hpp"

#include <c10/core/InferenceMode.h>

#include <fstream>
#include <thread>

namespace wander::testing {
namespace {

// Another order of summation in every product; the reference itself ran on a CPU.
constexpr double kFloatTolerance = 1e-4;
// On the CPU 0.0118 was measured.
constexpr double kBf16Tolerance = 0.02;

class Umt5Gpu : public ::testing::Test {
protected:
    at::Device device_ = unwrap(pick_device("cuda", "bf16", 0)).device;
    GpuPeak peak_{device_};
};

// Weights of any shape out of one block of random values each shape: the size of XXL in little host memory.
Umt5Encoder::TensorSource shared_weights() {
    auto made = std::make_shared<std::map<std::vector<std::int64_t>, at::Tensor>>();
    return [made](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        if (shape.size() == 1) return at::ones(shape, at::kBFloat16);
        if (name == "token_embedding.weight") {
            return at::randn({1, shape[1]}, at::kFloat).to(at::kBFloat16).expand(shape);
        }
        at::Tensor& tensor = (*made)[shape];
        if (!tensor.defined()) tensor = (at::rand(shape) * 0.04 - 0.02).to(at::kBFloat16);
        return tensor;
    };
}

TEST_F(Umt5Gpu, Goldens) {
    for (const Umt5Case& it : Umt5Case::all()) {
        for (const auto placement : {TextPlacement::resident, TextPlacement::streamed}) {
            EXPECT_LE(it.worst(it.load(placement, device_, at::kFloat)), kFloatTolerance) << it.golden.folder();
            EXPECT_LE(it.worst(it.load(placement, device_, at::kBFloat16)), kBf16Tolerance) << it.golden.folder();
        }
    }
}

// Units of several page-locked chunks, more units than buffers, repeated: a buffer that is overwritten too early shows.
TEST_F(Umt5Gpu, StreamedIsResidentBitByBit) {
    Umt5Config config;
    config.vocab = 64;
    config.dim = 1024;
    config.heads = 16;
    config.layers = 4;
    config.ffn = 20480;
    std::map<std::string, at::Tensor> weights;
    for (const auto& [name, shape] : config.tensor_shapes()) {
        weights[name] =
            shape.size() == 1 ? at::ones(shape, at::kBFloat16) : (at::rand(shape) * 0.06 - 0.03).to(at::kBFloat16);
    }
    const auto source = [&](const std::string& name, const std::vector<std::int64_t>&) -> Result<at::Tensor> {
        return weights.at(name);
    };
    const auto load = [&](TextPlacement placement) {
        return unwrap(Umt5Encoder::load(config, source, device_, at::kBFloat16, placement));
    };
    const auto resident = load(TextPlacement::resident), streamed = load(TextPlacement::streamed);
    for (const int tokens : {1, 7, 64, 301}) {
        std::vector<int> ids(static_cast<std::size_t>(tokens));
        for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int>(i * 7 % 64);
        const at::Tensor expected = resident.encode(ids);
        EXPECT_TRUE(expected.isfinite().all().item<bool>());
        for (int round = 0; round < 3; ++round) {
            EXPECT_TRUE(at::equal(streamed.encode(ids), expected)) << tokens << " tokens, round " << round;
        }
    }
}

TEST_F(Umt5Gpu, StreamedXxlNeedsLessThanAGibibyte) {
    const auto encoder =
        unwrap(Umt5Encoder::load(Umt5Config{}, shared_weights(), device_, at::kBFloat16, TextPlacement::streamed));
    const at::Tensor out = encoder.encode(std::vector<int>(512, 11));
    EXPECT_TRUE(out.isfinite().all().item<bool>());
    EXPECT_LT(peak_.bytes(), std::int64_t{1} << 30);
    EXPECT_GT(peak_.bytes(), encoder.weights().feed->pass_bytes());
}

// The walk's stream is busy with its own work meanwhile.
TEST_F(Umt5Gpu, EncodesBesideOtherWork) {
    PromptEncoderOptions options;
    const auto file = std::filesystem::temp_directory_path() / "wander_umt5_gpu_tokenizer.json";
    std::ofstream(file) << small_tokenizer();
    options.tokenizer = file;
    options.config.vocab = 64;
    options.config.layers = 3;
    options.source = shared_weights();
    options.device = device_;
    options.compute = at::kBFloat16;
    auto encoder = unwrap(PromptEncoder::open(options));
    std::filesystem::remove(file);
    const at::Tensor expected = unwrap(encoder.encode("a b ab")).tensor.clone();
    std::vector<TextEmbedding> got;
    std::jthread other([&] {
        for (int i = 0; i < 8; ++i) got.push_back(unwrap(encoder.encode("a b ab")));
    });
    const c10::InferenceMode inference;
    at::Tensor x = at::ones({2048, 2048}, at::TensorOptions(device_).dtype(at::kBFloat16));
    for (int i = 0; i < 200; ++i) x = at::matmul(x, x).clamp(-1, 1);
    EXPECT_TRUE(x.isfinite().all().item<bool>());
    other.join();
    for (const TextEmbedding& text : got) EXPECT_TRUE(at::equal(text.on_current_stream(), expected));
}

} // namespace
} // namespace wander::testing
