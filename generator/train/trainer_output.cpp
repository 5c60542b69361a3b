// What a training writes on its way: checkpoints, the world's folder, log, plot and contact sheets.

#include "generator/chart/contact_sheet.hpp"
#include "generator/json_fields.hpp"
#include "generator/train/next_latent.hpp"
#include "generator/train/portable_checkpoint.hpp"
#include "generator/train/trainer_run.hpp"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace wander::train {

namespace fs = std::filesystem;

nlohmann::json TrainRun::facts() const {
    std::vector<std::string> places;
    places.reserve(themes_.size());
    for (const Theme& theme : themes_) places.push_back(theme.name);
    nlohmann::json plan = nullptr;
    if (state_.plan) plan = {{"vae", state_.plan->vae}, {"dit", state_.plan->dit}, {"decoder", state_.plan->decoder}};
    TrainOptions kept = options_;
    kept.dim = dit_config_.dim;
    kept.layers = dit_config_.layers;
    kept.map_cells = dit_config_.map_fine_cells;
    return {{"version", 1},
            {"phase", phase_name(state_.phase)},
            {"step", state_.step},
            {"phase_seconds", state_.phase_seconds},
            {"run_seconds", run_seconds()},
            {"dit_steps", state_.dit_steps},
            {"warm_steps", state_.warm_steps},
            {"plan", plan},
            {"places", places},
            {"latent_mean", vae_config_.latent_mean},
            {"latent_std", vae_config_.latent_std},
            {"log_lines", log_ ? log_->lines() : 0},
            {"options", to_json(kept)}};
}

Result<void> TrainRun::save_full() {
    Checkpoint checkpoint;
    checkpoint.facts = facts();
    checkpoint.groups["dit"] = dit_.tensors();
    checkpoint.groups["dit_mean"] = dit_mean_.tensors();
    checkpoint.groups["vae"] = vae_.tensors();
    if (vae_live_) checkpoint.groups["vae_live"] = vae_live_->tensors();
    if (phase_) {
        checkpoint.groups["optimiser"] = phase_->optimizer->state();
        if (phase_->generators) checkpoint.groups["generators"] = phase_->generators();
        if (phase_->discriminator) checkpoint.groups["discriminator"] = phase_->discriminator();
    }
    return checkpoint.write(file("checkpoint.safetensors"));
}

Result<void> TrainRun::save_portable() {
    // It is there since the run began.
    auto world = read_json_file(file("world") / "world.json");
    if (!world) return world.error();
    PortableCheckpoint portable;
    portable.dit = dit_mean_.tensors();
    portable.vae = vae_.tensors();
    portable.world = std::move(*world);
    portable.facts = facts();
    return portable.write(file("portable"));
}

Result<void> TrainRun::export_world() {
    WorldDescription description;
    const EmbeddedWorld& from = base_->world;
    description.width = from.width;
    description.height = from.height;
    description.fps = from.fps;
    description.window_latents = from.window_latents;
    description.context_timestep = from.sampler.context_timestep;
    description.timesteps = from.sampler.timesteps;
    description.focal_over_width = from.camera.focal_x;
    description.translation_scale = from.camera.translation_scale;
    description.dit = dit_config_;
    description.vae = vae_config_;
    description.figures = {{"steps", state_.dit_steps}, {"minutes", run_seconds() / 60}};
    std::vector<WorldTheme> themes;
    themes.reserve(themes_.size());
    for (std::size_t i = 0; i < themes_.size(); ++i)
        themes.push_back({file("themes") / (themes_[i].name + ".json"), themes_[i]});
    return write_world(file("world"), description, themes, dit_mean_.source(), vae_.source(), device_.threads);
}

Result<void> TrainRun::look() {
    if (auto exported = export_world(); !exported) return exported;
    nlohmann::json line = {{"phase", phase_name(state_.phase)}, {"step", state_.step}, {"seconds", run_seconds()}};
    std::string words;
    if (held_out_) {
        TrainDit mean(dit_config_, geometry_, dit_mean_, device_.compute);
        const NextLatentError error =
            next_latent_error(mean, *held_out_, base_->world.sampler.sigmas, options_.clip_latents, options_.seed);
        line["next_latent_error"] = error.model;
        line["repeat_error"] = error.repeat;
        words = fmt::format("next latent's error {:.3f} of repeating the last", error.model / error.repeat);
    }
    if (options_.look_seconds > 0) {
        auto seen = walk_and_look();
        if (!seen) return seen.error();
        for (const auto& [second, figures] : *seen) {
            line[fmt::format("psnr_{}s", second)] = figures.psnr_db;
            line[fmt::format("sharpness_{}s", second)] = figures.sharpness;
            words += fmt::format("; at {} s {:.1f} dB, sharpness {:.2f}", second, figures.psnr_db, figures.sharpness);
        }
    }
    if (auto added = log_->add(line); !added) return added;
    if (!words.empty()) say(words);
    return log_->write_plot(file("training.png"), options_.assets);
}

Result<std::map<int, evaluate::SecondFigures>> TrainRun::walk_and_look() {
    auto world = evaluate::open_evaluated_world(file("world"), options_.assets, device_);
    if (!world) return world.error();
    evaluate::EvaluationOptions options;
    options.seconds = options_.look_seconds;
    options.walks_per_place = 1;
    options.next_chunk = false;
    options.revisits = false;
    options.progress = [&](const LoadProgress& progress) {
        TrainReport told;
        told.doing = "looking: " + progress.doing;
        told.share = std::max(0.0, progress.share);
        told.seconds_left = std::max(0.0, progress.seconds_left);
        report(told);
    };
    auto seen = evaluate::evaluate_world(*world, options);
    // Its threads may have taken this one's cores.
    set_own_thread_count(device_.threads);
    if (!seen) return seen.error();
    std::error_code failed;
    fs::create_directories(file("sheets"), failed);
    const fs::path sheet = file("sheets") / fmt::format("{:06.0f}s-{}.png", run_seconds(), phase_name(state_.phase));
    if (auto written = chart::write_contact_sheet(sheet, seen->sheet, options_.assets); !written)
        return written.error();
    fs::copy_file(sheet, file("sheet.png.part"), fs::copy_options::overwrite_existing, failed);
    if (!failed) fs::rename(file("sheet.png.part"), file("sheet.png"), failed);
    if (failed) return Error{ErrorCode::io, fmt::format("{}: {}", file("sheet.png").string(), failed.message())};
    std::map<int, evaluate::SecondFigures> figures;
    for (const evaluate::SecondFigures& second : seen->report.all.free_walk) figures[second.second] = second;
    return figures;
}

} // namespace wander::train
