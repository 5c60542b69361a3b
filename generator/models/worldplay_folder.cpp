#include "generator/models/worldplay_folder.hpp"

#include "generator/json_fields.hpp"
#include "generator/models/converted_part.hpp"
#include "generator/models/description.hpp"
#include "generator/models/kept_system_prompt.hpp"
#include "generator/models/worldplay_check.hpp"
#include "generator/models/worldplay_parts.hpp"
#include "generator/wan/wan5b_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace wander {
namespace {

namespace fs = std::filesystem;

constexpr const char* kManifest = "wander-model.json";
constexpr const char* kManifestModels[] = {"worldplay-wan5b", "worldplay-8b"};
constexpr LatentSize kWan5BSizes[] = {{44, 80}, {30, 52}}; // 704 x 1280 as trained, 480 x 832 as the faster one
constexpr LatentSize kHunyuan8BSizes[] = {{30, 52}};
constexpr int kLongestContext = 56;

bool is_there(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

class Opener {
public:
    explicit Opener(const fs::path& folder) {
        model_.folder = folder;
        model_.dit = wan5b_config();
        model_.vae = Vae22Config::published();
        model_.encodes_pictures = true;
    }

    Result<WorldPlayFolder> run() {
        if (auto done = read_manifest(); !done) return done.error();
        choose_model();
        for (const WorldPlayPart& part : worldplay_parts(family_)) {
            if (auto done = open_part(part.origin.kind); !done) return done.error();
        }
        if (model_.parts.empty() && files_.base_transformer.empty() && !manifest_family_)
            return Error{ErrorCode::bad_input,
                         fmt::format("{}: is no folder of a HY-WorldPlay model: neither it nor a folder below holds {} "
                                     "or {}; docs/models.md says which files to put where",
                                     model_.folder.string(), worldplay_parts(ModelFamily::wan_5b)[0].origin.file,
                                     worldplay_parts(ModelFamily::hunyuan_8b)[0].origin.file)};
        for (ModelPart& part : model_.parts) {
            if (!part.tensors || part.problem) continue;
            if (auto checked = check_worldplay_part(part, files_, model_); !checked) {
                part.problem = checked.error();
                part.tensors.reset();
            }
        }
        leave_out_other_tiny_vae();
        if (auto done = read_overrides(); !done) return done.error();
        list_missing();
        return std::move(model_);
    }

private:
    // wander-model.json: parts that lie elsewhere, or which of several to take.
    Result<void> read_manifest() {
        const auto manifest = Description::read(model_.folder / kManifest);
        if (!manifest) return manifest.error();
        if (!*manifest) return {};
        JsonFields fields((*manifest)->values, (*manifest)->path.string());
        fields.integer("version", 1, 1);
        const std::string name = fields.text("model");
        if (name == kManifestModels[0]) manifest_family_ = ModelFamily::wan_5b;
        if (name == kManifestModels[1]) manifest_family_ = ModelFamily::hunyuan_8b;
        if (!manifest_family_)
            fields.complain("model",
                            fmt::format("is neither \"{}\" nor \"{}\"", kManifestModels[0], kManifestModels[1]));
        const auto parts = worldplay_parts(manifest_family_.value_or(ModelFamily::wan_5b));
        for (const auto& [key, value] : (*manifest)->values.items()) {
            const auto part =
                std::find_if(parts.begin(), parts.end(), [&](const WorldPlayPart& one) { return key == one.key; });
            if (part != parts.end()) {
                const fs::path path = fields.text(key.c_str());
                named_[part->origin.kind] = model_.folder / path; // an absolute path stays one
            } else if (key != "version" && key != "model") {
                fields.complain(key.c_str(), "is no known key");
            }
        }
        if (fields.error()) return *fields.error();
        return {};
    }

    // As the manifest says, else WAN-5B, the faster one, where its transformer is there.
    void choose_model() {
        auto found = scan_worldplay(model_.folder);
        const auto converted = [&](ModelFamily family) {
            return is_there(model_.folder / "wander" / converted_name(PartKind::transformer, family));
        };
        const auto has = [&](ModelFamily family, PartKind kind) { return !found[family].of(kind).empty(); };
        family_ = ModelFamily::wan_5b;
        const bool is_8b = has(ModelFamily::hunyuan_8b, PartKind::transformer) || converted(ModelFamily::hunyuan_8b) ||
                           has(ModelFamily::hunyuan_8b, PartKind::vae);
        const bool is_5b = has(ModelFamily::wan_5b, PartKind::transformer) || converted(ModelFamily::wan_5b);
        if (is_8b && !is_5b) family_ = ModelFamily::hunyuan_8b;
        if (manifest_family_) family_ = *manifest_family_;
        files_ = std::move(found[family_]);
        const bool small = family_ == ModelFamily::wan_5b;
        model_.model = small ? WorldPlayFolder::Model::wan_5b : WorldPlayFolder::Model::hunyuan_8b;
        model_.name = model_.model_name();
        model_.schedule = small ? WorldPlaySchedule::wan_5b() : WorldPlaySchedule::worldplay_8b();
        if (small) model_.sizes.assign(std::begin(kWan5BSizes), std::end(kWan5BSizes));
        if (!small) model_.sizes.assign(std::begin(kHunyuan8BSizes), std::end(kHunyuan8BSizes));
        model_.size = model_.sizes.front();
    }

    const WorldPlayPart& part_of(PartKind kind) const {
        const auto parts = worldplay_parts(family_);
        return *std::find_if(parts.begin(), parts.end(),
                             [&](const WorldPlayPart& part) { return part.origin.kind == kind; });
    }

    // The file of the manifest; it may name a folder.
    Result<std::optional<WorldPlayFile>> named_file(PartKind kind) const {
        const auto named = named_.find(kind);
        if (named == named_.end()) return std::optional<WorldPlayFile>();
        const auto complain = [&](const char* what) {
            return Error{ErrorCode::bad_input, fmt::format("{}: \"{}\" is {}, {}", (model_.folder / kManifest).string(),
                                                           part_of(kind).key, named->second.string(), what)};
        };
        std::error_code ignored;
        if (fs::is_regular_file(named->second, ignored))
            return std::optional<WorldPlayFile>({named->second, is_distilled_name(named->second), std::nullopt});
        if (!fs::is_directory(named->second, ignored)) return complain("which is not there");
        WorldPlayFiles inside = scan_worldplay(named->second)[family_];
        for (WorldPlayFile& file : inside.parts[kind]) file.distilled |= is_distilled_name(named->second);
        if (inside.of(kind).empty()) return complain("a folder that holds no such file");
        return std::optional<WorldPlayFile>(inside.of(kind).front());
    }

    // What was converted serves alone when its source was deleted. The conversion of few-step weights goes before
    // other weights that are still there.
    std::optional<WorldPlayFile> converted_alone(PartKind kind) const {
        const std::string name = converted_name(kind, family_);
        const fs::path path = model_.folder / "wander" / name;
        if (name.empty() || !is_there(path)) return std::nullopt;
        const auto file = TensorFile::open(path);
        if (!file) return WorldPlayFile{path, true, file.error()};
        const auto& made_from = file->metadata();
        const auto from = made_from.find(kConvertedFrom);
        const auto entry = made_from.find(kConvertedEntry);
        const bool distilled = (from != made_from.end() && is_distilled_name(from->second)) ||
                               (entry != made_from.end() && !entry->second.empty());
        return WorldPlayFile{path, distilled, std::nullopt};
    }

    Result<void> open_part(PartKind kind) {
        auto named = named_file(kind);
        if (!named) return named.error();
        std::optional<WorldPlayFile> file = std::move(*named);
        ModelPart part;
        part.kind = kind;
        if (!file && !files_.of(kind).empty()) file = files_.of(kind).front();
        const bool take_better = file && kind == PartKind::transformer && !file->distilled;
        if (!file || take_better) {
            const auto alone = converted_alone(kind);
            if (alone && (!file || (alone->distilled && !alone->problem))) {
                file = alone;
                part.converted = true;
            }
        }
        if (!file) return {};
        part.path = file->path;
        part.problem = file->problem;
        if (kind == PartKind::transformer) model_.few_steps = file->distilled;
        if (kind != PartKind::tokenizer && !part.problem) open_tensors(part, model_.folder, family_);
        model_.parts.push_back(std::move(part));
        return {};
    }

    // One of a third model's latents is none of this one's parts.
    void leave_out_other_tiny_vae() {
        const ModelPart* tiny = model_.part(PartKind::tiny_vae);
        if (!tiny || tiny_vae_fits(model_)) return;
        model_.warnings.push_back(
            fmt::format("{} is a tiny VAE of latents with {} channels, which {} does not make, and is not used",
                        tiny->path.string(), model_.tiny_vae.z, model_.model_name()));
        std::erase_if(model_.parts, [](const ModelPart& part) { return part.kind == PartKind::tiny_vae; });
    }

    // wander.json: what a person may want otherwise than published.
    Result<void> read_overrides() {
        const auto file = Description::read(model_.folder / "wander.json");
        if (!file) return file.error();
        if (!*file) return {};
        JsonFields fields((*file)->values, (*file)->path.string());
        if (fields.has("latent_rows")) model_.size.rows = fields.integer("latent_rows", 2, 1024);
        if (fields.has("latent_cols")) model_.size.cols = fields.integer("latent_cols", 2, 1024);
        if (model_.size.rows % model_.patch() != 0 || model_.size.cols % model_.patch() != 0)
            fields.complain("latent_rows", "or \"latent_cols\" is odd");
        if (fields.has("name")) model_.name = fields.text("name");
        if (fields.has("context_latents") && family_ == ModelFamily::wan_5b) {
            const int latents = fields.integer("context_latents", 4, kLongestContext);
            if (!ContextRules::wan_5b_long(latents).valid())
                fields.complain("context_latents", "is no whole number of chunks of 4, 8 at least");
            if (!fields.error()) model_.schedule = WorldPlaySchedule::wan_5b(latents);
        }
        if (fields.has("fps")) model_.schedule.frames_per_second = fields.number("fps", 1, 240);
        if (fields.has("instruction") && family_ == ModelFamily::hunyuan_8b) {
            JsonFields inner = fields.object("instruction");
            SystemPromptMark& mark = model_.instruction;
            mark.sha256 = inner.text("sha256");
            mark.bytes = static_cast<std::size_t>(inner.integer("bytes", 1, 1 << 20));
            mark.crop = static_cast<std::size_t>(inner.integer("tokens", 1, 1 << 20));
            fields.adopt(inner);
        }
        for (const auto& [key, value] : (*file)->values.items()) {
            static constexpr std::array kKnown = {"latent_rows",     "latent_cols", "name",
                                                  "context_latents", "fps",         "instruction"};
            const bool known = std::find(kKnown.begin(), kKnown.end(), key) != kKnown.end();
            const bool others = key == (family_ == ModelFamily::wan_5b ? "instruction" : "context_latents");
            if (!known || others) fields.complain(key.c_str(), "is no known key of this model");
        }
        if (fields.error()) return *fields.error();
        return {};
    }

    void list_missing() {
        for (const auto& [origin, key, needed] : worldplay_parts(family_)) {
            const PartKind kind = origin.kind;
            const bool there = std::any_of(model_.parts.begin(), model_.parts.end(),
                                           [&](const ModelPart& part) { return part.kind == kind; });
            if (there) continue;
            model_.missing.push_back({kind, needed, origin.site, origin.repository, origin.file, origin.bytes,
                                      model_.folder / origin.place});
        }
        const bool no_transformer = !model_.missing.empty() && model_.missing[0].kind == PartKind::transformer;
        if (no_transformer && !files_.base_transformer.empty())
            model_.warnings.push_back(
                fmt::format("{} is the base model's transformer: it knows neither keys nor cameras and is not used",
                            files_.base_transformer.front().string()));
        if (const ModelPart* transformer = model_.part(PartKind::transformer); transformer && !model_.few_steps) {
            const PartOrigin& origin = part_of(PartKind::transformer).origin;
            model_.warnings.push_back(fmt::format(
                "{} does not look like the few-step weights, and with others the pictures are poor: put {} of {} {} "
                "into {}",
                transformer->path.string(), origin.file, origin.site, origin.repository,
                (model_.folder / origin.place).parent_path().string()));
        }
        if (family_ != ModelFamily::hunyuan_8b) return;
        if (const auto prompt = kept_system_prompt(model_.folder, model_.instruction); !prompt)
            model_.obstacles.push_back(prompt.error().message);
    }

    ModelFamily family_ = ModelFamily::wan_5b;
    std::optional<ModelFamily> manifest_family_;
    WorldPlayFolder model_;
    WorldPlayFiles files_;
    std::map<PartKind, fs::path> named_;
};

// A file of the model may be given, as it is dropped on the window: the model's folder is the one above the part's.
fs::path folder_of(const fs::path& given) {
    std::error_code ignored;
    if (!fs::is_regular_file(given, ignored)) return given.filename().empty() ? given.parent_path() : given;
    fs::path folder = fs::absolute(given).parent_path();
    for (const char* part :
         {"wan_distilled_model", "wan_transformer", "ar_distilled_action_model", "vae", "text_encoder", "tokenizer"}) {
        if (folder.filename() == part) return folder.parent_path();
    }
    return folder;
}

} // namespace

bool WorldPlayFolder::looks_like_one(const fs::path& given) {
    const fs::path folder = folder_of(given);
    if (is_there(folder / kManifest)) return true;
    const auto other = find_part(folder, PartKind::transformer);
    if (other && !other->base_model && other->layout != FoundPart::Layout::diffusers) return false;
    for (const ModelFamily family : {ModelFamily::wan_5b, ModelFamily::hunyuan_8b}) {
        for (const PartKind kind : {PartKind::transformer, PartKind::vae}) {
            if (is_there(folder / "wander" / converted_name(kind, family))) return true;
        }
    }
    for (const auto& [family, files] : scan_worldplay(folder)) {
        if (!files.of(PartKind::transformer).empty() || !files.of(PartKind::vae).empty()) return true;
        if (!files.base_transformer.empty()) return true;
    }
    return false;
}

Result<WorldPlayFolder> WorldPlayFolder::open(const fs::path& given) {
    fs::path folder = folder_of(given);
    std::error_code ignored;
    if (!fs::is_directory(folder, ignored))
        return Error{ErrorCode::wrong_use, fmt::format("{}: no such folder", given.string())};
    if (folder.filename() == "wander") { // our own conversion belongs to the folder around it
        const fs::path around = fs::absolute(folder).parent_path();
        if (looks_like_one(around)) folder = around;
    }
    return Opener(folder).run();
}

int WorldPlayFolder::pixels_per_latent() const {
    return model == Model::wan_5b ? vae.spatial_scale() : hunyuan_vae.spatial_scale();
}

const char* WorldPlayFolder::model_name() const {
    switch (model) {
        case Model::wan_5b: return "HY-WorldPlay WAN-5B";
        case Model::hunyuan_8b: return "HY-WorldPlay 8B";
    }
    return "";
}

} // namespace wander
