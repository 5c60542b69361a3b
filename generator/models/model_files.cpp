#include "generator/models/model_files.hpp"

#include "generator/models/converted_part.hpp"

#include <fmt/format.h>

namespace wander {

std::string MissingPart::text() const {
    const auto count = static_cast<double>(bytes);
    std::string size;
    if (bytes >= 1'000'000'000) {
        size = fmt::format(" ({:.2f} GB)", count / 1e9);
    } else if (bytes > 0) {
        size = fmt::format(" ({:.0f} MB)", count / 1e6);
    }
    return fmt::format("{}: {}{} of {} {}, to be put at {}", part_name(kind), file, size, site, repository,
                       place.string());
}

const ModelPart* ModelFiles::part(PartKind kind) const {
    for (const ModelPart& part : parts) {
        if (part.kind == kind) return part.usable() ? &part : nullptr;
    }
    return nullptr;
}

Result<void> ModelFiles::ready() const {
    std::string reasons;
    const auto add = [&reasons](const std::string& more) { reasons += (reasons.empty() ? "" : "; ") + more; };
    for (const ModelPart& part : parts) {
        if (part.problem) add(part.problem->message);
    }
    if (!reasons.empty()) return Error{ErrorCode::bad_input, reasons};
    for (const MissingPart& part : missing) {
        if (part.needed) add(part.text());
    }
    if (!reasons.empty())
        return Error{ErrorCode::bad_input, fmt::format("{}: something is missing: {}", folder.string(), reasons)};
    for (const std::string& obstacle : obstacles) add(obstacle);
    if (reasons.empty()) return {};
    return Error{ErrorCode::unavailable, reasons};
}

std::uint64_t ModelFiles::weight_bytes(PartKind kind) const {
    const ModelPart* found = part(kind);
    if (!found || !found->tensors) return 0;
    const bool decoder_only = kind == PartKind::tiny_vae || (kind == PartKind::vae && !encodes_pictures);
    std::uint64_t sum = 0;
    for (const auto& [name, shape] : found->tensors->shapes()) {
        if (decoder_only && !name.starts_with("decoder.") && !name.starts_with("conv2.")) continue;
        const TensorInfo& info = *found->tensors->info(name);
        sum += TensorInfo{converted_dtype(name, info), shape}.bytes();
    }
    return sum;
}

void open_tensors(ModelPart& part, const std::filesystem::path& folder, ModelFamily family) {
    auto tensors = PartTensors::open(part.path, part.kind, family);
    if (!tensors) {
        part.problem = tensors.error();
        return;
    }
    part.tensors = std::move(*tensors);
    const auto key = source_key(part.tensors->file());
    if (!key || part.converted) return;
    const auto converted = find_converted(folder, part.kind, family, *key);
    if (!converted) return;
    auto ready = PartTensors::open(*converted, part.kind, family);
    if (!ready) return;
    part.original = part.path;
    part.path = *converted;
    part.tensors = std::move(*ready);
    part.converted = true;
}

} // namespace wander
