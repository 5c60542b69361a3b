#pragma once
// Which pages of the cache are packed, and how they are read: what a person may choose beside the format. No torch
// here.

#include "generator/plain/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wander::quant {

// Layers [first_layer, last_layer] in another format than the selected one, as long as that one packs.
struct LayerFormat {
    int first_layer = 0;
    int last_layer = 0;
    std::string format;
    bool operator==(const LayerFormat&) const = default;
};

// What a GPU multiplies in while it attends. fp8: queries, keys, values and probabilities as E4M3; faster than BF16,
// and each layer's result is off by some percent (docs/performance.md). Only where cuDNN has it (compute
// capability 9.0), only for BF16 caches of pictures of at least 256 tokens. fp8_emulated: the same roundings one by
// one, for BF16 caches of any picture on any device; slow, for measuring what they cost (wander evaluate --fp8).
enum class AttentionType : std::uint8_t { bf16, fp8, fp8_emulated };
inline const char* attention_name(AttentionType type) {
    return type == AttentionType::fp8 ? "fp8" : type == AttentionType::bf16 ? "bf16" : "fp8, emulated";
}

struct CacheRules {
    std::vector<LayerFormat> layer_formats; // later entries win
    int keep_recent = 1;                    // newest chunks that stay uncompressed; 0: all are packed at their commit
    bool keep_sink = true;                  // the sink stays uncompressed
    bool bias_correction = false;           // logits of packed keys, see quant/cache/logit_bias.hpp
    bool operator==(const CacheRules&) const = default;
};

// Some of the rules; absent: stays as it is.
struct CacheRulesChange {
    std::optional<std::vector<LayerFormat>> layer_formats;
    std::optional<int> keep_recent;
    std::optional<bool> keep_sink;
    std::optional<bool> bias_correction;

    bool empty() const { return *this == CacheRulesChange{}; }
    void apply_to(CacheRules& rules) const;
    void add(const CacheRulesChange& later); // both, one after the other
    bool operator==(const CacheRulesChange&) const = default;
};

// What leads from one to the other.
CacheRulesChange difference(const CacheRules& from, const CacheRules& to);

inline constexpr int kMaxKeepRecent = 1 << 20;
inline constexpr int kMaxLayer = (1 << 20) - 1;

// "0-1:int8,5:bf16": layers from 0 on, each with the format of its pages. Empty text: no table. wrong_use names the
// entry; whether layers and formats exist only the cache knows.
Result<std::vector<LayerFormat>> parse_layer_formats(const std::string& text);
std::string layer_formats_text(const std::vector<LayerFormat>& table);

} // namespace wander::quant
