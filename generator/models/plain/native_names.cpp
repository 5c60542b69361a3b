#include "generator/models/native_names.hpp"

#include <charconv>
#include <span>

namespace wander {
namespace {

struct Pair {
    std::string_view theirs;
    std::string_view native;
};

// Takes `prefix` off `text`; false and unchanged where it does not begin so.
bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

// Takes a number and the '.' behind it.
bool take_number(std::string_view& text, int& number) {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto length = static_cast<std::size_t>(end - text.data());
    if (code != std::errc{} || number < 0 || length >= text.size() || text[length] != '.') return false;
    text.remove_prefix(length + 1);
    return true;
}

// The whole name, or a stem with something like ".weight" behind it.
std::optional<std::string> replace_stem(std::string_view name, std::span<const Pair> pairs) {
    for (const Pair& pair : pairs) {
        std::string_view rest = name;
        if (take(rest, pair.theirs) && (rest == ".weight" || rest == ".bias" || rest == ".gamma" || rest.empty()))
            return std::string(pair.native) + std::string(rest);
    }
    return std::nullopt;
}

constexpr Pair kDitTop[] = {
    {"patch_embedding", "patch_embedding"},
    {"condition_embedder.text_embedder.linear_1", "text_embedding.0"},
    {"condition_embedder.text_embedder.linear_2", "text_embedding.2"},
    {"condition_embedder.time_embedder.linear_1", "time_embedding.0"},
    {"condition_embedder.time_embedder.linear_2", "time_embedding.2"},
    {"condition_embedder.time_proj", "time_projection.1"},
    {"condition_embedder.action_embedder.linear_1", "action_in.mlp.0"},
    {"condition_embedder.action_embedder.linear_2", "action_in.mlp.2"},
    {"scale_shift_table", "head.modulation"},
    {"proj_out", "head.head"},
};

constexpr Pair kDitBlock[] = {
    {"scale_shift_table", "modulation"},
    {"norm2", "norm3"}, // the two libraries number the norms differently
    {"attn1.to_q", "self_attn.q"},
    {"attn1.to_k", "self_attn.k"},
    {"attn1.to_v", "self_attn.v"},
    {"attn1.to_out.0", "self_attn.o"},
    {"attn1.to_out_prope.0", "self_attn.prope_proj"},
    {"attn1.norm_q", "self_attn.norm_q"},
    {"attn1.norm_k", "self_attn.norm_k"},
    {"attn2.to_q", "cross_attn.q"},
    {"attn2.to_k", "cross_attn.k"},
    {"attn2.to_v", "cross_attn.v"},
    {"attn2.to_out.0", "cross_attn.o"},
    {"attn2.norm_q", "cross_attn.norm_q"},
    {"attn2.norm_k", "cross_attn.norm_k"},
    {"ffn.net.0.proj", "ffn.0"},
    {"ffn.net.2", "ffn.2"},
};

constexpr Pair kVaeTop[] = {
    {"quant_conv", "conv1"},
    {"post_quant_conv", "conv2"},
};

constexpr Pair kVaeHalf[] = {
    {"conv_in", "conv1"},
    {"norm_out", "head.0"},
    {"conv_out", "head.2"},
};

constexpr Pair kVaeResidual[] = {
    {"norm1", "residual.0"}, {"conv1", "residual.2"},       {"norm2", "residual.3"},
    {"conv2", "residual.6"}, {"conv_shortcut", "shortcut"},
};

constexpr Pair kVaeAttention[] = {
    {"norm", "norm"},
    {"to_qkv", "to_qkv"},
    {"proj", "proj"},
};

constexpr Pair kVaeResample[] = {
    {"resample.1", "resample.1"},
    {"time_conv", "time_conv"},
};

constexpr Pair kUmt5Top[] = {
    {"shared", "token_embedding"},
    {"encoder.final_layer_norm", "norm"},
};

constexpr Pair kUmt5Block[] = {
    {"layer.0.layer_norm", "norm1"},
    {"layer.0.SelfAttention.q", "attn.q"},
    {"layer.0.SelfAttention.k", "attn.k"},
    {"layer.0.SelfAttention.v", "attn.v"},
    {"layer.0.SelfAttention.o", "attn.o"},
    {"layer.0.SelfAttention.relative_attention_bias", "pos_embedding.embedding"},
    {"layer.1.layer_norm", "norm2"},
    {"layer.1.DenseReluDense.wi_0", "ffn.gate.0"},
    {"layer.1.DenseReluDense.wi_1", "ffn.fc1"},
    {"layer.1.DenseReluDense.wo", "ffn.fc2"},
};

std::optional<std::string> below(const std::string& prefix, std::string_view rest, std::span<const Pair> pairs) {
    auto name = replace_stem(rest, pairs);
    if (name) name->insert(0, prefix);
    return name;
}

// What both VAEs share: the ends of a half and its middle.
std::optional<std::string> native_vae_ends(const std::string& half, std::string_view rest) {
    if (auto name = below(half + ".", rest, kVaeHalf)) return name;
    int block = 0;
    if (!take(rest, "mid_block.")) return std::nullopt;
    if (take(rest, "attentions.0.")) return below(half + ".middle.1.", rest, kVaeAttention);
    // Two residual blocks, with the attention between them.
    if (take(rest, "resnets.") && take_number(rest, block) && block < 2)
        return below(half + ".middle." + std::to_string(2 * block) + ".", rest, kVaeResidual);
    return std::nullopt;
}

std::optional<std::string> native_vae_half(const std::string& half, std::string_view rest) {
    if (auto name = native_vae_ends(half, rest)) return name;
    int level = 0;
    int block = 0;
    if (half == "encoder" && take(rest, "down_blocks.") && take_number(rest, block)) {
        const std::string prefix = "encoder.downsamples." + std::to_string(block) + ".";
        if (auto name = below(prefix, rest, kVaeResidual)) return name;
        return below(prefix, rest, kVaeResample);
    } else if (half == "decoder" && take(rest, "up_blocks.") && take_number(rest, level) && level < 64) {
        // A level is three residual blocks and, but for the last, what enlarges: one flat list in the native file.
        if (take(rest, "resnets.") && take_number(rest, block) && block < 3)
            return below("decoder.upsamples." + std::to_string(4 * level + block) + ".", rest, kVaeResidual);
        if (take(rest, "upsamplers.0."))
            return below("decoder.upsamples." + std::to_string(4 * level + 3) + ".", rest, kVaeResample);
    }
    return std::nullopt;
}

// Levels are lists within a list: the residual blocks, then what changes the size.
std::optional<std::string> native_vae22_half(const std::string& half, std::string_view rest) {
    if (auto name = native_vae_ends(half, rest)) return name;
    const bool encoder = half == "encoder";
    const int blocks = encoder ? 2 : 3;
    int level = 0;
    int block = 0;
    if (!take(rest, encoder ? "down_blocks." : "up_blocks.") || !take_number(rest, level)) return std::nullopt;
    const std::string list = encoder ? "downsamples." : "upsamples.";
    const std::string prefix = half + "." + list + std::to_string(level) + "." + list;
    if (take(rest, "resnets.") && take_number(rest, block) && block < blocks)
        return below(prefix + std::to_string(block) + ".", rest, kVaeResidual);
    if (take(rest, encoder ? "downsampler." : "upsampler."))
        return below(prefix + std::to_string(blocks) + ".", rest, kVaeResample);
    return std::nullopt;
}

} // namespace

std::string bare_checkpoint_key(std::string key) {
    for (const std::string_view wrapper : {"_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod."}) {
        for (auto at = key.find(wrapper); at != std::string::npos; at = key.find(wrapper, at))
            key.erase(at, wrapper.size());
    }
    for (const std::string_view prefix : {"model.", "net."}) {
        if (key.starts_with(prefix)) return key.substr(prefix.size());
    }
    return key;
}

std::optional<std::string> native_dit_name(std::string_view name) {
    if (auto top = replace_stem(name, kDitTop)) return top;
    int block = 0;
    if (!take(name, "blocks.") || !take_number(name, block)) return std::nullopt;
    return below("blocks." + std::to_string(block) + ".", name, kDitBlock);
}

std::optional<std::string> native_vae_name(std::string_view name) {
    if (auto top = replace_stem(name, kVaeTop)) return top;
    if (take(name, "encoder.")) return native_vae_half("encoder", name);
    if (take(name, "decoder.")) return native_vae_half("decoder", name);
    return std::nullopt;
}

std::optional<std::string> native_vae22_name(std::string_view name) {
    if (auto top = replace_stem(name, kVaeTop)) return top;
    if (take(name, "encoder.")) return native_vae22_half("encoder", name);
    if (take(name, "decoder.")) return native_vae22_half("decoder", name);
    return std::nullopt;
}

std::optional<std::string> native_umt5_name(std::string_view name) {
    if (auto top = replace_stem(name, kUmt5Top)) return top;
    int block = 0;
    if (!take(name, "encoder.block.") || !take_number(name, block)) return std::nullopt;
    return below("blocks." + std::to_string(block) + ".", name, kUmt5Block);
}

} // namespace wander
