// HunyuanVideo 1.5's encoders on the GPU: goldens in every type, both placements, and what a streamed encode of the
// full sizes needs of the device.

#include "generator/device.hpp"
#include "tests/support/gpu_peak.hpp"
#include "tests/support/hunyuan_encoder_cases.hpp"

#include <memory>

namespace wander::testing {
namespace {

// Another order of summation in every product; the reference itself ran on a CPU.
constexpr double kFloatTolerance = 1e-4;
// On the CPU 0.0083, 0.022 and 0.0104 were measured in bf16, 0.0009, 0.002 and 0.001 in fp16.
constexpr double kBf16Tolerance = 0.035;
constexpr double kHalfTolerance = 0.005;

class HunyuanEncodersGpu : public ::testing::Test {
protected:
    at::Device device_ = unwrap(pick_device("cuda", "bf16", 0)).device;
    GpuPeak peak_{device_};

    template <typename Case>
    void expect_goldens() const {
        for (const Case& it : Case::all()) {
            for (const auto placement : {TextPlacement::resident, TextPlacement::streamed}) {
                EXPECT_LE(it.worst(it.load(placement, device_, at::kFloat)), kFloatTolerance) << it.golden.folder();
                EXPECT_LE(it.worst(it.load(placement, device_, at::kBFloat16)), kBf16Tolerance) << it.golden.folder();
                EXPECT_LE(it.worst(it.load(placement, device_, at::kHalf)), kHalfTolerance) << it.golden.folder();
            }
        }
    }
};

TEST_F(HunyuanEncodersGpu, GoldensOfQwen) { expect_goldens<QwenCase>(); }
TEST_F(HunyuanEncodersGpu, GoldensOfByT5) { expect_goldens<ByT5Case>(); }
TEST_F(HunyuanEncodersGpu, GoldensOfSiglip) { expect_goldens<SiglipCase>(); }

// Weights of any shape out of one block of random values each shape: the size of the 7B in little host memory.
QwenTextEncoder::TensorSource shared_weights() {
    auto made = std::make_shared<std::map<std::vector<std::int64_t>, at::Tensor>>();
    return [made](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        if (shape.size() == 1)
            return name.ends_with("bias") ? at::zeros(shape, at::kBFloat16) : at::ones(shape, at::kBFloat16);
        if (name == "model.embed_tokens.weight") { // the same row for every token, and for every encoder
            at::Tensor& row = (*made)[{1, shape[1]}];
            if (!row.defined()) row = at::randn({1, shape[1]}, at::kFloat).to(at::kBFloat16);
            return row.expand(shape);
        }
        at::Tensor& tensor = (*made)[shape];
        if (!tensor.defined()) tensor = (at::rand(shape) * 0.04 - 0.02).to(at::kBFloat16);
        return tensor;
    };
}

// Units of several page-locked chunks, more units than buffers, repeated: a buffer that is overwritten too early shows.
TEST_F(HunyuanEncodersGpu, StreamedIsResidentBitByBit) {
    QwenTextConfig config;
    config.vocab = 64;
    config.dim = 1024;
    config.heads = 8;
    config.kv_heads = 2;
    config.layers = 3;
    config.file_layers = 5;
    config.ffn = 20480;
    const auto source = shared_weights();
    const auto load = [&](TextPlacement placement) {
        return unwrap(QwenTextEncoder::load(config, source, device_, at::kBFloat16, placement));
    };
    const auto resident = load(TextPlacement::resident), streamed = load(TextPlacement::streamed);
    for (const int tokens : {1, 7, 301}) {
        std::vector<int> ids(static_cast<std::size_t>(tokens));
        for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int>(i * 7 % 64);
        const at::Tensor expected = resident.encode(ids);
        EXPECT_TRUE(expected.isfinite().all().item<bool>());
        for (int round = 0; round < 3; ++round) {
            EXPECT_TRUE(at::equal(streamed.encode(ids), expected)) << tokens << " tokens, round " << round;
        }
    }
}

TEST_F(HunyuanEncodersGpu, StreamedQwenNeedsLessThanAGibibyte) {
    const auto encoder = unwrap(
        QwenTextEncoder::load(QwenTextConfig{}, shared_weights(), device_, at::kBFloat16, TextPlacement::streamed));
    const at::Tensor out = encoder.encode(std::vector<int>(1108, 11), 108);
    EXPECT_EQ(out.sizes(), (at::IntArrayRef{1000, 3584}));
    EXPECT_TRUE(out.isfinite().all().item<bool>());
    EXPECT_LT(peak_.bytes(), std::int64_t{1} << 30);
    EXPECT_GT(peak_.bytes(), encoder.weights().feed->pass_bytes());
}

// Full sizes of the picture side: head width 72 is no power of two.
TEST_F(HunyuanEncodersGpu, SiglipOfFullSizeIsFiniteAndNearTheCpu) {
    SiglipConfig config;
    config.layers = 2;
    const auto source = shared_weights();
    const auto patches = [&](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        if (shape.size() == 4) return unwrap(source(name, {shape[0], shape[1] * shape[2] * shape[3]})).view(shape);
        return source(name, shape);
    };
    const auto load = [&](at::Device device, at::ScalarType type) {
        return unwrap(SiglipVision::load(config, patches, device, type, TextPlacement::streamed));
    };
    const at::Tensor pixels = at::rand({1, 3, 384, 384}) * 2 - 1;
    const at::Tensor expected = load(at::kCPU, at::kFloat).encode(pixels);
    EXPECT_EQ(expected.sizes(), (at::IntArrayRef{729, 1152}));
    EXPECT_LE(golden_difference(load(device_, at::kFloat).encode(pixels), expected), kFloatTolerance);
    EXPECT_LE(golden_difference(load(device_, at::kBFloat16).encode(pixels), expected), kBf16Tolerance);
}

} // namespace
} // namespace wander::testing
