#include "generator/models/worldplay_parts.hpp"

#include "generator/models/file_search.hpp"
#include "generator/models/native_names.hpp"
#include "generator/weights/tensor_file.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <tuple>
#include <utility>

namespace wander {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kBaseChannels = 48; // of Wan 2.2's latents
constexpr const char* kEmbeddedWorldOnly = "map_embedding.";
constexpr std::int64_t kGlyphWidth = 1472;   // of byT5-small
constexpr std::int64_t kPlainByT5Rows = 384; // of its table before tokens of colours and fonts were appended
constexpr std::uintmax_t kMaxTokenizerBytes = 64 << 20;

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return text;
}

struct Content {
    ModelFamily family = ModelFamily::wan_5b;
    std::optional<PartKind> kind;
    bool base = false;  // a base model's transformer
    bool entry = false; // it is one entry of several in its file
};

bool holds(const fs::path& path, const char* words) {
    std::error_code failed;
    const auto bytes = fs::file_size(path, failed);
    if (failed || bytes > kMaxTokenizerBytes) return false;
    std::string text(bytes, '\0');
    std::ifstream(path, std::ios::binary).read(text.data(), static_cast<std::streamsize>(bytes));
    return text.find(words) != std::string::npos;
}

// umT5's is one file of the unigram kind; Qwen's are three files.
std::optional<ModelFamily> family_of_tokenizer(const fs::path& path) {
    if (path.filename() == "tokenizer.json" && holds(path, "\"Unigram\"")) return ModelFamily::wan_5b;
    if (path.filename() == "vocab.json" && holds(path.parent_path() / "tokenizer_config.json", "\"Qwen2Tokenizer"))
        return ModelFamily::hunyuan_8b;
    return std::nullopt;
}

// Names of tensors that only one kind of file has, in every spelling.
std::optional<PartKind> wan_part_of(const std::string& key, const TensorInfo& info) {
    if (key == "blocks.0.attn1.to_out_prope.0.weight" || key == "blocks.0.self_attn.prope_proj.weight" ||
        key == "condition_embedder.action_embedder.linear_1.weight")
        return PartKind::transformer;
    // Wan 2.1's VAE has flat lists, and three colours in the end.
    if (key == "decoder.upsamples.0.upsamples.0.residual.2.weight") return PartKind::vae;
    if (key == "decoder.conv_out.weight" && info.shape.size() == 5 && info.shape[0] == 12) return PartKind::vae;
    // Other T5 encoders have it in their first layer only.
    if (key == "blocks.0.pos_embedding.embedding.weight" ||
        key == "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight")
        return PartKind::text_encoder;
    return std::nullopt;
}

std::optional<PartKind> hunyuan_part_of(const std::string& key, const TensorInfo& info) {
    if (key == "double_blocks.0.img_attn_prope_proj.weight") return PartKind::transformer;
    if (key == "decoder.mid.attn_1.norm.gamma" && info.shape.size() == 4) return PartKind::vae;
    if (key.ends_with("layers.0.mlp.gate_proj.weight")) return PartKind::text_encoder;
    if (key.ends_with("vision_model.embeddings.patch_embedding.bias")) return PartKind::vision_encoder;
    if (key.find("text_tower.encoder.block.0.") != std::string::npos) return PartKind::glyph_encoder;
    if ((key == "shared.weight" || key == "encoder.embed_tokens.weight") && info.shape.size() == 2 &&
        info.shape[0] > kPlainByT5Rows && info.shape[1] == kGlyphWidth)
        return PartKind::glyph_encoder;
    return std::nullopt;
}

// A tiny VAE that makes squares of pixels: of Wan 2.2's latents, else of HunyuanVideo 1.5's or of a third model's; its
// channels are compared with the full VAE's when the folder is opened.
std::optional<ModelFamily> family_of_tiny_vae(const TensorFile& file) {
    const auto last = file.tensors().find("decoder.22.weight");
    const auto first = file.tensors().find("decoder.1.weight");
    const auto end = file.tensors().end();
    if (last == end || first == end || last->second.shape.size() != 4 || last->second.shape[0] != 12 ||
        first->second.shape.size() != 4)
        return std::nullopt;
    return first->second.shape[1] == kBaseChannels ? ModelFamily::wan_5b : ModelFamily::hunyuan_8b;
}

Content content_of(const TensorFile& file) {
    Content content;
    if (const auto family = family_of_tiny_vae(file)) return {*family, PartKind::tiny_vae, false, false};
    // The embedded world has cameras as well, and a map.
    for (const auto& [name, info] : file.tensors()) {
        if (name.starts_with(kEmbeddedWorldOnly)) return content;
    }
    for (const auto& [name, info] : file.tensors()) {
        std::string key = name;
        bool entry = false;
        for (const std::string outer : {"generator/", "generator_ema/"}) {
            if (!key.starts_with(outer)) continue;
            key.erase(0, outer.size());
            entry = true;
        }
        key = bare_checkpoint_key(std::move(key));
        if (const auto kind = wan_part_of(key, info)) return {ModelFamily::wan_5b, kind, false, entry};
        if (const auto kind = hunyuan_part_of(key, info)) return {ModelFamily::hunyuan_8b, kind, false, entry};
        // Wan 2.1 takes 16 channels.
        if (key == "patch_embedding.weight" && info.shape.size() == 5 && info.shape[1] == kBaseChannels)
            content.base = true;
        if (key == "double_blocks.0.img_attn_q.weight") content = {ModelFamily::hunyuan_8b, {}, true, false};
    }
    return content;
}

// What a file that cannot be opened was meant to be.
std::optional<std::pair<ModelFamily, PartKind>> meant_by_name(const fs::path& path) {
    const std::string file = lower(path.filename().string());
    const std::string folder = lower(path.parent_path().filename().string());
    if (folder == "wan_distilled_model" || folder == "wan_transformer")
        return std::pair{ModelFamily::wan_5b, PartKind::transformer};
    if (file == "wan2.2_vae.pth") return std::pair{ModelFamily::wan_5b, PartKind::vae};
    if (file.find("taew2_2.") != std::string::npos) return std::pair{ModelFamily::wan_5b, PartKind::tiny_vae};
    if (file.find("taehv1_5.") != std::string::npos || file.find("lighttaehy1_5.") != std::string::npos)
        return std::pair{ModelFamily::hunyuan_8b, PartKind::tiny_vae};
    if (file.find("umt5") != std::string::npos) return std::pair{ModelFamily::wan_5b, PartKind::text_encoder};
    if (folder == "ar_distilled_action_model") return std::pair{ModelFamily::hunyuan_8b, PartKind::transformer};
    if (file == "byt5_model.pt") return std::pair{ModelFamily::hunyuan_8b, PartKind::glyph_encoder};
    return std::nullopt;
}

constexpr const char* kSite = "Hugging Face";
constexpr const char* kWan = "Wan-AI/Wan2.2-TI2V-5B-Diffusers";

constexpr const char* kTinyVaes = "madebyollin/taehv";

// Bytes: parameters times the size of their type; float32, but bf16 for the text encoder and float16 for the tiny VAE.
constexpr WorldPlayPart kWan5B[] = {
    {{PartKind::transformer, kSite, "tencent/HY-WorldPlay", "wan_distilled_model/model.pt", 21'172'900'608,
      "wan_distilled_model/model.pt"},
     "transformer"},
    {{PartKind::vae, kSite, kWan, "vae/diffusion_pytorch_model.safetensors", 2'818'754'672,
      "Wan2.2-TI2V-5B-Diffusers/vae/diffusion_pytorch_model.safetensors"},
     "vae"},
    {{PartKind::tiny_vae, "GitHub", kTinyVaes, "taew2_2.pth", 22'836'216, "taew2_2.pth"}, "tiny_vae", false},
    {{PartKind::text_encoder, kSite, kWan, "text_encoder/ (all files)", 11'361'820'672,
      "Wan2.2-TI2V-5B-Diffusers/text_encoder"},
     "text_encoder"},
    {{PartKind::tokenizer, kSite, kWan, "tokenizer/tokenizer.json", 0,
      "Wan2.2-TI2V-5B-Diffusers/tokenizer/tokenizer.json"},
     "tokenizer"},
};

// The transformer's and the picture encoder's 16 bits a parameter are assumed, the VAE has 32; the text encoder's is
// what its publisher says.
constexpr WorldPlayPart kHunyuan8B[] = {
    {{PartKind::transformer, kSite, "tencent/HY-WorldPlay", "ar_distilled_action_model/model.safetensors",
      17'115'867'712, "ar_distilled_action_model/model.safetensors"},
     "transformer"},
    {{PartKind::vae, kSite, "tencent/HunyuanVideo-1.5", "vae/diffusion_pytorch_model.safetensors", 5'042'536'460,
      "vae/diffusion_pytorch_model.safetensors"},
     "vae"},
    {{PartKind::tiny_vae, "GitHub", kTinyVaes, "taehv1_5.pth", 22'744'024, "taehv1_5.pth"}, "tiny_vae", false},
    {{PartKind::text_encoder, kSite, "Qwen/Qwen2.5-VL-7B-Instruct", "*.safetensors, *.json", 15'000'000'000,
      "text_encoder/llm"},
     "text_encoder"},
    {{PartKind::tokenizer, kSite, "Qwen/Qwen2.5-VL-7B-Instruct", "tokenizer.json", 0,
      "text_encoder/llm/tokenizer.json"},
     "tokenizer"},
    {{PartKind::vision_encoder, kSite, "black-forest-labs/FLUX.1-Redux-dev (which asks for a consent)",
      "image_encoder/", 860'000'000, "vision_encoder/siglip/image_encoder"},
     "vision_encoder"},
    {{PartKind::glyph_encoder, "ModelScope", "AI-ModelScope/Glyph-SDXL-v2", "checkpoints/byt5_model.pt", 0,
      "text_encoder/Glyph-SDXL-v2/checkpoints/byt5_model.pt"},
     "glyph_encoder",
     false},
};

} // namespace

const std::vector<WorldPlayFile>& WorldPlayFiles::of(PartKind kind) const {
    static const std::vector<WorldPlayFile> kNone;
    const auto found = parts.find(kind);
    return found == parts.end() ? kNone : found->second;
}

bool is_distilled_name(const fs::path& path) { return lower(path.string()).find("distill") != std::string::npos; }

std::span<const WorldPlayPart> worldplay_parts(ModelFamily family) {
    if (family == ModelFamily::hunyuan_8b) return kHunyuan8B;
    return kWan5B;
}

std::map<ModelFamily, WorldPlayFiles> scan_worldplay(const fs::path& folder) {
    std::map<ModelFamily, WorldPlayFiles> found;
    for (const fs::path& path : find_model_files(folder)) {
        const bool distilled = is_distilled_name(path.lexically_relative(folder));
        if (path.extension() == ".json" && !TensorFile::has_known_name(path)) {
            if (const auto family = family_of_tokenizer(path))
                found[*family].parts[PartKind::tokenizer].push_back({path, false, std::nullopt});
            continue;
        }
        const auto file = TensorFile::open(path);
        if (!file) {
            if (const auto meant = meant_by_name(path))
                found[meant->first].parts[meant->second].push_back({path, distilled, file.error()});
            continue;
        }
        const Content content = content_of(*file);
        WorldPlayFiles& files = found[content.family];
        if (content.kind) files.parts[*content.kind].push_back({path, content.entry || distilled, std::nullopt});
        if (!content.kind && content.base) files.base_transformer.push_back(path);
    }
    // Few-step weights first, even where they are damaged: the others give poor pictures without a word. The rest keeps
    // its order.
    const auto rank = [](const WorldPlayFile& file) {
        return std::make_tuple(!file.distilled, file.problem.has_value());
    };
    for (auto& [family, files] : found) {
        for (auto& [kind, list] : files.parts) {
            std::stable_sort(list.begin(), list.end(), [&](const WorldPlayFile& a, const WorldPlayFile& b) {
                return kind == PartKind::transformer ? rank(a) < rank(b)
                                                     : a.problem.has_value() < b.problem.has_value();
            });
        }
    }
    return found;
}

} // namespace wander
