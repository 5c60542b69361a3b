#include "generator/models/part_places.hpp"

namespace wander {
namespace {

using Layout = FoundPart::Layout;

struct Place {
    const char* file;
    Layout layout;
    bool base_model = false;
};

// The order says which file is taken where there are several: ours, then few-step weights, then the base model.
constexpr Place kTransformer[] = {
    {"dit.safetensors", Layout::wander},
    {"self_forcing_dmd.pt", Layout::downloaded},
    {"checkpoints/self_forcing_dmd.pt", Layout::downloaded},
    {"Self-Forcing/checkpoints/self_forcing_dmd.pt", Layout::downloaded},
    {"self_forcing_dmd.safetensors", Layout::downloaded},
    {"transformer/diffusion_pytorch_model.safetensors", Layout::diffusers},
    {"transformer/diffusion_pytorch_model.safetensors.index.json", Layout::diffusers},
    {"diffusion_pytorch_model.safetensors", Layout::downloaded, true},
    {"diffusion_pytorch_model.safetensors.index.json", Layout::downloaded, true},
    {"Wan2.1-T2V-1.3B/diffusion_pytorch_model.safetensors", Layout::downloaded, true},
    {"wan_models/Wan2.1-T2V-1.3B/diffusion_pytorch_model.safetensors", Layout::downloaded, true},
};
constexpr Place kVae[] = {
    {"vae.safetensors", Layout::wander},
    {"Wan2.1_VAE.pth", Layout::downloaded},
    {"Wan2.1-T2V-1.3B/Wan2.1_VAE.pth", Layout::downloaded},
    {"wan_models/Wan2.1-T2V-1.3B/Wan2.1_VAE.pth", Layout::downloaded},
    {"vae/diffusion_pytorch_model.safetensors", Layout::diffusers},
};
constexpr Place kTinyVae[] = {
    {"taehv.safetensors", Layout::wander},
    {"taew2_1.safetensors", Layout::downloaded},
    {"safetensors/taew2_1.safetensors", Layout::downloaded},
    {"taehv/taew2_1.safetensors", Layout::downloaded},
    {"taehv/safetensors/taew2_1.safetensors", Layout::downloaded},
    {"taew2_1.pth", Layout::downloaded},
    {"taehv/taew2_1.pth", Layout::downloaded},
    {"checkpoints/taew2_1.pth", Layout::downloaded},
    {"lighttaew2_1.safetensors", Layout::downloaded},
    {"lighttaew2_1.pth", Layout::downloaded},
};
constexpr Place kTextEncoder[] = {
    {"text_encoder.safetensors", Layout::wander},
    {"models_t5_umt5-xxl-enc-bf16.pth", Layout::downloaded},
    {"Wan2.1-T2V-1.3B/models_t5_umt5-xxl-enc-bf16.pth", Layout::downloaded},
    {"wan_models/Wan2.1-T2V-1.3B/models_t5_umt5-xxl-enc-bf16.pth", Layout::downloaded},
    {"text_encoder/model.safetensors", Layout::diffusers},
    {"text_encoder/model.safetensors.index.json", Layout::diffusers},
};
constexpr Place kTokenizer[] = {
    {"tokenizer.json", Layout::wander},
    {"google/umt5-xxl/tokenizer.json", Layout::downloaded},
    {"Wan2.1-T2V-1.3B/google/umt5-xxl/tokenizer.json", Layout::downloaded},
    {"wan_models/Wan2.1-T2V-1.3B/google/umt5-xxl/tokenizer.json", Layout::downloaded},
    {"tokenizer/tokenizer.json", Layout::diffusers},
};
constexpr Place kTextEmbedding[] = {{"text_embedding.safetensors", Layout::wander}};

std::span<const Place> places_of(PartKind kind) {
    switch (kind) {
        case PartKind::transformer: return kTransformer;
        case PartKind::vae: return kVae;
        case PartKind::tiny_vae: return kTinyVae;
        case PartKind::text_encoder: return kTextEncoder;
        case PartKind::tokenizer: return kTokenizer;
        case PartKind::text_embedding: return kTextEmbedding;
        case PartKind::vision_encoder:
        case PartKind::glyph_encoder: break;
    }
    return {};
}

// Bytes: parameters times the size of their type; float32, but bf16 for the text encoder and float16 for the tiny VAE.
constexpr PartOrigin kOrigins[] = {
    {PartKind::transformer, "Hugging Face", "gdhe17/Self-Forcing", "checkpoints/self_forcing_dmd.pt", 5'675'987'200,
     "self_forcing_dmd.pt"},
    {PartKind::vae, "Hugging Face", "Wan-AI/Wan2.1-T2V-1.3B", "Wan2.1_VAE.pth", 507'570'124, "Wan2.1_VAE.pth"},
    {PartKind::tiny_vae, "GitHub", "madebyollin/taehv", "taew2_1.pth", 22'631'078, "taew2_1.pth"},
    {PartKind::text_encoder, "Hugging Face", "Wan-AI/Wan2.1-T2V-1.3B", "models_t5_umt5-xxl-enc-bf16.pth",
     11'361'820'672, "models_t5_umt5-xxl-enc-bf16.pth"},
    {PartKind::tokenizer, "Hugging Face", "Wan-AI/Wan2.1-T2V-1.3B", "google/umt5-xxl/tokenizer.json", 0,
     "google/umt5-xxl/tokenizer.json"},
};

} // namespace

std::optional<FoundPart> find_part(const std::filesystem::path& folder, PartKind kind) {
    for (const Place& place : places_of(kind)) {
        std::error_code ignored;
        if (std::filesystem::is_regular_file(folder / place.file, ignored))
            return FoundPart{folder / place.file, place.layout, place.base_model};
    }
    return std::nullopt;
}

const PartOrigin& origin_of(PartKind kind) { return kOrigins[static_cast<std::size_t>(kind)]; }

} // namespace wander
