#pragma once
// The goldens of the umT5 encoder in one form: `umt5` (native names, ids in the case) and `umt5-encoder` (names of the
// transformers library, ids in the outputs).

#include "generator/text/umt5_weights.hpp"
#include "tests/support/golden.hpp"

#include <algorithm>

namespace wander::testing {

struct Umt5Sequence {
    std::string output; // [tokens, dim]; rows past the real ones, where there are any, are zeros
    std::vector<int> ids;
};

class Umt5Case {
public:
    explicit Umt5Case(const std::filesystem::path& folder) : golden(folder) {
        const auto& c = golden.config();
        native_ = !c.contains("d_model");
        const auto number = [&](const char* native, const char* other) {
            return c.at(native_ ? native : other).get<int>();
        };
        config.vocab = number("vocab", "vocab_size");
        config.dim = number("dim", "d_model");
        config.heads = number("heads", "num_heads");
        config.head_dim = number("head_dim", "d_kv");
        config.layers = number("layers", "num_layers");
        config.ffn = number("ffn", "d_ff");
        config.buckets = c.at("buckets");
        config.max_distance = c.at("max_distance");
        config.eps = c.at("eps");
        if (native_) {
            for (const auto& sequence : c.at("sequences")) {
                auto ids = sequence.at("ids").get<std::vector<int>>();
                ids.resize(sequence.at("valid").get<std::size_t>());
                sequences.push_back({sequence.at("name").get<std::string>() + "/out", ids});
            }
        } else {
            for (const std::string name : {"short", "long"}) {
                const at::Tensor ids = golden.output("ids_" + name).to(at::kInt);
                const int* first = ids.const_data_ptr<int>();
                sequences.push_back({name, std::vector<int>(first, first + c.at(name).at(1).get<int>())});
            }
        }
    }

    static std::vector<Umt5Case> all() {
        std::vector<Umt5Case> cases;
        for (const auto& folder : golden_folders("umt5")) cases.emplace_back(folder);
        return cases;
    }

    double tolerance() const {
        double value = 0;
        if (native_) return golden.tolerance();
        for (const auto& sequence : sequences) value = std::max(value, golden.tolerance_of(sequence.output));
        return value;
    }

    auto source() const {
        return golden.source(native_ ? std::function<std::string(const std::string&)>{} : transformers_name);
    }

    Umt5Encoder load(TextPlacement placement, at::Device device = at::kCPU, at::ScalarType compute = at::kFloat) const {
        return unwrap(Umt5Encoder::load(config, source(), device, compute, placement));
    }

    // max |a - b| / max |b| of all sequences: our rows, then zeros, against the output.
    double worst(const Umt5Encoder& encoder) const {
        double largest = 0;
        for (const Umt5Sequence& sequence : sequences) {
            const at::Tensor expected = golden.output(sequence.output).to(at::kDouble);
            at::Tensor got = at::zeros_like(expected);
            const at::Tensor rows = encoder.encode(sequence.ids).to(at::kCPU, at::kDouble);
            EXPECT_EQ(rows.size(0), static_cast<std::int64_t>(sequence.ids.size()));
            got.narrow(0, 0, rows.size(0)).copy_(rows);
            largest = std::max(largest, ((got - expected).abs().max() / expected.abs().max()).item<double>());
        }
        return largest;
    }

    // self-forcing.md 7.2
    static std::string transformers_name(const std::string& native) {
        if (native == "token_embedding.weight") return "shared.weight";
        if (native == "norm.weight") return "encoder.final_layer_norm.weight";
        const std::size_t dot = native.find('.', 7); // behind "blocks."
        const std::string block = "encoder.block." + native.substr(7, dot - 7) + ".layer.";
        const std::string rest = native.substr(dot + 1);
        if (rest == "norm1.weight") return block + "0.layer_norm.weight";
        if (rest == "norm2.weight") return block + "1.layer_norm.weight";
        if (rest == "pos_embedding.embedding.weight") return block + "0.SelfAttention.relative_attention_bias.weight";
        if (rest.starts_with("attn.")) return block + "0.SelfAttention." + rest.substr(5);
        if (rest == "ffn.gate.0.weight") return block + "1.DenseReluDense.wi_0.weight";
        if (rest == "ffn.fc1.weight") return block + "1.DenseReluDense.wi_1.weight";
        return block + "1.DenseReluDense.wo.weight";
    }

    GoldenCase golden;
    Umt5Config config;
    std::vector<Umt5Sequence> sequences;

private:
    bool native_ = true;
};

} // namespace wander::testing
