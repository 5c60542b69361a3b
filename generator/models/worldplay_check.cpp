#include "generator/models/worldplay_check.hpp"

#include "generator/models/description.hpp"
#include "generator/models/hunyuan_sizes.hpp"
#include "generator/models/part_checks.hpp"
#include "generator/models/part_sizes.hpp"
#include "generator/text/byt5_encoder.hpp"
#include "generator/text/qwen_text.hpp"
#include "generator/vision/siglip.hpp"
#include "generator/wan/wan5b_names.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

namespace wander {
namespace {

namespace fs = std::filesystem;

class PartCheck {
public:
    PartCheck(const WorldPlayFiles& files, WorldPlayFolder& model) : files_(files), model_(model) {}

    Result<void> run(const ModelPart& part) {
        if (part.kind == PartKind::tiny_vae) return check_tiny_vae(part);
        if (model_.model == WorldPlayFolder::Model::hunyuan_8b)
            return part.kind == PartKind::transformer ? check_hunyuan_transformer(part)
                   : part.kind == PartKind::vae       ? check_hunyuan_vae(part)
                                                      : check_hunyuan_encoder(part);
        switch (part.kind) {
            case PartKind::transformer: return check_transformer(part);
            case PartKind::vae: return check_vae(part);
            case PartKind::text_encoder: return check_text_encoder(part);
            default: return {};
        }
    }

private:
    // Beside the weights or, of the distilled file, in wan_transformer/.
    Result<std::optional<Description>> transformer_description(const ModelPart& part) const {
        const fs::path folder = part.published().parent_path();
        std::vector<fs::path> paths = {folder / "config.json", folder.parent_path() / "wan_transformer/config.json",
                                       model_.folder / "wan_transformer/config.json"};
        for (const WorldPlayFile& other : files_.of(PartKind::transformer))
            paths.push_back(other.path.parent_path() / "config.json");
        return Description::find(paths, {"num_attention_heads"});
    }

    Result<void> check_transformer(const ModelPart& part) {
        const auto description = transformer_description(part);
        if (!description) return description.error();
        int head_dim = model_.dit.head_dim;
        if (*description) {
            const auto described = described_head_dim(**description, head_dim, 4);
            if (!described) return described.error();
            head_dim = *described;
        }
        auto found = wan5b_of_shapes(part.tensors->shapes(), head_dim);
        if (!found) return at_path(part.path, found.error());
        model_.dit = *found;
        DitConfig& dit = model_.dit;
        if (*description) {
            if (auto taken = take_description(**description, part.path, dit); !taken) return taken;
        }
        return part.tensors->check(
            wan5b_shapes(dit), {},
            fmt::format("the WAN-5B transformer of {} layers and {} channels", dit.layers, dit.dim));
    }

    Result<void> check_vae(const ModelPart& part) {
        auto found = vae22_of_shapes(part.tensors->shapes());
        if (!found) return at_path(part.path, found.error());
        Vae22Config& vae = model_.vae;
        vae = *found;
        const auto channels = static_cast<std::size_t>(vae.z);
        if (vae.latent_mean.size() != channels) {
            vae.latent_mean.assign(channels, 0);
            vae.latent_std.assign(channels, 0);
        }
        const auto description = Description::read(part.published().parent_path() / "config.json");
        if (!description) return description.error();
        if (*description) {
            const Description& said = **description;
            if (auto same = said.compare({{"base_dim", vae.dim},
                                          {"decoder_base_dim", vae.decoder_dim},
                                          {"z_dim", vae.z},
                                          {"num_res_blocks", vae.residual_blocks},
                                          {"patch_size", vae.patch}},
                                         part.path);
                !same)
                return same;
            said.take_list("latents_mean", vae.latent_mean);
            said.take_list("latents_std", vae.latent_std);
        }
        for (const double deviation : vae.latent_std) {
            if (!(deviation > 0))
                return Error{ErrorCode::bad_input,
                             fmt::format("{}: its latents have {} channels, not the 48 of Wan 2.2, and no config.json "
                                         "beside it gives \"latents_mean\" and a positive \"latents_std\" for them",
                                         part.path.string(), vae.z)};
        }
        if (auto fits = part.tensors->check(vae.tensor_shapes(true, true), {}, "the Wan 2.2 VAE"); !fits) return fits;
        return check_latents(part, vae.z, model_.dit.channels);
    }

    // Of a VAE, behind the transformer's check.
    Result<void> check_latents(const ModelPart& part, int channels, int of_transformer) const {
        if (model_.part(PartKind::transformer) && channels != of_transformer)
            return Error{ErrorCode::bad_input, fmt::format("{}: its latents have {} channels, but the transformer's {}",
                                                           part.path.string(), channels, of_transformer)};
        return {};
    }

    // The published description is the base model's; keys that it has must agree.
    Result<void> check_hunyuan_transformer(const ModelPart& part) {
        auto found = hunyuan_of_shapes(part.tensors->shapes());
        if (!found) return at_path(part.path, found.error());
        model_.hunyuan_dit = *found;
        HunyuanConfig& dit = model_.hunyuan_dit;
        const auto description = Description::find(
            {part.published().parent_path() / "config.json", model_.folder / "transformer/480p_i2v/config.json"},
            {"mm_double_blocks_depth"});
        if (!description) return description.error();
        if (*description) {
            const Description& said = **description;
            if (auto same = said.compare({{"hidden_size", dit.dim},
                                          {"heads_num", dit.heads},
                                          {"mm_double_blocks_depth", dit.layers},
                                          {"out_channels", dit.channels},
                                          {"text_states_dim", dit.text_dim},
                                          {"vision_states_dim", dit.vision_dim}},
                                         part.path);
                !same)
                return same;
            std::vector<double> rope = {0, 0, 0};
            if (said.take_list("rope_dim_list", rope)) {
                dit.rope_time_channels = static_cast<int>(rope[0]);
                dit.rope_row_channels = static_cast<int>(rope[1]);
                dit.rope_col_channels = static_cast<int>(rope[2]);
                if (const std::string problem = dit.problem(); !problem.empty())
                    return Error{ErrorCode::bad_input, said.path.string() + ": \"rope_dim_list\": " + problem};
            }
        }
        return part.tensors->check(
            dit.tensor_shapes(), {},
            fmt::format("the HY-WorldPlay 8B transformer of {} layers and {} channels", dit.layers, dit.dim));
    }

    Result<void> check_hunyuan_vae(const ModelPart& part) {
        auto found = hunyuan_vae_of_shapes(part.tensors->shapes());
        if (!found) return at_path(part.path, found.error());
        model_.hunyuan_vae = *found;
        if (auto fits = part.tensors->check(found->tensor_shapes(true, true), {}, "the VAE of HunyuanVideo 1.5"); !fits)
            return fits;
        return check_latents(part, found->z, model_.hunyuan_dit.channels);
    }

    // Its conventions follow the full VAE's, which is checked before.
    Result<void> check_tiny_vae(const ModelPart& part) {
        auto found = taehv_of_shapes(part.tensors->shapes());
        if (!found) return at_path(part.path, found.error());
        const bool wan = model_.model == WorldPlayFolder::Model::wan_5b;
        model_.tiny_vae = *found;
        if (!tiny_vae_fits(model_)) return {}; // left out later
        if (is_lighttae(part.path) && wan)
            take_lighttae_of_wan(model_.tiny_vae, model_.vae.latent_mean, model_.vae.latent_std);
        if (is_lighttae(part.path) && !wan) take_lighttae_of_hunyuan(model_.tiny_vae, model_.hunyuan_vae.scale);
        return part.tensors->check(found->tensor_shapes(false, true), found->tensor_shapes(true, false),
                                   wan ? "the tiny VAE taew2_2" : "the tiny VAE taehv1_5");
    }

    // Each has a reader of its own, which wants a folder or a file; it lists what does not fit.
    static Result<void> check_hunyuan_encoder(const ModelPart& part) {
        const auto result = [](const auto& opened) { return opened ? Result<void>() : Result<void>(opened.error()); };
        switch (part.kind) {
            case PartKind::text_encoder: return result(open_qwen_text(part.path.parent_path()));
            case PartKind::vision_encoder: return result(open_siglip(part.path.parent_path()));
            case PartKind::glyph_encoder: return result(open_glyph_weights(part.path));
            default: return {};
        }
    }

    Result<void> check_text_encoder(const ModelPart& part) {
        return check_umt5(part, model_.part(PartKind::transformer) ? &model_.dit : nullptr, model_.text);
    }

    const WorldPlayFiles& files_;
    WorldPlayFolder& model_;
};

} // namespace

Result<void> check_worldplay_part(const ModelPart& part, const WorldPlayFiles& files, WorldPlayFolder& model) {
    return PartCheck(files, model).run(part);
}

bool tiny_vae_fits(const WorldPlayFolder& model) {
    const TaehvConfig& tiny = model.tiny_vae;
    const int channels = model.model == WorldPlayFolder::Model::wan_5b ? model.vae.z : model.hunyuan_vae.z;
    return tiny.z == channels && tiny.spatial_scale() == model.pixels_per_latent();
}

} // namespace wander
