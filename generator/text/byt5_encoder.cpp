#include "generator/text/byt5_encoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace wander {
namespace {

constexpr std::string_view kTower = "module.text_tower.encoder.";
constexpr std::string_view kTable = "token_embedding.weight";

// "block.3.layer.0.SelfAttention.q.weight" -> "blocks.3.attn.q.weight"; empty where there is no such tensor.
std::string native_block_name(std::string_view name) {
    static const std::map<std::string_view, std::string_view> kParts = {
        {"layer.0.layer_norm.weight", "norm1.weight"},
        {"layer.0.SelfAttention.q.weight", "attn.q.weight"},
        {"layer.0.SelfAttention.k.weight", "attn.k.weight"},
        {"layer.0.SelfAttention.v.weight", "attn.v.weight"},
        {"layer.0.SelfAttention.o.weight", "attn.o.weight"},
        {"layer.0.SelfAttention.relative_attention_bias.weight", "pos_embedding.embedding.weight"},
        {"layer.1.layer_norm.weight", "norm2.weight"},
        {"layer.1.DenseReluDense.wi_0.weight", "ffn.gate.0.weight"},
        {"layer.1.DenseReluDense.wi_1.weight", "ffn.fc1.weight"},
        {"layer.1.DenseReluDense.wo.weight", "ffn.fc2.weight"},
    };
    constexpr std::string_view kBlock = "block.";
    if (!name.starts_with(kBlock)) return {};
    name.remove_prefix(kBlock.size());
    const std::size_t dot = std::min(name.find('.'), name.size());
    const auto part = kParts.find(name.substr(std::min(dot + 1, name.size())));
    if (part == kParts.end()) return {};
    return fmt::format("blocks.{}.{}", name.substr(0, dot), part->second);
}

// byt5_small() with what the shapes say otherwise; a check of all shapes follows.
Umt5Config sizes_of(const CheckpointPart::Shapes& shapes) {
    const auto matrix = [&](const std::string& name) -> std::pair<int, int> { // 1 x 1 where it is none
        const auto found = shapes.find(name);
        if (found == shapes.end() || found->second.size() != 2) return {1, 1};
        const auto size = [&](std::size_t axis) {
            return static_cast<int>(std::clamp<std::int64_t>(found->second[axis], 1, 1 << 24));
        };
        return {size(0), size(1)};
    };
    Umt5Config config = byt5_small();
    std::tie(config.vocab, config.dim) = matrix(std::string(kTable));
    std::tie(config.buckets, config.heads) = matrix("blocks.0.pos_embedding.embedding.weight");
    config.head_dim = matrix("blocks.0.attn.q.weight").first / config.heads;
    config.ffn = matrix("blocks.0.ffn.fc1.weight").first;
    config.layers = 0;
    while (shapes.contains(fmt::format("blocks.{}.norm1.weight", config.layers))) ++config.layers;
    return config;
}

} // namespace

Umt5Config byt5_small() {
    Umt5Config config;
    config.vocab = 0;
    config.dim = 1472;
    config.heads = 6;
    config.head_dim = 64;
    config.layers = 12;
    config.ffn = 3584;
    config.shared_bias = true;
    return config;
}

TensorRole glyph_tensor_role(std::string_view name) {
    if (const std::size_t nested = name.rfind('/'); nested != std::string_view::npos) name.remove_prefix(nested + 1);
    const bool published = name.starts_with(kTower);
    if (published) {
        name.remove_prefix(kTower.size());
    } else if (name == "shared.weight") {
        return {.native = std::string(kTable), .tied = true};
    } else if (name.starts_with("encoder.")) {
        name.remove_prefix(std::string_view("encoder.").size());
    } else {
        // The rest of a training state; what this encoder needs is asked for afterwards.
        return {.extra = std::string(name.substr(0, name.find('.')))};
    }
    if (name == "embed_tokens.weight") return {.native = std::string(kTable), .tied = true};
    if (name == "final_layer_norm.weight") return {.native = "norm.weight"};
    return {.native = native_block_name(name)};
}

Result<GlyphWeights> open_glyph_weights(const std::filesystem::path& path) {
    const std::string what = "the glyph encoder (byT5 of Glyph-SDXL-v2)";
    auto file = TensorFile::open(path);
    if (!file) return file.error();
    auto part = open_checkpoint_part(*file, glyph_tensor_role, what);
    if (!part) return part.error();
    GlyphWeights weights{{}, std::move(*part)};
    weights.config = sizes_of(weights.part.shapes);
    if (auto fits = weights.part.check(weights.config.tensor_shapes(), what); !fits) return fits.error();
    if (weights.config.layers == 0 || weights.config.buckets % 4 != 0) {
        return Error{ErrorCode::bad_input, fmt::format("{}: does not hold {}", path.string(), what)};
    }
    if (weights.config.vocab <= kByT5OwnRows) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: this is byT5-small itself (a table of {} rows); wanted are the weights of "
                                 "Glyph-SDXL-v2, checkpoints/byt5_model.pt",
                                 path.string(), weights.config.vocab)};
    }
    return weights;
}

} // namespace wander
