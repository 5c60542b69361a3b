#include "generator/wan/wan5b_names.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include <utility>

namespace wander {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

// Stems, what follows them is the same on both sides (".weight", ".bias").
constexpr Pair kTop[] = {
    {"patch_embedding", "patch_embedding"},
    {"time_embedding.0", "condition_embedder.time_embedder.linear_1"},
    {"time_embedding.2", "condition_embedder.time_embedder.linear_2"},
    {"time_projection.1", "condition_embedder.time_proj"},
    {"text_embedding.0", "condition_embedder.text_embedder.linear_1"},
    {"text_embedding.2", "condition_embedder.text_embedder.linear_2"},
    {"action_in.mlp.0", "condition_embedder.action_embedder.linear_1"},
    {"action_in.mlp.2", "condition_embedder.action_embedder.linear_2"},
    {"head.head", "proj_out"},
    {"head.modulation", "scale_shift_table"},
};

constexpr Pair kBlock[] = {
    {"modulation", "scale_shift_table"},
    {"self_attn.q", "attn1.to_q"},
    {"self_attn.k", "attn1.to_k"},
    {"self_attn.v", "attn1.to_v"},
    {"self_attn.o", "attn1.to_out.0"},
    {"self_attn.prope_proj", "attn1.to_out_prope.0"},
    {"self_attn.norm_q", "attn1.norm_q"},
    {"self_attn.norm_k", "attn1.norm_k"},
    {"cross_attn.q", "attn2.to_q"},
    {"cross_attn.k", "attn2.to_k"},
    {"cross_attn.v", "attn2.to_v"},
    {"cross_attn.o", "attn2.to_out.0"},
    {"cross_attn.norm_q", "attn2.norm_q"},
    {"cross_attn.norm_k", "attn2.norm_k"},
    {"norm3", "norm2"},
    {"ffn.0", "ffn.net.0.proj"},
    {"ffn.2", "ffn.net.2"},
};

template <std::size_t N>
std::optional<std::string> replaced(std::string_view name, const Pair (&pairs)[N]) {
    for (const auto& [ours, theirs] : pairs) {
        const std::string_view rest = name.substr(std::min(ours.size(), name.size()));
        if (name.starts_with(ours) && (rest.empty() || rest == ".weight" || rest == ".bias"))
            return fmt::format("{}{}", theirs, rest);
    }
    return std::nullopt;
}

} // namespace

DitConfig wan5b_config() {
    DitConfig config;
    config.dim = 3072;
    config.layers = 30;
    config.heads = 24;
    config.head_dim = 128;
    config.ffn = 14336;
    config.channels = 48;
    config.rope_time_channels = 44;
    config.rope_row_channels = 42;
    config.rope_col_channels = 42;
    config.text_dim = 4096;
    config.text_len = 512;
    config.action_label = true;
    config.prope = true;
    return config;
}

std::optional<std::string> wan5b_name(std::string_view native) {
    constexpr std::string_view kBlocks = "blocks.";
    if (!native.starts_with(kBlocks)) return replaced(native, kTop);
    const std::size_t dot = native.find('.', kBlocks.size());
    if (dot == std::string_view::npos) return std::nullopt;
    const auto inside = replaced(native.substr(dot + 1), kBlock);
    if (!inside) return std::nullopt;
    return fmt::format("{}{}", native.substr(0, dot + 1), *inside);
}

WanDit::TensorSource wan5b_source(WanDit::TensorSource published) {
    return with_second_bias([published = std::move(published)](
                                const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        const auto theirs = wan5b_name(name);
        if (!theirs) return Error{ErrorCode::bad_input, fmt::format("WAN-5B has no tensor {}", name)};
        return published(*theirs, shape);
    });
}

WanDit::TensorSource with_second_bias(WanDit::TensorSource native) {
    return [native = std::move(native)](const std::string& name,
                                        const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        auto tensor = native(name, shape);
        if (!tensor || !name.ends_with(".self_attn.o.bias")) return tensor;
        auto bias = native(name.substr(0, name.size() - std::string_view("o.bias").size()) + "prope_proj.bias", shape);
        if (!bias) return bias;
        return at::Tensor(tensor->to(at::kFloat) + bias->to(at::kFloat));
    };
}

} // namespace wander
