#include "quant/cache/cache_checks.hpp"

namespace wander::quant {

Result<void> check_shape(const CacheShape& shape, at::Device device, at::ScalarType compute) {
    if (shape.layers <= 0 || shape.heads <= 0 || shape.head_dim <= 0 || shape.head_dim % 2 != 0 ||
        shape.tokens_per_latent <= 0 || shape.page_latents <= 0 || shape.sink_latents < 0) {
        return Error{ErrorCode::wrong_use,
                     "KV cache: layers, heads, an even head dimension, tokens and page latents must be positive"};
    }
    if (compute != at::kFloat && compute != at::kBFloat16 && !(compute == at::kDouble && device.is_cpu())) {
        return Error{ErrorCode::wrong_use, "KV cache: the compute type must be float, bfloat16, or double on the CPU"};
    }
    if (device.is_cuda() && shape.head_dim % 8 != 0) {
        return Error{ErrorCode::wrong_use, "KV cache: on a GPU the head dimension must be a multiple of 8"};
    }
    return {};
}

Result<const PageFormat*> find_format(const std::string& name, const CacheShape& shape, at::ScalarType compute) {
    const FormatRegistry& registry = FormatRegistry::instance();
    const PageFormat* format = registry.find(name);
    if (!format) {
        return Error{ErrorCode::wrong_use, "cache format \"" + name + "\" is unknown; there are: " + registry.names()};
    }
    if (format->packed() && compute == at::kDouble) {
        return Error{ErrorCode::wrong_use,
                     "cache format \"" + name + "\" does not hold double precision; use bf16 (uncompressed)"};
    }
    for (const bool is_key : {true, false}) {
        const int tokens = shape.page_latents * shape.tokens_per_latent;
        const PageShape page{tokens, shape.heads, shape.head_dim, is_key, compute, shape.tokens_per_latent};
        if (auto fits = format->supports(page); !fits) {
            return fits.error();
        }
    }
    return format;
}

Result<void> check_rules(const CacheRules& rules, const CacheShape& shape, at::ScalarType compute) {
    if (rules.keep_recent < 0) {
        return Error{ErrorCode::wrong_use, "KV cache: as many recent chunks as stay uncompressed cannot be negative"};
    }
    for (const LayerFormat& entry : rules.layer_formats) {
        if (entry.first_layer < 0 || entry.last_layer < entry.first_layer || entry.last_layer >= shape.layers) {
            return Error{ErrorCode::wrong_use, "KV cache: layers " + std::to_string(entry.first_layer) + "-" +
                                                   std::to_string(entry.last_layer) + " are not among the " +
                                                   std::to_string(shape.layers) + " of this model"};
        }
        if (auto format = find_format(entry.format, shape, compute); !format) {
            return format.error();
        }
    }
    return {};
}

} // namespace wander::quant
