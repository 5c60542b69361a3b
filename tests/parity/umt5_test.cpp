// The umT5 encoder against the transformers library on small networks, on the CPU; and trap 10 of self-forcing.md 14.

#include "tests/support/umt5_case.hpp"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <cmath>

namespace wander::testing {
namespace {

// bf16 products with a float32 stream against a float32 reference; measured 0.0118 at most.
constexpr double kBf16Tolerance = 0.02;

TEST(ParityUmt5, OutputsInFloat) {
    for (const Umt5Case& it : Umt5Case::all()) {
        for (const auto placement : {TextPlacement::resident, TextPlacement::streamed}) {
            EXPECT_LE(it.worst(it.load(placement)), it.tolerance()) << it.golden.folder();
        }
        EXPECT_LE(it.worst(it.load(TextPlacement::resident, at::kCPU, at::kDouble)), it.tolerance());
    }
}

TEST(ParityUmt5, OutputsInBf16) {
    for (const Umt5Case& it : Umt5Case::all()) {
        const double worst = it.worst(it.load(TextPlacement::resident, at::kCPU, at::kBFloat16));
        EXPECT_LE(worst, kBf16Tolerance) << it.golden.folder();
        EXPECT_GT(worst, it.tolerance()) << "this cannot have been bf16";
    }
}

TEST(ParityUmt5, PlacementChangesNoBit) {
    for (const Umt5Case& it : Umt5Case::all()) {
        for (const auto type : {at::kFloat, at::kBFloat16}) {
            const auto resident = it.load(TextPlacement::resident, at::kCPU, type);
            const auto streamed = it.load(TextPlacement::streamed, at::kCPU, type);
            for (const auto& sequence : it.sequences) {
                EXPECT_TRUE(at::equal(resident.encode(sequence.ids), streamed.encode(sequence.ids)));
            }
        }
    }
}

TEST(ParityUmt5, BucketsBiasAndFirstBlock) {
    const c10::InferenceMode inference;
    int compared = 0;
    for (const Umt5Case& it : Umt5Case::all()) {
        if (!it.golden.has_output("buckets")) continue;
        ++compared;
        std::vector<int> buckets;
        for (int distance = -200; distance <= 200; ++distance) {
            buckets.push_back(umt5_bucket(distance, it.config.buckets, it.config.max_distance));
        }
        it.golden.expect("buckets", at::tensor(buckets), 0);
        const Umt5Encoder encoder = it.load(TextPlacement::resident);
        const auto& w = encoder.weights();
        const at::Tensor expected = it.golden.output("bias0");
        it.golden.expect("bias0", w.bias(0, expected.size(1)), it.golden.tolerance_of("bias0"));
        WeightFeed::Pass pass(*w.feed);
        at::Tensor x = w.embed(it.sequences.at(0).ids);
        w.run_layer(0, x, pass);
        it.golden.expect("block0", x, it.golden.tolerance_of("block0"));
    }
    EXPECT_GT(compared, 0);
}

// self-forcing.md 7.2
TEST(Umt5Bucket, CheckValues) {
    const struct {
        int distance, bucket;
    } checks[] = {{0, 0},   {1, 17},  {-1, 1},  {7, 23},  {8, 24},  {11, 24},  {12, 25}, {15, 25},   {16, 26},
                  {23, 27}, {32, 28}, {46, 29}, {64, 30}, {91, 31}, {500, 31}, {-8, 8},  {-128, 15}, {-511, 15}};
    for (const auto& check : checks) EXPECT_EQ(umt5_bucket(check.distance, 32, 128), check.bucket) << check.distance;
}

// The slow, obvious twin of one layer, in double: one score after the other.
at::Tensor plain_layer(const Umt5Case& it, int layer, const at::Tensor& input) {
    const std::string block = "blocks." + std::to_string(layer) + ".";
    const auto shapes = it.config.tensor_shapes();
    const auto weight = [&](const std::string& name) {
        return unwrap(it.source()(block + name, shapes.at(block + name))).to(at::kDouble);
    };
    const auto norm = [&](const at::Tensor& x, const std::string& name) {
        return x / (x.square().mean(1, true) + it.config.eps).sqrt() * weight(name);
    };
    const std::int64_t tokens = input.size(0), width = it.config.head_dim;
    const at::Tensor x = norm(input, "norm1.weight");
    const at::Tensor q = at::matmul(x, weight("attn.q.weight").t()), k = at::matmul(x, weight("attn.k.weight").t()),
                     v = at::matmul(x, weight("attn.v.weight").t());
    const at::Tensor table = weight("pos_embedding.embedding.weight");
    at::Tensor heads = at::zeros({tokens, it.config.heads * width}, at::kDouble);
    for (int head = 0; head < it.config.heads; ++head) {
        const auto part = [&](const at::Tensor& all) { return all.narrow(1, head * width, width); };
        at::Tensor scores = at::matmul(part(q), part(k).t()).contiguous();
        for (std::int64_t i = 0; i < tokens; ++i) {
            for (std::int64_t j = 0; j < tokens; ++j) {
                const int bucket = umt5_bucket(static_cast<int>(j - i), it.config.buckets, it.config.max_distance);
                scores[i][j] += table[bucket][head];
            }
        }
        part(heads).copy_(at::matmul(scores.softmax(1), part(v)));
    }
    const at::Tensor middle = input + at::matmul(heads, weight("attn.o.weight").t());
    const at::Tensor y = norm(middle, "norm2.weight");
    const at::Tensor gate = at::gelu(at::matmul(y, weight("ffn.gate.0.weight").t()), "tanh");
    return middle + at::matmul(gate * at::matmul(y, weight("ffn.fc1.weight").t()), weight("ffn.fc2.weight").t());
}

TEST(Umt5Layer, AgreesWithItsPlainTwin) {
    const c10::InferenceMode inference;
    for (const Umt5Case& it : Umt5Case::all()) {
        const Umt5Encoder encoder = it.load(TextPlacement::streamed);
        WeightFeed::Pass pass(*encoder.weights().feed);
        at::Tensor x = encoder.weights().embed({it.sequences[0].ids[0], 5, 7, 5, 1});
        for (int layer = 0; layer < it.config.layers; ++layer) {
            const at::Tensor expected = plain_layer(it, layer, x.to(at::kDouble));
            encoder.weights().run_layer(layer, x, pass);
            EXPECT_LE(((x - expected).abs().max() / expected.abs().max()).item<double>(), 1e-5);
        }
    }
}

// Trap 10. Each variant is a way to get it wrong, made by changing the weights or the ids; the comparison that passes
// for the right encoder must notice it.
class Trap10 : public ::testing::Test {
protected:
    static double with_source(const Umt5Case& it, const Umt5Encoder::TensorSource& source) {
        return it.worst(unwrap(Umt5Encoder::load(it.config, source, at::kCPU, at::kFloat, TextPlacement::resident)));
    }
};

TEST_F(Trap10, BiasOfEveryLayerIsItsOwn) {
    for (const Umt5Case& it : Umt5Case::all()) {
        const auto right = it.source();
        const auto shared = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
            const bool bias = name.ends_with("pos_embedding.embedding.weight");
            return right(bias ? "blocks.0.pos_embedding.embedding.weight" : name, shape);
        };
        EXPECT_LE(with_source(it, right), it.tolerance());
        EXPECT_GT(with_source(it, shared), 100 * it.tolerance());
    }
}

TEST_F(Trap10, ScoresAreNotScaled) {
    for (const Umt5Case& it : Umt5Case::all()) {
        const auto right = it.source();
        const auto scaled = [&](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
            auto tensor = right(name, shape);
            if (tensor && name.ends_with("attn.q.weight")) return *tensor / std::sqrt(double{1} * it.config.head_dim);
            return tensor;
        };
        EXPECT_GT(with_source(it, scaled), 100 * it.tolerance());
    }
}

TEST_F(Trap10, PaddingIsNotReadAndItsRowsAreZero) {
    for (const Umt5Case& it : Umt5Case::all()) {
        const Umt5Encoder encoder = it.load(TextPlacement::resident);
        for (const Umt5Sequence& sequence : it.sequences) {
            const at::Tensor expected = it.golden.output(sequence.output);
            const auto real = static_cast<std::int64_t>(sequence.ids.size());
            EXPECT_EQ(expected.narrow(0, real, expected.size(0) - real).count_nonzero().item<std::int64_t>(), 0);
            auto padded = sequence.ids;
            padded.resize(padded.size() + 3, 0);
            const at::Tensor got = encoder.encode(padded).narrow(0, 0, real);
            const at::Tensor rows = expected.narrow(0, 0, real);
            EXPECT_GT(((got - rows).abs().max() / rows.abs().max()).item<double>(), 100 * it.tolerance());
        }
    }
}

TEST_F(Trap10, EndTokenIsPartOfTheText) {
    for (const Umt5Case& it : Umt5Case::all()) {
        const Umt5Encoder encoder = it.load(TextPlacement::resident);
        for (const Umt5Sequence& sequence : it.sequences) {
            auto without = sequence.ids;
            without.pop_back();
            const auto real = static_cast<std::int64_t>(without.size());
            const at::Tensor rows = it.golden.output(sequence.output).narrow(0, 0, real);
            const at::Tensor got = encoder.encode(without);
            EXPECT_GT(((got - rows).abs().max() / rows.abs().max()).item<double>(), 100 * it.tolerance());
        }
    }
}

TEST(Umt5Load, ADifferentCheckpointIsRefusedWithItsDifferences) {
    const Umt5Case it(golden_folders("umt5").front());
    const auto right = it.source();
    const auto t5 = [&](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        if (name == "blocks.1.pos_embedding.embedding.weight") return Error{ErrorCode::bad_input, "no tensor " + name};
        return right(name, shape);
    };
    const auto loaded = Umt5Encoder::load(it.config, t5, at::kCPU, at::kFloat, TextPlacement::streamed);
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message.find("blocks.1.pos_embedding"), std::string::npos) << loaded.error().message;
}

// The published sizes and names.
TEST(Umt5Config, TensorsOfXxl) {
    const auto shapes = Umt5Config{}.tensor_shapes();
    EXPECT_EQ(shapes.size(), 2u + 24 * 10);
    EXPECT_EQ(shapes.at("token_embedding.weight"), (std::vector<std::int64_t>{256384, 4096}));
    EXPECT_EQ(shapes.at("blocks.23.ffn.gate.0.weight"), (std::vector<std::int64_t>{10240, 4096}));
    EXPECT_EQ(shapes.at("blocks.23.pos_embedding.embedding.weight"), (std::vector<std::int64_t>{32, 64}));
    std::int64_t blocks = 0;
    for (const auto& [name, shape] : shapes) {
        std::int64_t numel = 1;
        for (const auto size : shape) numel *= size;
        if (name.starts_with("blocks.")) blocks += numel;
    }
    EXPECT_NEAR(static_cast<double>(blocks) * 2, 9.26e9, 0.01e9);
}

} // namespace
} // namespace wander::testing
