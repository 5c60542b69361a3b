#include "app/info.hpp"

#include "app/exit_code.hpp"
#include "app/paths.hpp"
#include "generator/models/convert.hpp"
#include "generator/models/text_video_folder.hpp"
#include "generator/models/worldplay_folder.hpp"
#include "generator/world/embedded_world.hpp"
#include "generator/world/plain/world_folder.hpp"

#include <cstdio>

#include <fmt/format.h>

namespace wander {

namespace {

void line(const char* label, const std::string& text) { fmt::print("{}", fmt::format("  {:<15} {}\n", label, text)); }

std::string size_text(std::uint64_t bytes) {
    const auto count = static_cast<double>(bytes);
    return bytes >= 1'000'000'000 ? fmt::format("{:.2f} GB", count / 1e9) : fmt::format("{:.1f} MB", count / 1e6);
}

// Relative to the model folder where it lies inside.
std::string shown_path(const std::filesystem::path& path, const std::filesystem::path& folder) {
    const auto inside = path.lexically_relative(folder);
    return inside.empty() || inside.native().starts_with("..") ? path.string() : inside.string();
}

std::string tensors_text(const PartTensors& tensors) {
    std::string text = tensors.file().format_name();
    if (!tensors.outer_entry().empty()) text += ", entry " + tensors.outer_entry();
    if (tensors.translated()) text += ", names of diffusers";
    return text +
           fmt::format(", {} tensors, {}, {}", tensors.shapes().size(), tensors.dtypes(), size_text(tensors.bytes()));
}

void print_part(const ModelPart& part, const std::filesystem::path& folder) {
    std::string text = shown_path(part.path, folder);
    if (part.tensors) text += ": " + tensors_text(*part.tensors);
    if (!part.tensors && !part.problem) {
        std::error_code failed;
        const auto bytes = std::filesystem::file_size(part.path, failed);
        if (!failed) text += ": " + size_text(bytes);
    }
    line(part_name(part.kind), text);
    if (part.converted)
        line("", part.original.empty() ? "converted; the file it was made from is gone"
                                       : "converted from " + shown_path(part.original, folder));
    if (part.problem) line("", "cannot be used: " + part.problem->message);
}

void print_files(const ModelFiles& model) {
    for (const ModelPart& part : model.parts) print_part(part, model.folder);
    for (const MissingPart& part : model.missing)
        line(part.needed ? "missing" : "not there", part.text() + (part.needed ? "" : " (a walk does without)"));
}

void print_sizes(const ModelFiles& model, const DitConfig& dit) {
    if (!model.part(PartKind::transformer)) return;
    line("sizes", fmt::format("{} layers of {} channels, {} heads of {}, FFN {}; text {} x {}", dit.layers, dit.dim,
                              dit.heads, dit.head_dim, dit.ffn, dit.text_len, dit.text_dim));
}

// What a walk needs, and whether it can begin.
int print_state(const ModelFiles& model) {
    std::string weights;
    for (const PartKind kind : {PartKind::transformer, PartKind::vae, PartKind::tiny_vae, PartKind::text_encoder,
                                PartKind::vision_encoder, PartKind::glyph_encoder}) {
        const std::uint64_t bytes = model.weight_bytes(kind);
        if (bytes > 0)
            weights += fmt::format("{}{} {}", weights.empty() ? "" : ", ", part_name(kind), size_text(bytes));
    }
    if (!weights.empty())
        line("memory", "weights in bf16: " + weights + "; the text encoder can wait in the computer's memory" +
                           (model.encodes_pictures ? "" : ", one VAE is enough"));
    const auto plan = plan_conversion(model);
    if (!plan) {
        line("conversion", plan.error().message);
    } else if (!plan->parts.empty()) {
        line("conversion", fmt::format("not done: wander convert writes {} to {} once", size_text(plan->bytes()),
                                       plan->parts[0].target.parent_path().string()));
    } else {
        line("conversion", "nothing left to convert");
    }
    for (const std::string& warning : model.warnings) line("warning", warning);
    for (const std::string& obstacle : model.obstacles) line("in the way", obstacle);
    const auto ready = model.ready();
    line("can run", ready ? "yes" : "not yet: see what is missing, in the way or cannot be used above");
    return kExitDone;
}

void print_sizes(const WorldPlayFolder& model) {
    if (model.model == WorldPlayFolder::Model::wan_5b) return print_sizes(model, model.dit);
    if (!model.part(PartKind::transformer)) return;
    const HunyuanConfig& dit = model.hunyuan_dit;
    line("sizes", fmt::format("{} layers of {} channels, {} heads of {}, FFN {}; text {}, picture {}, quoted text {}",
                              dit.layers, dit.dim, dit.heads, dit.head_dim, dit.mlp, dit.text_dim, dit.vision_dim,
                              dit.glyph_dim > 0 ? std::to_string(dit.glyph_dim) : "none"));
}

int print_folder(const TextVideoFolder& model) {
    const ModelFolder& settings = model.settings;
    fmt::print("{}", fmt::format("{}: {}, {}\n", model.folder.string(), settings.name, model.layout_name()));
    print_files(model);
    print_sizes(model, settings.dit);
    line("picture",
         fmt::format("{}x{} at {} frames a second, {} latents a chunk; remembers the first {} and the last {}",
                     settings.latent_cols * 8, settings.latent_rows * 8, settings.fps, settings.chunk_latents,
                     settings.sink_latents,
                     settings.window_latents > 0 ? std::to_string(settings.window_latents) : "all"));
    return print_state(model);
}

int print_folder(const WorldPlayFolder& model) {
    const std::string kind = model.name == model.model_name() ? "" : fmt::format(", {}", model.model_name());
    fmt::print("{}", fmt::format("{}: {}{}\n", model.folder.string(), model.name, kind));
    print_files(model);
    print_sizes(model);
    const int scale = model.pixels_per_latent();
    std::string others;
    for (const LatentSize& size : model.sizes) {
        if (size != model.size)
            others += fmt::format("{}{}x{}", others.empty() ? "" : ", ", size.cols * scale, size.rows * scale);
    }
    if (!others.empty()) others = " (also " + others + ")";
    line("picture", fmt::format("{}x{}{} at {} frames a second, {} latents a chunk; sees up to {} earlier ones",
                                model.size.cols * scale, model.size.rows * scale, others,
                                model.schedule.frames_per_second, kLatentsPerChunk, model.schedule.context.latents));
    return print_state(model);
}

// The embedded world, or a trained one. Its files are opened as a walk would open them.
int print_world(const std::string& model) {
    const auto world = EmbeddedWorld::read(model_path(model, assets_folder()));
    if (!world) return fail_with(world.error());
    if (model == "embedded") {
        fmt::print("{}",
                   fmt::format("embedded: the world that comes with the program, in {}\n", world->folder.string()));
    } else {
        fmt::print("{}", fmt::format("{}: a world, {}\n", world->folder.string(),
                                     shown_world_name(world->name, world->folder)));
    }
    for (const std::string& place : world->worlds) {
        std::string starts;
        for (const StartPoint& start : world->starts) {
            if (start.world == place) starts += (starts.empty() ? "" : ", ") + start.name;
        }
        line("place", fmt::format("{}; starts: {}", place, starts));
    }
    line("sizes", fmt::format("{} layers of {} channels, {} heads of {}", world->dit.layers, world->dit.dim,
                              world->dit.heads, world->dit.head_dim));
    line("picture", fmt::format("{}x{} at {} frames a second, {} latents a chunk", world->latent_cols() * 8,
                                world->latent_rows() * 8, world->fps, world->chunk_latents));
    for (const char* file : {"dit.safetensors", "vae.safetensors"}) {
        std::error_code failed;
        const auto bytes = std::filesystem::file_size(world->folder / file, failed);
        if (!failed) line(file, size_text(bytes));
    }
    const auto fits = world->check_weights();
    const std::string obstacle = fits ? "" : fits.error().message;
    if (!obstacle.empty()) line("in the way", obstacle);
    line("can run", obstacle.empty() ? "yes; it needs no download" : "no: see what is in the way");
    return kExitDone;
}

} // namespace

int run_info(const std::string& model) {
    if (model == "embedded" || find_world_folder(model)) return print_world(model);
    if (WorldPlayFolder::looks_like_one(model)) {
        const auto folder = WorldPlayFolder::open(model);
        return folder ? print_folder(*folder) : fail_with(folder.error());
    }
    const auto folder = TextVideoFolder::open(model);
    return folder ? print_folder(*folder) : fail_with(folder.error());
}

} // namespace wander
