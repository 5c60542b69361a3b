#include "generator/models/part_tensors.hpp"

#include "generator/models/native_names.hpp"
#include "generator/wan/wan5b_names.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

namespace wander {
namespace {

constexpr std::size_t kListed = 4;

// Outer entry of a training checkpoint: the averaged weights if there are any. WAN-5B's code reads the plain ones.
std::string find_outer_entry(const TensorFile& file, ModelFamily family) {
    std::array<const char*, 2> entries = {"generator_ema", "generator"};
    if (family == ModelFamily::wan_5b) std::swap(entries[0], entries[1]);
    for (const char* entry : entries) {
        const std::string prefix = std::string(entry) + "/";
        const auto at = file.tensors().lower_bound(prefix);
        if (at != file.tensors().end() && at->first.starts_with(prefix)) return entry;
    }
    return "";
}

std::optional<std::string> native_name(PartKind kind, ModelFamily family, const std::string& name) {
    switch (kind) {
        case PartKind::transformer: return native_dit_name(name);
        case PartKind::vae: return family == ModelFamily::wan_5b ? native_vae22_name(name) : native_vae_name(name);
        case PartKind::text_encoder: return native_umt5_name(name);
        default: return name;
    }
}

// One tensor that only the other spelling has.
bool is_translated(PartKind kind, const std::set<std::string>& names) {
    switch (kind) {
        case PartKind::transformer: return names.contains("condition_embedder.time_proj.weight");
        case PartKind::vae: return names.contains("decoder.conv_in.weight");
        case PartKind::text_encoder: return names.contains("shared.weight");
        default: return false;
    }
}

// Some files store the embedding table once more under the encoder's own name.
bool is_alias(PartKind kind, const std::string& name) {
    return kind == PartKind::text_encoder && name == "encoder.embed_tokens.weight";
}

void list_some(std::string& text, const std::vector<std::string>& items, const char* one, const char* many) {
    if (items.empty()) return;
    const std::size_t shown = std::min(items.size(), kListed);
    text += fmt::format("{}{} {} ({}{})", text.empty() ? "" : "; ", items.size(), items.size() == 1 ? one : many,
                        fmt::join(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                        items.size() > shown ? ", ..." : "");
}

} // namespace

const char* part_name(PartKind kind) {
    switch (kind) {
        case PartKind::transformer: return "transformer";
        case PartKind::vae: return "VAE";
        case PartKind::tiny_vae: return "tiny VAE";
        case PartKind::text_encoder: return "text encoder";
        case PartKind::tokenizer: return "tokenizer";
        case PartKind::text_embedding: return "text embedding";
        case PartKind::vision_encoder: return "picture encoder";
        case PartKind::glyph_encoder: return "glyph encoder";
    }
    return "";
}

struct PartTensors::State {
    TensorFile file;
    PartKind kind = PartKind::transformer;
    ModelFamily family = ModelFamily::self_forcing;
    std::string outer;
    bool translated = false;
    std::map<std::string, std::string> names;  // native -> in the file
    std::map<std::string, std::string> unread; // native -> what stands there instead of a tensor
    ShapeTable shapes;

    // The key inside the outer entry without wrappers; nothing for what lies outside of it.
    std::optional<std::string> bare_key(const std::string& name) const {
        if (kind != PartKind::transformer) return name;
        if (outer.empty()) return bare_checkpoint_key(name);
        if (!name.starts_with(outer + "/")) return std::nullopt;
        return bare_checkpoint_key(name.substr(outer.size() + 1));
    }
    std::string native(const std::string& key) const {
        return translated ? native_name(kind, family, key).value_or(key) : key;
    }
};

Result<PartTensors> PartTensors::open(const std::filesystem::path& path, PartKind kind, ModelFamily family) {
    auto file = TensorFile::open(path);
    if (!file) return file.error();
    auto state = std::make_shared<State>();
    state->file = std::move(*file);
    state->kind = kind;
    state->family = family;
    if (kind == PartKind::transformer) state->outer = find_outer_entry(state->file, family);
    std::vector<std::pair<std::string, std::string>> bare; // stripped, in the file
    std::set<std::string> keys;
    for (const auto& [name, info] : state->file.tensors()) {
        auto key = state->bare_key(name);
        if (!key) continue;
        keys.insert(*key);
        bare.emplace_back(std::move(*key), name);
    }
    state->translated = family != ModelFamily::hunyuan_8b && is_translated(kind, keys);
    for (const auto& [key, name] : bare) {
        if (state->translated && is_alias(kind, key)) continue;
        const std::string native = state->native(key);
        const auto [at, is_new] = state->names.emplace(native, name);
        if (!is_new)
            return Error{ErrorCode::bad_input,
                         fmt::format("{}: tensors '{}' and '{}' are both {}", path.string(), at->second, name, native)};
        state->shapes[native] = state->file.tensors().at(name).shape;
    }
    for (const auto& [name, what] : state->file.unread()) {
        if (const auto key = state->bare_key(name)) state->unread[state->native(*key)] = what;
    }
    PartTensors tensors;
    tensors.state_ = std::move(state);
    return tensors;
}

const TensorFile& PartTensors::file() const { return state_->file; }
PartKind PartTensors::kind() const { return state_->kind; }
ModelFamily PartTensors::family() const { return state_->family; }
const std::string& PartTensors::outer_entry() const { return state_->outer; }
bool PartTensors::translated() const { return state_->translated; }
const ShapeTable& PartTensors::shapes() const { return state_->shapes; }

const TensorInfo* PartTensors::info(const std::string& native_name) const {
    const auto found = state_->names.find(native_name);
    return found == state_->names.end() ? nullptr : &state_->file.tensors().at(found->second);
}

std::uint64_t PartTensors::bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [native, name] : state_->names) sum += state_->file.tensors().at(name).bytes();
    return sum;
}

std::string PartTensors::dtypes() const {
    std::map<std::string, std::uint64_t> bytes;
    for (const auto& [native, name] : state_->names) {
        const TensorInfo& info = state_->file.tensors().at(name);
        bytes[dtype_name(info.dtype)] += info.bytes();
    }
    std::vector<std::pair<std::uint64_t, std::string>> sorted;
    sorted.reserve(bytes.size());
    for (const auto& [name, count] : bytes) sorted.emplace_back(count, name);
    std::sort(sorted.rbegin(), sorted.rend());
    std::string text;
    for (const auto& [count, name] : sorted) text += (text.empty() ? "" : " and ") + name;
    return text;
}

Result<at::Tensor> PartTensors::tensor(const std::string& native_name, const std::vector<std::int64_t>& shape) const {
    const auto found = state_->names.find(native_name);
    if (found == state_->names.end())
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: tensor '{}' is missing", state_->file.path().string(), native_name)};
    return state_->file.tensor(found->second, shape);
}

PartTensors::TensorSource PartTensors::source() const {
    TensorSource plain = [tensors = *this](const std::string& name, const std::vector<std::int64_t>& shape) {
        return tensors.tensor(name, shape);
    };
    if (state_->kind == PartKind::transformer && state_->family == ModelFamily::wan_5b)
        return with_second_bias(std::move(plain));
    return plain;
}

void PartTensors::release(const std::string& native_name) const {
    const auto found = state_->names.find(native_name);
    if (found != state_->names.end()) state_->file.release(found->second);
}

Result<void> PartTensors::check(const ShapeTable& required, const ShapeTable& optional, const std::string& what) const {
    std::vector<std::string> missing;
    std::vector<std::string> foreign;
    std::vector<std::string> misshapen;
    const bool with_optional = std::any_of(optional.begin(), optional.end(),
                                           [&](const auto& entry) { return state_->shapes.contains(entry.first); });
    const auto compare = [&](const ShapeTable& table) {
        for (const auto& [name, shape] : table) {
            const auto found = state_->shapes.find(name);
            if (found == state_->shapes.end()) {
                const auto unread = state_->unread.find(name);
                missing.push_back(unread == state_->unread.end() ? name : name + ": " + unread->second);
            } else if (found->second != shape) {
                misshapen.push_back(fmt::format("{} is [{}], expected [{}]", name, fmt::join(found->second, ", "),
                                                fmt::join(shape, ", ")));
            }
        }
    };
    compare(required);
    if (with_optional) compare(optional);
    for (const auto& [name, shape] : state_->shapes) {
        if (!required.contains(name) && !optional.contains(name)) foreign.push_back(name);
    }
    std::string differences;
    list_some(differences, missing, "tensor is missing", "tensors are missing");
    list_some(differences, foreign, "is foreign", "are foreign");
    list_some(differences, misshapen, "has another shape", "have other shapes");
    if (differences.empty()) return {};
    return Error{ErrorCode::bad_input,
                 fmt::format("{}: does not fit {}: {}", state_->file.path().string(), what, differences)};
}

} // namespace wander
