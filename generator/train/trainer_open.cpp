// How a training begins: its folder, what it goes on from, its places, its networks.

#include "generator/train/portable_checkpoint.hpp"
#include "generator/train/train_vae.hpp"
#include "generator/train/trainer_run.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <tuple>

namespace wander::train {

namespace fs = std::filesystem;

namespace {

constexpr int kGpuWalks = 280; // a theme; tiny-world.md 5
constexpr int kCpuWalks = 12;
constexpr int kGpuBatch = 12;
constexpr int kCpuBatch = 2;
constexpr int kGpuOwnWalks = 128;
constexpr int kCpuOwnWalks = 4;
constexpr std::uint64_t kFreeDisk = 2ULL << 30;

constexpr const char* kThemesFolder = "themes";

TrainPhase phase_of(const std::string& name) {
    for (const TrainPhase phase : {TrainPhase::vae, TrainPhase::dit, TrainPhase::decoder}) {
        if (name == phase_name(phase)) return phase;
    }
    return TrainPhase::done;
}

} // namespace

Result<void> TrainRun::check_folder() {
    std::error_code failed;
    fs::create_directories(options_.out, failed);
    const auto cannot = [&](const std::string& why) {
        return Error{ErrorCode::bad_input, fmt::format("--out {}: cannot be written: {}", options_.out.string(), why)};
    };
    if (failed) return cannot(failed.message());
    const fs::path trial = file("trial.part");
    {
        std::ofstream out(trial);
        out << "x";
        if (!out.flush()) return cannot("choose a folder that you may write to");
    }
    fs::remove(trial, failed);
    const bool own = !options_.resume.empty() && fs::equivalent(options_.out, options_.resume, failed);
    if (!own && (fs::exists(file("checkpoint.safetensors"), failed) || fs::exists(file("portable"), failed)))
        return Error{ErrorCode::wrong_use, fmt::format("--out {}: holds a training already: go on with --resume {}, or "
                                                       "choose another folder",
                                                       options_.out.string(), options_.out.string())};
    const auto space = fs::space(options_.out, failed);
    if (!failed && space.available < kFreeDisk)
        return Error{ErrorCode::io,
                     fmt::format("--out {}: {:.1f} GB are free there, a training needs {:.1f}", options_.out.string(),
                                 static_cast<double>(space.available) / 1e9, static_cast<double>(kFreeDisk) / 1e9)};
    return {};
}

Result<nlohmann::json> TrainRun::open_resumed() {
    std::error_code failed;
    const fs::path full = options_.resume / "checkpoint.safetensors";
    const fs::path portable = options_.resume / "portable";
    nlohmann::json facts;
    std::string where;
    if (fs::exists(full, failed)) {
        auto checkpoint = Checkpoint::read(full);
        if (!checkpoint) return checkpoint.error();
        facts = checkpoint->facts;
        resumed_ = std::move(*checkpoint);
        where = full.string();
    } else if (PortableCheckpoint::looks_like_one(portable)) {
        auto checkpoint = PortableCheckpoint::read(portable);
        if (!checkpoint) return checkpoint.error();
        facts = checkpoint->facts;
        where = portable.string();
    } else {
        return Error{ErrorCode::wrong_use,
                     fmt::format("--resume {}: holds no checkpoint of a training", options_.resume.string())};
    }
    try {
        state_.phase = phase_of(facts.at("phase").get<std::string>());
        state_.step = facts.at("step").get<std::int64_t>();
        state_.phase_seconds = facts.at("phase_seconds").get<double>();
        state_.run_seconds = facts.at("run_seconds").get<double>();
        state_.dit_steps = facts.at("dit_steps").get<std::int64_t>();
        // The optimiser of a portable checkpoint is new and warms up.
        state_.warm_steps = resumed_ ? facts.at("warm_steps").get<std::int64_t>() : 0;
        const auto& plan = facts.at("plan");
        if (!plan.is_null())
            state_.plan =
                PhasePlan{plan.at("vae").get<double>(), plan.at("dit").get<double>(), plan.at("decoder").get<double>()};
        auto before = options_from_json(facts.at("options"), where);
        if (!before) return before.error();
        // Where things lie, how often they are written and what the machine can hold is this session's business.
        if (options_.batch > 0) before->batch = options_.batch;
        if (options_.own_walks > 0) before->own_walks = options_.own_walks;
        before->themes = options_.themes;
        before->out = options_.out;
        before->resume = options_.resume;
        before->assets = options_.assets;
        before->stop_after = options_.stop_after;
        before->device = options_.device;
        before->precision = options_.precision;
        before->threads = options_.threads;
        before->gpus = options_.gpus;
        before->save_minutes = options_.save_minutes;
        before->look_minutes = options_.look_minutes;
        before->look_seconds = options_.look_seconds;
        before->log_steps = options_.log_steps;
        for (const auto& [given, kept, word] : {std::tuple{options_.dim, before->dim, "--dim"},
                                                std::tuple{options_.layers, before->layers, "--layers"}}) {
            if (given > 0 && given != kept)
                return Error{ErrorCode::wrong_use,
                             fmt::format("{} {}: {} trains another network; leave the option out", word, given, where)};
        }
        options_ = std::move(*before);
    } catch (const nlohmann::json::exception& error) {
        return Error{ErrorCode::bad_input, fmt::format("{}: says too little about the run: {}", where, error.what())};
    }
    if (state_.phase == TrainPhase::done)
        return Error{ErrorCode::wrong_use,
                     fmt::format("--resume {}: that training is finished; begin a new one from it "
                                 "with --from {} --out ANOTHER",
                                 options_.resume.string(), options_.resume.string())};
    return facts;
}

Result<void> TrainRun::open_themes(const nlohmann::json& facts) {
    std::vector<std::string> places;
    if (facts.is_object()) {
        places = facts.value("places", places);
        if (options_.themes.empty()) {
            for (const std::string& name : places)
                options_.themes.push_back(options_.resume / kThemesFolder / (name + ".json"));
        }
    }
    for (const fs::path& path : options_.themes) {
        auto theme = Theme::read(path);
        if (!theme) return theme.error();
        for (const Theme& other : themes_) {
            if (other.name == theme->name)
                return Error{ErrorCode::wrong_use, fmt::format("--themes: {} is there twice", theme->name)};
            // A world finds its start points by their names alone.
            for (const ThemeStart& start : theme->starts) {
                if (other.find_start(start.name))
                    return Error{ErrorCode::wrong_use,
                                 fmt::format("--themes: {} and {} both call a start point {}; rename it in one of them",
                                             other.name, theme->name, start.name)};
            }
        }
        themes_.push_back(std::move(*theme));
        theme_files_.push_back(path);
    }
    if (themes_.empty()) return Error{ErrorCode::wrong_use, "--themes: name one or more, as `wander world list` shows"};
    if (facts.is_object()) {
        std::vector<std::string> now;
        now.reserve(themes_.size());
        for (const Theme& theme : themes_) now.push_back(theme.name);
        if (now != places)
            return Error{
                ErrorCode::wrong_use,
                fmt::format("--themes {}: {} trains {}; leave the option out, or begin a new training with --from",
                            fmt::join(now, ","), options_.resume.string(), fmt::join(places, ","))};
    }
    if (!first()) return {};
    // A copy beside the run, so that it can go on when a file has gone or changed.
    std::error_code failed;
    fs::create_directories(file(kThemesFolder), failed);
    for (std::size_t i = 0; i < themes_.size() && !failed; ++i) {
        const fs::path copy = file(kThemesFolder) / (themes_[i].name + ".json");
        if (fs::equivalent(copy, theme_files_[i], failed)) continue;
        failed.clear();
        fs::copy_file(theme_files_[i], copy, fs::copy_options::overwrite_existing, failed);
    }
    if (failed) return Error{ErrorCode::io, fmt::format("{}: {}", file(kThemesFolder).string(), failed.message())};
    return {};
}

Result<void> TrainRun::check_memory() const {
    if (!device_.is_cuda()) return {};
    const DeviceMemory memory = device_memory(device_.device);
    const auto free = static_cast<double>(memory.total_bytes - memory.used_bytes);
    // By count of what is kept: float16 latents of the walks; keys and values of own roll-outs, raw and rotated, two
    // bytes a number; and about 84 bytes a token, layer and number of width for the backward pass (8 GB at 12 clips of
    // 24 latents, tiny-world.md 8).
    const auto tokens = static_cast<double>(geometry_.tokens());
    const auto width = static_cast<double>(dit_config_.dim) * dit_config_.layers;
    const double latent = 2.0 * dit_config_.channels * geometry_.rows * geometry_.cols;
    const double data = latent * options_.walks * static_cast<double>(themes_.size()) * (1 + options_.walk_latents);
    const double rollouts = 8.0 * options_.own_walks * (1 + base_->world.window_latents) * tokens * width;
    const double clips = 84.0 * options_.batch * (1 + 2 * options_.clip_latents) * tokens * width;
    const double needed = data + rollouts + clips;
    if (needed < free) return {};
    return Error{
        ErrorCode::out_of_memory,
        fmt::format("this training needs about {:.1f} GB of GPU memory, {:.1f} GB are free: use a smaller --batch, "
                    "fewer --own-walks or fewer --walks",
                    needed / 1e9, free / 1e9)};
}

Result<void> TrainRun::open() {
    if (auto checked = check_folder(); !checked) return checked;
    nlohmann::json facts;
    const bool resumes = !options_.resume.empty();
    if (resumes) {
        auto found = open_resumed();
        if (!found) return found.error();
        facts = std::move(*found);
    }
    if (auto opened = open_themes(facts); !opened) return opened;
    auto base = TrainingBase::open(options_.from, options_.assets);
    // What it began with may have gone since: everything that is still asked of it lies in the portable checkpoint too.
    if (!base && resumes) {
        auto portable = TrainingBase::open((options_.resume / "portable").string(), options_.assets);
        if (portable) base = std::move(portable);
    }
    if (!base) return base.error();
    base_ = std::move(*base);
    if (options_.width > 0) {
        if (auto resized = resize(*base_, options_.width, options_.height); !resized) return resized;
    }
    if (options_.new_vae && base_->dit)
        return Error{
            ErrorCode::wrong_use,
            fmt::format("--new-vae: the weights of {} know its autoencoder alone; use --from none", base_->told)};
    if (!resumes && options_.new_vae) state_.phase = TrainPhase::vae;

    auto dit = dit_to_train(*base_, options_, static_cast<int>(themes_.size()));
    if (!dit) return dit.error();
    dit_config_ = *dit;
    vae_config_ = base_->world.vae;
    if (facts.contains("latent_mean") && facts.contains("latent_std")) {
        vae_config_.latent_mean = facts["latent_mean"].get<std::vector<double>>();
        vae_config_.latent_std = facts["latent_std"].get<std::vector<double>>();
    }
    geometry_.rows = base_->world.latent_rows();
    geometry_.cols = base_->world.latent_cols();
    geometry_.camera = base_->world.camera;
    geometry_.context_timestep = base_->world.sampler.context_timestep;

    const bool gpu = device_.is_cuda();
    if (options_.walks == 0) options_.walks = gpu ? kGpuWalks : kCpuWalks;
    if (options_.batch == 0) options_.batch = gpu ? kGpuBatch : kCpuBatch;
    if (options_.own_walks == 0) options_.own_walks = gpu ? kGpuOwnWalks : kCpuOwnWalks;
    if (!options_.rate) options_.rate = base_->dit ? kLevelOfOld : kLevelOfNew;
    options_.clip_latents = std::min(options_.clip_latents, options_.walk_latents);
    if (auto checked = check_memory(); !checked) return checked;

    if (first()) {
        constexpr const char* kLog = "training.jsonl";
        auto log = TrainingLog::open(file(kLog), resumes ? options_.resume / kLog : file(kLog),
                                     facts.is_object() ? facts.value("log_lines", 0) : 0);
        if (!log) return log.error();
        log_ = std::move(*log);
    }
    return make_networks();
}

Result<void> TrainRun::make_networks() {
    const auto take = [&](Parameters& into, Result<Parameters> made) -> Result<void> {
        if (!made) return made.error();
        into = std::move(*made);
        return {};
    };
    Result<void> done;
    if (resumed_) {
        const auto load = [&](Parameters& into, const char* group, const TensorShapes& shapes, const char* what) {
            if (done) done = take(into, Parameters::load(shapes, resumed_->source(group), device_.device, what));
        };
        load(dit_, "dit", dit_config_.tensor_shapes(), "transformer");
        load(dit_mean_, "dit_mean", dit_config_.tensor_shapes(), "transformer");
        load(vae_, "vae", vae_config_.tensor_shapes(true, true), "autoencoder");
        return done;
    }
    if (!options_.resume.empty()) {
        // The averaged weights of a portable checkpoint, for both.
        auto portable = TrainingBase::open((options_.resume / "portable").string(), options_.assets);
        if (!portable) return portable.error();
        done = take(dit_, Parameters::load(dit_config_.tensor_shapes(), portable->dit, device_.device, "transformer"));
        if (done) done = take(vae_, first_vae(*portable, device_.device));
    } else {
        done = take(dit_, first_dit(*base_, dit_config_, themes_, device_.device, options_.seed));
        if (done) done = take(vae_, first_vae(*base_, device_.device));
        if (done && options_.new_vae) {
            vae_ = random_vae(vae_config_, device_.device, at::detail::createCPUGenerator(options_.seed));
            vae_config_.latent_mean.assign(static_cast<std::size_t>(vae_config_.z), 0.0);
            vae_config_.latent_std.assign(static_cast<std::size_t>(vae_config_.z), 1.0);
        }
    }
    if (done) dit_mean_ = dit_.deep_copy();
    return done;
}

} // namespace wander::train
