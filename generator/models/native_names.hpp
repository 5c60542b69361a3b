#pragma once
// Tensor names of published files, turned into the native Wan names that the networks load (self-forcing.md 2.1, 3,
// 7.2, 8.3, 8.7). Names only: tensors are the same under both. Pure, any thread.

#include <optional>
#include <string>
#include <string_view>

namespace wander {

// "model._fsdp_wrapped_module.blocks.0.x" -> "blocks.0.x": wrappers of training are taken out wherever they stand, then
// one leading "model." or "net.".
std::string bare_checkpoint_key(std::string key);

// Names of the diffusers and transformers libraries -> native; nothing for a name that has no native form.
// Transformer: their norm2 is the native norm3 (the affine norm before cross attention). VAEs: 2 residual blocks a
// level of the encoder and 3 of the decoder, as published.
std::optional<std::string> native_dit_name(std::string_view name);   // WAN-5B's additions too
std::optional<std::string> native_vae_name(std::string_view name);   // Wan 2.1's
std::optional<std::string> native_vae22_name(std::string_view name); // Wan 2.2's
std::optional<std::string> native_umt5_name(std::string_view name);

} // namespace wander
