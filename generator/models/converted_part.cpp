#include "generator/models/converted_part.hpp"

#include "generator/plain/hash.hpp"
#include "generator/plain/user_cache.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace wander {
namespace {

// Changes when the conversion itself does: what older versions wrote is made again.
constexpr int kConversionVersion = 1;

} // namespace

std::vector<std::filesystem::path> converted_folders(const std::filesystem::path& model) {
    std::vector<std::filesystem::path> folders = {model / "wander"};
    const auto cache = user_cache_folder();
    std::error_code failed;
    const auto whole = std::filesystem::weakly_canonical(model, failed);
    if (!cache.empty() && !failed)
        folders.push_back(cache / "models" / fmt::format("{:016x}", fnv1a64(whole.string())));
    return folders;
}

Result<std::filesystem::path> converted_target(const std::filesystem::path& model) {
    for (const auto& folder : converted_folders(model)) {
        // The nearest folder above it that exists decides.
        std::error_code ignored;
        auto existing = folder;
        while (!existing.empty() && !std::filesystem::exists(existing, ignored) && existing.has_relative_path())
            existing = existing.parent_path();
        if (existing.empty()) existing = ".";
        if (std::filesystem::is_directory(existing, ignored) && ::access(existing.c_str(), W_OK | X_OK) == 0)
            return folder;
    }
    return Error{ErrorCode::io, fmt::format("{}: the converted files can be written neither here nor into the cache "
                                            "folder of the user; make one of them writable",
                                            model.string())};
}

std::string converted_name(PartKind kind, ModelFamily family) {
    struct Names {
        const char* transformer;
        const char* vae;
        const char* text_encoder;
    };
    static constexpr Names kNames[] = {
        {"dit.safetensors", "vae.safetensors", "text_encoder.safetensors"},
        {"worldplay_wan5b.safetensors", "wan22_vae.safetensors", "text_encoder.safetensors"},
        {"worldplay_8b.safetensors", "hunyuan_vae.safetensors", ""}};
    const Names& names = kNames[static_cast<std::size_t>(family)];
    switch (kind) {
        case PartKind::transformer: return names.transformer;
        case PartKind::vae: return names.vae;
        case PartKind::text_encoder: return names.text_encoder;
        default: return "";
    }
}

Result<std::string> source_key(const TensorFile& source) {
    std::string key = fmt::format("{}-{:016x}", kConversionVersion, source.head_hash());
    for (const auto& path : source.files()) {
        struct stat status{};
        if (::stat(path.c_str(), &status) != 0)
            return Error{ErrorCode::bad_input,
                         fmt::format("{}: cannot be looked at: {}", path.string(), std::strerror(errno))};
        key += fmt::format("-{}-{}.{:09}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    }
    // Shards make it long; what is compared stays short.
    return fmt::format("{}-{:016x}", kConversionVersion, fnv1a64(key));
}

std::optional<std::filesystem::path> find_converted(const std::filesystem::path& model, PartKind kind,
                                                    ModelFamily family, const std::string& key) {
    const std::string name = converted_name(kind, family);
    if (name.empty()) return std::nullopt;
    for (const auto& folder : converted_folders(model)) {
        std::error_code ignored;
        if (!std::filesystem::is_regular_file(folder / name, ignored)) continue;
        const auto file = TensorFile::open(folder / name);
        if (!file) continue; // damaged: made again
        const auto found = file->metadata().find(kConvertedKey);
        if (found != file->metadata().end() && found->second == key) return folder / name;
    }
    return std::nullopt;
}

Dtype converted_dtype(const std::string& native_name, const TensorInfo& info) {
    const bool floating = info.dtype == Dtype::f64 || info.dtype == Dtype::f32 || info.dtype == Dtype::f16;
    if (!floating) return info.dtype;
    // A gain [C, 1, 1, 1] is a vector too.
    const bool vector = info.shape.empty() || info.elements() == static_cast<std::uint64_t>(info.shape[0]);
    return vector || native_name.ends_with("modulation") ? Dtype::f32 : Dtype::bf16;
}

bool wants_conversion(const PartTensors& tensors) {
    const auto& shapes = tensors.shapes();
    return std::any_of(shapes.begin(), shapes.end(), [&](const auto& entry) {
        const TensorInfo& info = *tensors.info(entry.first);
        return info.dtype != Dtype::f16 && info.dtype != converted_dtype(entry.first, info);
    });
}

} // namespace wander
