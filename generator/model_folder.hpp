#pragma once
// A model folder: config.json, dit.safetensors, vae.safetensors, text_embedding.safetensors. docs/formats.md, "Model
// folder".
//
// Only read here; weights stay in their files until they are asked for. Any thread.

#include "generator/rollout/rollout.hpp"
#include "generator/wan/dit.hpp"
#include "generator/wan/vae.hpp"

#include <filesystem>
#include <string>

namespace wander {

struct ModelFolder {
    std::filesystem::path folder;
    std::string name;
    DitConfig dit;
    VaeConfig vae;
    SamplerConfig sampler;
    int latent_rows = 0;
    int latent_cols = 0;
    double fps = 16;
    int chunk_latents = 3;
    int page_latents = 3;
    int sink_latents = 0;
    int window_latents = 0; // last latents that are visible, sink and chunk not counted; 0: everything

    // bad_input with file and key for anything missing, foreign or out of range.
    static Result<ModelFolder> read(const std::filesystem::path& folder);

    // [L, text_dim], L at most text_len.
    Result<at::Tensor> text_embedding() const;
};

} // namespace wander
