#include "generator/models/worldplay_parts.hpp"

#include "generator/models/native_names.hpp"
#include "generator/weights/tensor_file.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <tuple>

namespace wander {
namespace {

namespace fs = std::filesystem;

// Enough for the cache folder of a download tool: models--OWNER--NAME/snapshots/REVISION/vae/FILE.
constexpr int kLevels = 5;
constexpr std::size_t kMaxFolders = 1000;
constexpr std::size_t kMaxFiles = 2000; // with weights
constexpr std::int64_t kBaseChannels = 48;
constexpr std::uintmax_t kMaxTokenizerBytes = 64 << 20;

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return text;
}

// A shard is read through the index beside it.
bool is_shard(const fs::path& path) {
    const std::string name = path.filename().string();
    const auto of = name.rfind("-of-");
    return of != std::string::npos && of >= 6 && name[of - 6] == '-' && name.ends_with(".safetensors");
}

std::vector<fs::path> files_below(const fs::path& folder) {
    std::vector<fs::path> files;
    std::vector<std::pair<fs::path, int>> folders = {{folder, 0}};
    for (std::size_t i = 0; i < folders.size(); ++i) {
        const auto [here, level] = folders[i];
        std::error_code failed;
        for (fs::directory_iterator entry(here, failed); !failed && entry != fs::directory_iterator();
             entry.increment(failed)) {
            const std::string name = entry->path().filename().string();
            if (name.empty() || name[0] == '.') continue;
            std::error_code ignored;
            if (entry->is_directory(ignored)) {
                if (name != "wander" && level < kLevels && folders.size() < kMaxFolders)
                    folders.emplace_back(entry->path(), level + 1);
            } else if (entry->is_regular_file(ignored) && files.size() < kMaxFiles &&
                       (name == "tokenizer.json" || (TensorFile::has_known_name(name) && !is_shard(name)))) {
                files.push_back(entry->path());
            }
        }
    }
    // The same whatever order the file system has: what lies higher first.
    std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
        return std::make_pair(std::distance(a.begin(), a.end()), a.native()) <
               std::make_pair(std::distance(b.begin(), b.end()), b.native());
    });
    return files;
}

// umT5's tokenizer is of the unigram kind; those of other text encoders that may lie beside it are not.
bool is_unigram(const fs::path& path) {
    std::error_code failed;
    const auto bytes = fs::file_size(path, failed);
    if (failed || bytes > kMaxTokenizerBytes) return false;
    std::string text(bytes, '\0');
    std::ifstream(path, std::ios::binary).read(text.data(), static_cast<std::streamsize>(bytes));
    return text.find("\"Unigram\"") != std::string::npos;
}

struct Content {
    std::optional<PartKind> kind;
    bool base = false;  // the base model's transformer
    bool entry = false; // it is one entry of several in its file
};

// Names of tensors that only one kind of file has, in both spellings.
std::optional<PartKind> kind_of_tensor(const std::string& key, const TensorInfo& info) {
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

Content content_of(const TensorFile& file) {
    Content content;
    for (const auto& [name, info] : file.tensors()) {
        std::string key = name;
        bool entry = false;
        for (const std::string outer : {"generator/", "generator_ema/"}) {
            if (!key.starts_with(outer)) continue;
            key.erase(0, outer.size());
            entry = true;
        }
        key = bare_checkpoint_key(std::move(key));
        if (const auto kind = kind_of_tensor(key, info)) return {kind, false, entry};
        // Wan 2.1 takes 16 channels.
        if (key == "patch_embedding.weight" && info.shape.size() == 5 && info.shape[1] == kBaseChannels)
            content.base = true;
    }
    return content;
}

// What a file that cannot be opened was meant to be.
std::optional<PartKind> kind_of_name(const fs::path& path) {
    const std::string file = lower(path.filename().string());
    const std::string folder = lower(path.parent_path().filename().string());
    if (folder == "wan_distilled_model" || folder == "wan_transformer") return PartKind::transformer;
    if (file == "wan2.2_vae.pth") return PartKind::vae;
    if (file.find("umt5") != std::string::npos) return PartKind::text_encoder;
    return std::nullopt;
}

constexpr const char* kBase = "Wan-AI/Wan2.2-TI2V-5B-Diffusers";

// Bytes: parameters times the size of their type; float32, but bf16 for the text encoder.
constexpr PartOrigin kOrigins[] = {
    {PartKind::transformer, "Hugging Face", "tencent/HY-WorldPlay", "wan_distilled_model/model.pt", 21'172'900'608,
     "wan_distilled_model/model.pt"},
    {PartKind::vae, "Hugging Face", kBase, "vae/diffusion_pytorch_model.safetensors", 2'818'760'560,
     "Wan2.2-TI2V-5B-Diffusers/vae/diffusion_pytorch_model.safetensors"},
    {PartKind::tiny_vae, "", "", "", 0, ""},
    {PartKind::text_encoder, "Hugging Face", kBase, "text_encoder/ (all files)", 11'361'820'672,
     "Wan2.2-TI2V-5B-Diffusers/text_encoder"},
    {PartKind::tokenizer, "Hugging Face", kBase, "tokenizer/tokenizer.json", 0,
     "Wan2.2-TI2V-5B-Diffusers/tokenizer/tokenizer.json"},
};

} // namespace

const std::vector<WorldPlayFile>& WorldPlayFiles::of(PartKind kind) const {
    switch (kind) {
        case PartKind::transformer: return transformer;
        case PartKind::vae: return vae;
        case PartKind::text_encoder: return text_encoder;
        case PartKind::tokenizer: return tokenizer;
        default: break;
    }
    static const std::vector<WorldPlayFile> kNone;
    return kNone;
}

bool is_distilled_name(const fs::path& path) { return lower(path.string()).find("distill") != std::string::npos; }

WorldPlayFiles scan_worldplay(const fs::path& folder) {
    WorldPlayFiles found;
    const auto add = [&](PartKind kind, WorldPlayFile file) {
        switch (kind) {
            case PartKind::transformer: found.transformer.push_back(std::move(file)); break;
            case PartKind::vae: found.vae.push_back(std::move(file)); break;
            case PartKind::text_encoder: found.text_encoder.push_back(std::move(file)); break;
            default: found.tokenizer.push_back(std::move(file)); break;
        }
    };
    for (const fs::path& path : files_below(folder)) {
        if (path.filename() == "tokenizer.json") {
            if (is_unigram(path)) add(PartKind::tokenizer, {path, false, std::nullopt});
            continue;
        }
        const auto file = TensorFile::open(path);
        if (!file) {
            if (const auto kind = kind_of_name(path))
                add(*kind, {path, is_distilled_name(path.lexically_relative(folder)), file.error()});
            continue;
        }
        const Content content = content_of(*file);
        const bool distilled = content.entry || is_distilled_name(path.lexically_relative(folder));
        if (content.kind) add(*content.kind, {path, distilled, std::nullopt});
        if (!content.kind && content.base) found.base_transformer.push_back(path);
    }
    // Few-step weights first, even where they are damaged: the others give poor pictures without a word.
    const auto rank = [](const WorldPlayFile& file) {
        return std::make_tuple(!file.distilled, file.problem.has_value());
    };
    std::stable_sort(found.transformer.begin(), found.transformer.end(),
                     [&](const WorldPlayFile& a, const WorldPlayFile& b) { return rank(a) < rank(b); });
    for (auto* files : {&found.vae, &found.text_encoder}) {
        std::stable_partition(files->begin(), files->end(), [](const WorldPlayFile& file) { return !file.problem; });
    }
    return found;
}

const PartOrigin& worldplay_origin(PartKind kind) { return kOrigins[static_cast<std::size_t>(kind)]; }

} // namespace wander
