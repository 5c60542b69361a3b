#pragma once
// Native Wan names -> those of diffusers and transformers: the other direction of generator/models/native_names.hpp,
// written on its own, for folders that tests make.

#include <cstdlib>
#include <regex>
#include <string>
#include <utility>
#include <vector>

namespace wander::test {

using Replacements = std::vector<std::pair<std::string, std::string>>;

// The first expression that matches the whole name decides.
inline std::string rename(const std::string& name, const Replacements& rules) {
    for (const auto& [from, to] : rules) {
        const std::regex expression(from);
        if (std::regex_match(name, expression)) return std::regex_replace(name, expression, to);
    }
    std::abort(); // no such native tensor
}

inline std::string diffusers_dit_name(const std::string& native) {
    static const Replacements rules = {
        {R"((patch_embedding\..*))", "$1"},
        {R"(text_embedding\.0\.(.*))", "condition_embedder.text_embedder.linear_1.$1"},
        {R"(text_embedding\.2\.(.*))", "condition_embedder.text_embedder.linear_2.$1"},
        {R"(time_embedding\.0\.(.*))", "condition_embedder.time_embedder.linear_1.$1"},
        {R"(time_embedding\.2\.(.*))", "condition_embedder.time_embedder.linear_2.$1"},
        {R"(time_projection\.1\.(.*))", "condition_embedder.time_proj.$1"},
        {R"(head\.modulation)", "scale_shift_table"},
        {R"(action_in\.mlp\.0\.(.*))", "condition_embedder.action_embedder.linear_1.$1"},
        {R"(action_in\.mlp\.2\.(.*))", "condition_embedder.action_embedder.linear_2.$1"},
        {R"((blocks\.\d+)\.self_attn\.prope_proj\.(.*))", "$1.attn1.to_out_prope.0.$2"},
        {R"(head\.head\.(.*))", "proj_out.$1"},
        {R"((blocks\.\d+)\.modulation)", "$1.scale_shift_table"},
        {R"((blocks\.\d+)\.norm3\.(.*))", "$1.norm2.$2"},
        {R"((blocks\.\d+)\.self_attn\.o\.(.*))", "$1.attn1.to_out.0.$2"},
        {R"((blocks\.\d+)\.cross_attn\.o\.(.*))", "$1.attn2.to_out.0.$2"},
        {R"((blocks\.\d+)\.self_attn\.([qkv])\.(.*))", "$1.attn1.to_$2.$3"},
        {R"((blocks\.\d+)\.cross_attn\.([qkv])\.(.*))", "$1.attn2.to_$2.$3"},
        {R"((blocks\.\d+)\.self_attn\.(norm_[qk]\..*))", "$1.attn1.$2"},
        {R"((blocks\.\d+)\.cross_attn\.(norm_[qk]\..*))", "$1.attn2.$2"},
        {R"((blocks\.\d+)\.ffn\.0\.(.*))", "$1.ffn.net.0.proj.$2"},
        {R"((blocks\.\d+)\.ffn\.2\.(.*))", "$1.ffn.net.2.$2"},
    };
    return rename(native, rules);
}

// Within a residual block of either VAE.
inline const Replacements kVaeResidual = {
    {R"((.*)\.residual\.0\.(.*))", "$1.norm1.$2"},      {R"((.*)\.residual\.2\.(.*))", "$1.conv1.$2"},
    {R"((.*)\.residual\.3\.(.*))", "$1.norm2.$2"},      {R"((.*)\.residual\.6\.(.*))", "$1.conv2.$2"},
    {R"((.*)\.shortcut\.(.*))", "$1.conv_shortcut.$2"}, {R"((.*))", "$1"},
};

inline std::string diffusers_vae_name(std::string native) {
    // decoder.upsamples.I: four entries a level, three of them residual.
    static const std::regex flat(R"(decoder\.upsamples\.(\d+)\.(.*))");
    std::smatch parts;
    if (std::regex_match(native, parts, flat)) {
        const int index = std::stoi(parts[1]);
        const std::string level = "decoder.up_blocks." + std::to_string(index / 4) + ".";
        native =
            level + (index % 4 == 3 ? "upsamplers.0." : "resnets." + std::to_string(index % 4) + ".") + parts[2].str();
    }
    static const Replacements rules = {
        {R"(conv1\.(.*))", "quant_conv.$1"},
        {R"(conv2\.(.*))", "post_quant_conv.$1"},
        {R"((encoder|decoder)\.conv1\.(.*))", "$1.conv_in.$2"},
        {R"((encoder|decoder)\.head\.0\.(.*))", "$1.norm_out.$2"},
        {R"((encoder|decoder)\.head\.2\.(.*))", "$1.conv_out.$2"},
        {R"((encoder|decoder)\.middle\.0\.(.*))", "$1.mid_block.resnets.0.$2"},
        {R"((encoder|decoder)\.middle\.1\.(.*))", "$1.mid_block.attentions.0.$2"},
        {R"((encoder|decoder)\.middle\.2\.(.*))", "$1.mid_block.resnets.1.$2"},
        {R"(encoder\.downsamples\.(.*))", "encoder.down_blocks.$1"},
        {R"((decoder\.up_blocks\..*))", "$1"},
    };
    return rename(rename(native, rules), kVaeResidual);
}

// The Wan 2.2 VAE: levels are lists within a list, the last entry of one changes the size.
inline std::string diffusers_vae22_name(const std::string& native) {
    static const Replacements rules = {
        {R"(conv1\.(.*))", "quant_conv.$1"},
        {R"(conv2\.(.*))", "post_quant_conv.$1"},
        {R"((encoder|decoder)\.conv1\.(.*))", "$1.conv_in.$2"},
        {R"((encoder|decoder)\.head\.0\.(.*))", "$1.norm_out.$2"},
        {R"((encoder|decoder)\.head\.2\.(.*))", "$1.conv_out.$2"},
        {R"((encoder|decoder)\.middle\.0\.(.*))", "$1.mid_block.resnets.0.$2"},
        {R"((encoder|decoder)\.middle\.1\.(.*))", "$1.mid_block.attentions.0.$2"},
        {R"((encoder|decoder)\.middle\.2\.(.*))", "$1.mid_block.resnets.1.$2"},
        {R"(encoder\.downsamples\.(\d)\.downsamples\.2\.(.*))", "encoder.down_blocks.$1.downsampler.$2"},
        {R"(encoder\.downsamples\.(\d)\.downsamples\.(\d)\.(.*))", "encoder.down_blocks.$1.resnets.$2.$3"},
        {R"(decoder\.upsamples\.(\d)\.upsamples\.3\.(.*))", "decoder.up_blocks.$1.upsampler.$2"},
        {R"(decoder\.upsamples\.(\d)\.upsamples\.(\d)\.(.*))", "decoder.up_blocks.$1.resnets.$2.$3"},
    };
    return rename(rename(native, rules), kVaeResidual);
}

inline std::string transformers_umt5_name(const std::string& native) {
    static const Replacements rules = {
        {R"(token_embedding\.weight)", "shared.weight"},
        {R"(norm\.weight)", "encoder.final_layer_norm.weight"},
        {R"(blocks\.(\d+)\.norm1\.weight)", "encoder.block.$1.layer.0.layer_norm.weight"},
        {R"(blocks\.(\d+)\.norm2\.weight)", "encoder.block.$1.layer.1.layer_norm.weight"},
        {R"(blocks\.(\d+)\.attn\.([qkvo])\.weight)", "encoder.block.$1.layer.0.SelfAttention.$2.weight"},
        {R"(blocks\.(\d+)\.pos_embedding\.embedding\.weight)",
         "encoder.block.$1.layer.0.SelfAttention.relative_attention_bias.weight"},
        {R"(blocks\.(\d+)\.ffn\.gate\.0\.weight)", "encoder.block.$1.layer.1.DenseReluDense.wi_0.weight"},
        {R"(blocks\.(\d+)\.ffn\.fc1\.weight)", "encoder.block.$1.layer.1.DenseReluDense.wi_1.weight"},
        {R"(blocks\.(\d+)\.ffn\.fc2\.weight)", "encoder.block.$1.layer.1.DenseReluDense.wo.weight"},
    };
    return rename(native, rules);
}

} // namespace wander::test
