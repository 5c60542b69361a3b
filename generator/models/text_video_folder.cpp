#include "generator/models/text_video_folder.hpp"

#include "generator/json_fields.hpp"
#include "generator/models/converted_part.hpp"
#include "generator/models/description.hpp"
#include "generator/models/part_checks.hpp"
#include "generator/models/part_places.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace wander {
namespace {

using nlohmann::json;

// Trained on 21 latents of full attention: the sink, 15 more and the chunk itself (self-forcing.md 5.6).
constexpr int kSinkLatents = 3;
constexpr int kWindowLatents = 15;

ModelFolder published_settings() {
    ModelFolder settings;
    settings.dit = self_forcing_dit();
    settings.vae = wan21_vae();
    settings.sampler = SamplerConfig::self_forcing(5.0, {1000, 750, 500, 250});
    settings.latent_rows = 60;
    settings.latent_cols = 104;
    settings.sink_latents = kSinkLatents;
    settings.window_latents = kWindowLatents;
    return settings;
}

class Opener {
public:
    explicit Opener(const std::filesystem::path& folder) { model_.folder = folder; }

    Result<TextVideoFolder> run() {
        if (auto done = read_own_config(); !done) return done.error();
        for (const PartKind kind : kPartKinds) open_part(kind);
        if (model_.parts.empty() && !own_config_)
            return Error{ErrorCode::bad_input,
                         fmt::format("{}: is no model folder: no file of a model is in it, such as {} or config.json; "
                                     "docs/models.md says which files to put where",
                                     model_.folder.string(), origin_of(PartKind::transformer).place)};
        for (ModelPart& part : model_.parts) {
            if (!part.tensors || part.problem) continue;
            if (auto checked = check(part); !checked) {
                part.problem = checked.error();
                part.tensors.reset();
            }
        }
        if (auto done = read_overrides(); !done) return done.error();
        name_it();
        list_missing();
        return std::move(model_);
    }

private:
    // A config.json of our own kind says everything (docs/formats.md, "Model folder").
    Result<void> read_own_config() {
        model_.settings = published_settings();
        auto config = Description::read(model_.folder / "config.json");
        if (!config) return config.error();
        if (!*config || !(*config)->values.contains("kind")) return {};
        auto settings = ModelFolder::read(model_.folder);
        if (!settings) return settings.error();
        model_.settings = std::move(*settings);
        own_config_ = true;
        return {};
    }

    void open_part(PartKind kind) {
        auto found = find_part(model_.folder, kind);
        ModelPart part;
        part.kind = kind;
        if (!found) {
            // The converted file serves alone when its source was deleted.
            const std::string name = converted_name(kind, ModelFamily::self_forcing);
            std::error_code ignored;
            if (name.empty() || !std::filesystem::is_regular_file(model_.folder / "wander" / name, ignored)) return;
            found = FoundPart{model_.folder / "wander" / name, FoundPart::Layout::downloaded};
            part.converted = true;
        }
        part.path = found->path;
        if (kind == PartKind::transformer || model_.parts.empty()) {
            switch (found->layout) {
                case FoundPart::Layout::wander: model_.layout = TextVideoFolder::Layout::wander; break;
                case FoundPart::Layout::downloaded: model_.layout = TextVideoFolder::Layout::downloaded; break;
                case FoundPart::Layout::diffusers: model_.layout = TextVideoFolder::Layout::diffusers; break;
            }
        }
        if (kind == PartKind::transformer) transformer_ = *found;
        if (kind != PartKind::tokenizer) open_tensors(part, model_.folder, ModelFamily::self_forcing);
        model_.parts.push_back(std::move(part));
    }

    Result<void> check(const ModelPart& part) {
        switch (part.kind) {
            case PartKind::transformer: return check_transformer(part);
            case PartKind::vae: return check_vae(part);
            case PartKind::tiny_vae: return check_tiny_vae(part);
            case PartKind::text_encoder: return check_text_encoder(part);
            default: return {};
        }
    }

    // The first description that is one of a transformer: beside its file, in the folder, in the base model's.
    Result<std::optional<Description>> transformer_description(const ModelPart& part) {
        return Description::find(
            {part.published().parent_path() / "config.json", model_.folder / "config.json",
             model_.folder / "Wan2.1-T2V-1.3B/config.json", model_.folder / "wan_models/Wan2.1-T2V-1.3B/config.json"},
            {"num_heads", "num_attention_heads"});
    }

    Result<void> check_transformer(const ModelPart& part) {
        DitConfig& dit = model_.settings.dit;
        if (!own_config_) {
            const auto description = transformer_description(part);
            if (!description) return description.error();
            int head_dim = 128;
            if (*description) {
                const auto heads = (*description)->whole("num_heads");
                const auto dim = (*description)->whole("dim");
                if (heads && dim && *heads > 0 && *dim % *heads == 0) head_dim = *dim / *heads;
                const auto described = described_head_dim(**description, head_dim, 2);
                if (!described) return described.error();
                head_dim = *described;
            }
            auto found = dit_of_shapes(part.tensors->shapes(), head_dim);
            if (!found) return at_path(part.path, found.error());
            dit = *found;
            if (*description) {
                const Description& said = **description;
                if (auto same = said.compare({{"dim", dit.dim},
                                              {"num_heads", dit.heads},
                                              {"in_dim", dit.channels},
                                              {"out_dim", dit.channels}},
                                             part.path);
                    !same)
                    return same.error();
                if (auto taken = take_description(said, part.path, dit); !taken) return taken;
            }
        }
        return part.tensors->check(
            dit.tensor_shapes(), {},
            fmt::format("the Wan transformer of {} layers and {} channels", dit.layers, dit.dim));
    }

    Result<void> check_vae(const ModelPart& part) {
        VaeConfig& vae = model_.settings.vae;
        if (!own_config_) {
            auto found = vae_of_shapes(part.tensors->shapes());
            if (!found) return at_path(part.path, found.error());
            vae = *found;
            const auto& file = part.published();
            if (file.parent_path().filename() == "vae") {
                const auto description = Description::read(file.parent_path() / "config.json");
                if (!description) return description.error();
                if (*description) {
                    if (auto same = (*description)->compare({{"base_dim", vae.dim}, {"z_dim", vae.z}}, part.path);
                        !same)
                        return same.error();
                    (*description)->take_list("latents_mean", vae.latent_mean);
                    (*description)->take_list("latents_std", vae.latent_std);
                    for (const double deviation : vae.latent_std) {
                        if (!(deviation > 0))
                            return Error{ErrorCode::bad_input, fmt::format("{}: \"latents_std\" holds {}",
                                                                           (*description)->path.string(), deviation)};
                    }
                }
            }
        }
        return part.tensors->check(vae.tensor_shapes(false, true), vae.tensor_shapes(true, false), "the Wan 2.1 VAE");
    }

    Result<void> check_tiny_vae(const ModelPart& part) {
        auto found = taehv_of_shapes(part.tensors->shapes());
        if (!found) return at_path(part.path, found.error());
        if (found->patch != 1)
            return Error{ErrorCode::bad_input,
                         part.path.string() +
                             ": it makes patches of pixels, as the newer TAEHV files do; Wan 2.1 needs taew2_1"};
        model_.tiny_vae = *found;
        const VaeConfig& vae = model_.settings.vae;
        if (is_lighttae(part.path)) take_lighttae_of_wan(model_.tiny_vae, vae.latent_mean, vae.latent_std);
        return part.tensors->check(found->tensor_shapes(false, true), found->tensor_shapes(true, false),
                                   "the tiny VAE taew2_1");
    }

    Result<void> check_text_encoder(const ModelPart& part) {
        const DitConfig* transformer = model_.part(PartKind::transformer) ? &model_.settings.dit : nullptr;
        return check_umt5(part, transformer, model_.text);
    }

    // wander.json: what a person may want otherwise than published.
    Result<void> read_overrides() {
        const auto path = model_.folder / "wander.json";
        std::error_code ignored;
        if (!std::filesystem::is_regular_file(path, ignored)) return {};
        auto values = read_json_file(path);
        if (!values) return values.error();
        if (!values->is_object()) return Error{ErrorCode::bad_input, path.string() + ": is no JSON object"};
        JsonFields fields(*values, path.string());
        ModelFolder& settings = model_.settings;
        const auto take = [&](const char* key, int& target, int low, int high) {
            if (fields.has(key)) target = fields.integer(key, low, high);
        };
        take("latent_rows", settings.latent_rows, 2, 1024);
        take("latent_cols", settings.latent_cols, 2, 1024);
        take("chunk_latents", settings.chunk_latents, 1, 64);
        take("page_latents", settings.page_latents, 1, 256);
        take("sink_latents", settings.sink_latents, 0, 4096);
        take("window_latents", settings.window_latents, 0, 1 << 20);
        if (fields.has("fps")) settings.fps = fields.number("fps", 1, 240);
        if (fields.has("name")) settings.name = fields.text("name");
        const double shift = fields.has("shift") ? fields.number("shift", 0.1, 100) : 5.0;
        std::vector<int> steps = {1000, 750, 500, 250};
        if (fields.has("steps")) steps = fields.list<int>("steps", 1, 64);
        for (const int step : steps) {
            if (step < 1 || step > kNoiseLevels) fields.complain("steps", "holds a value outside 1 to 1000");
        }
        if (settings.latent_rows % 2 != 0 || settings.latent_cols % 2 != 0)
            fields.complain("latent_rows", "or \"latent_cols\" is odd");
        if (settings.sink_latents % settings.chunk_latents != 0)
            fields.complain("sink_latents", "is not a whole number of chunks");
        for (const auto& [key, value] : values->items()) {
            static constexpr std::array kKnown = {"latent_rows",  "latent_cols",    "chunk_latents", "page_latents",
                                                  "sink_latents", "window_latents", "fps",           "name",
                                                  "shift",        "steps"};
            if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end())
                fields.complain(key.c_str(), "is no known key");
        }
        if (fields.error()) return *fields.error();
        if (fields.has("shift") || fields.has("steps")) settings.sampler = SamplerConfig::self_forcing(shift, steps);
        return {};
    }

    void name_it() {
        model_.settings.folder = model_.folder;
        if (model_.settings.name.empty()) {
            std::error_code failed;
            auto whole = std::filesystem::weakly_canonical(model_.folder, failed);
            if (failed) whole = model_.folder;
            model_.settings.name = whole.filename().string();
        }
        if (transformer_ && transformer_->base_model)
            model_.warnings.push_back(fmt::format(
                "{} holds the base model's weights, which need some 50 steps and guidance: in four steps the pictures "
                "are poor; put {} of {} {} beside it",
                transformer_->path.string(), origin_of(PartKind::transformer).file,
                origin_of(PartKind::transformer).site, origin_of(PartKind::transformer).repository));
        if (transformer_ && transformer_->layout == FoundPart::Layout::diffusers)
            model_.warnings.push_back(
                fmt::format("{}: the layout does not tell whether these weights are few-step ones; those published as "
                            "Wan2.1-T2V-1.3B-Diffusers are not",
                            transformer_->path.string()));
    }

    bool there(PartKind kind) const {
        return std::any_of(model_.parts.begin(), model_.parts.end(),
                           [&](const ModelPart& part) { return part.kind == kind; });
    }

    void list_missing() {
        const bool a_vae = there(PartKind::vae) || there(PartKind::tiny_vae);
        const bool embedding = there(PartKind::text_embedding);
        for (const PartKind kind : kPartKinds) {
            if (kind == PartKind::text_embedding || there(kind)) continue;
            const PartOrigin& origin = origin_of(kind);
            MissingPart missing;
            missing.kind = kind;
            missing.needed = kind == PartKind::transformer || (kind == PartKind::vae && !a_vae) ||
                             ((kind == PartKind::text_encoder || kind == PartKind::tokenizer) && !embedding);
            missing.site = origin.site;
            missing.repository = origin.repository;
            missing.file = origin.file;
            missing.bytes = origin.bytes;
            missing.place = model_.folder / origin.place;
            model_.missing.push_back(std::move(missing));
        }
    }

    TextVideoFolder model_;
    std::optional<FoundPart> transformer_;
    bool own_config_ = false;
};

} // namespace

bool TextVideoFolder::looks_like_one(const std::filesystem::path& folder) {
    return std::any_of(std::begin(kPartKinds), std::end(kPartKinds),
                       [&](PartKind kind) { return find_part(folder, kind).has_value(); });
}

Result<TextVideoFolder> TextVideoFolder::open(const std::filesystem::path& given) {
    std::filesystem::path folder = given;
    std::error_code ignored;
    // A file of the model, as it is dropped on the window.
    if (std::filesystem::is_regular_file(folder, ignored)) {
        folder = std::filesystem::absolute(folder).parent_path();
        if (folder.filename() == "checkpoints") folder = folder.parent_path();
    }
    if (!std::filesystem::is_directory(folder, ignored))
        return Error{ErrorCode::wrong_use, fmt::format("{}: no such folder", given.string())};
    if (folder.filename().empty()) folder = folder.parent_path(); // written with a slash at the end
    // Our own conversion belongs to the folder around it.
    if (folder.filename() == "wander" && !std::filesystem::exists(folder / "config.json", ignored)) {
        const auto around = std::filesystem::absolute(folder).parent_path();
        if (looks_like_one(around)) folder = around;
    }
    return Opener(folder).run();
}

Result<at::Tensor> TextVideoFolder::text_embedding() const {
    for (const ModelPart& part : parts) {
        if (part.kind != PartKind::text_embedding) continue;
        if (part.problem) return *part.problem;
        return settings.text_embedding();
    }
    return Error{ErrorCode::bad_input, fmt::format("{}: holds no ready text embedding", folder.string())};
}

const char* TextVideoFolder::layout_name() const {
    switch (layout) {
        case Layout::downloaded: return "files as downloaded";
        case Layout::diffusers: return "diffusers layout";
        case Layout::wander: return "Wander's own layout";
    }
    return "";
}

} // namespace wander
