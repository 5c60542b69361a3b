#include "generator/train/trainer.hpp"

#include "generator/errors.hpp"
#include "generator/plain/hash.hpp"
#include "generator/train/decoder_phase.hpp"
#include "generator/train/dit_phase.hpp"
#include "generator/train/portable_checkpoint.hpp"
#include "generator/train/trainer_run.hpp"
#include "generator/train/vae_phase.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace wander::train {

namespace fs = std::filesystem;

namespace {

constexpr double kSecondsPerMinute = 60;
// Of the time, for what is done between the phases and at the end: walks for the decoder, looks, files.
constexpr double kEndShare = 0.05;
constexpr int kGpuWalks = 280; // a theme; tiny-world.md 5
constexpr int kCpuWalks = 12;
constexpr int kGpuBatch = 12;
constexpr int kCpuBatch = 2;
constexpr int kGpuOwnWalks = 128;
constexpr int kCpuOwnWalks = 4;
constexpr int kClipsPerOwnWalk = 8; // 1,024 clips of 128 walks
constexpr int kMostPoolWalks = 48;  // a theme, with pictures: 3 GB for three of 60 latents
constexpr int kMostPoolLatents = 60;
constexpr int kHeldOutWalks = 2; // a theme
constexpr std::uint64_t kHeldOutSeed = 0x9e1d0u;
constexpr double kLevelOfNew = 1;
constexpr double kLevelOfOld = 0.5;
constexpr std::uint64_t kFreeDisk = 2ULL << 30;

constexpr const char* kThemesFolder = "themes";

OptimizerConfig vae_rates() {
    OptimizerConfig config;
    config.matrix_rate = 0.01;
    config.matrix_decay = 0.01;
    config.rate = 2e-3;
    config.decay = 1e-4;
    return config;
}

TrainPhase phase_of(const std::string& name) {
    for (const TrainPhase phase : {TrainPhase::vae, TrainPhase::dit, TrainPhase::decoder}) {
        if (name == phase_name(phase)) return phase;
    }
    return TrainPhase::done;
}

TensorSource group_source(const Checkpoint& checkpoint, const std::string& group) {
    return [&checkpoint, group](const std::string& name, const std::vector<std::int64_t>&) -> Result<at::Tensor> {
        const auto tensors = checkpoint.groups.find(group);
        if (tensors != checkpoint.groups.end()) {
            const auto found = tensors->second.find(name);
            if (found != tensors->second.end()) return found->second;
        }
        return Error{ErrorCode::bad_input, fmt::format("the checkpoint lacks {}/{}", group, name)};
    };
}

std::map<std::string, at::Tensor> group_of(const Checkpoint& checkpoint, const std::string& group) {
    const auto found = checkpoint.groups.find(group);
    return found == checkpoint.groups.end() ? std::map<std::string, at::Tensor>{} : found->second;
}

} // namespace

const char* phase_name(TrainPhase phase) {
    switch (phase) {
        case TrainPhase::vae: return "autoencoder";
        case TrainPhase::dit: return "transformer";
        case TrainPhase::decoder: return "decoder";
        case TrainPhase::done: return "done";
    }
    return "";
}

NamedTensors named(const Parameters& parameters) { return {parameters.tensors().begin(), parameters.tensors().end()}; }

TrainRun::TrainRun(TrainOptions options, TrainSink sink, ComputeDevice device, WorkerGroup group)
    : options_(std::move(options)), sink_(std::move(sink)), device_(std::move(device)), group_(std::move(group)) {}

void TrainRun::say(const std::string& line) const {
    if (first() && sink_.say) sink_.say(line);
}

void TrainRun::report(const TrainReport& told) const {
    if (first() && sink_.progress) sink_.progress(told);
}

double TrainRun::session_seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
}

std::uint64_t TrainRun::seed_for(const char* purpose) const {
    return fnv1a64(fmt::format("{}/{}/{}/{}", options_.seed, group_.rank(), purpose, state_.dit_steps));
}

DataSizes TrainRun::data_sizes() const {
    DataSizes sizes;
    sizes.format.width = base_->world.width;
    sizes.format.height = base_->world.height;
    sizes.threads = device_.threads;
    return sizes;
}

DataProgress TrainRun::data_progress(const char* doing) const {
    return [this, doing, began = session_seconds()](std::int64_t done, std::int64_t all) {
        TrainReport told;
        told.doing = doing;
        told.share = static_cast<double>(done) / static_cast<double>(std::max<std::int64_t>(1, all));
        if (done > 0) told.seconds_left = (session_seconds() - began) * (1 / told.share - 1);
        report(told);
        return true;
    };
}

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
    if (options_.resume.empty() &&
        (fs::exists(file("checkpoint.safetensors"), failed) || fs::exists(file("portable"), failed)))
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
        auto log = TrainingLog::open(file("training.jsonl"), facts.is_object() ? facts.value("log_lines", 0) : 0);
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
            if (done) done = take(into, Parameters::load(shapes, group_source(*resumed_, group), device_.device, what));
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

Result<void> TrainRun::make_plan() {
    if (state_.plan) return {};
    PhasePlan plan;
    double left = options_.minutes * kSecondsPerMinute * (1 - kEndShare) - run_seconds();
    auto theirs = group_.broadcast(std::vector<double>{left});
    if (!theirs) return theirs.error();
    left = theirs->front();
    if (options_.steps == 0 && left <= 0)
        return Error{ErrorCode::wrong_use,
                     fmt::format("--minutes {}: drawing the walks alone took {:.1f}; give it more, or fewer --walks",
                                 options_.minutes, run_seconds() / kSecondsPerMinute)};
    left = std::max(0.0, left);
    if (options_.new_vae) plan.vae = left * options_.vae_share;
    plan.decoder = left * options_.decoder_share;
    plan.dit = left - plan.vae - plan.decoder;
    state_.plan = plan;
    if (options_.steps > 0) {
        say(fmt::format("plan: {} steps of the transformer, {} of the decoder", options_.steps,
                        options_.decoder_steps));
    } else {
        say(fmt::format("plan: {}transformer {:.1f} min, decoder {:.1f} min, of {:.1f} min in all",
                        plan.vae > 0 ? fmt::format("autoencoder {:.1f} min, ", plan.vae / kSecondsPerMinute) : "",
                        plan.dit / kSecondsPerMinute, plan.decoder / kSecondsPerMinute, options_.minutes));
    }
    return {};
}

Result<bool> TrainRun::train_vae() {
    WalkPlan walks;
    walks.walks_per_theme = std::max(1, std::min(options_.walks, kMostPoolWalks) / group_.size());
    walks.latents = std::min(options_.walk_latents, kMostPoolLatents);
    walks.seed = seed_for("pictures");
    auto pool = make_frame_pool(themes_, walks, data_sizes(), device_.device, data_progress("drawing pictures"));
    if (!pool) return pool.error();
    if (auto planned = make_plan(); !planned) return planned.error();
    Parameters live = vae_.deep_copy();
    if (in_phase()) {
        auto loaded = Parameters::load(vae_config_.tensor_shapes(true, true), group_source(*resumed_, "vae_live"),
                                       device_.device, "autoencoder");
        if (!loaded) return loaded.error();
        live = std::move(*loaded);
    }
    live.require_gradients(true);
    vae_live_ = &live;
    TrainVae vae(vae_config_, live, device_.compute);
    VaePhase phase(vae, *pool, {}, seed_for("autoencoder"));
    Optimizer optimizer(named(live), vae_weight_kind, vae_rates());
    if (in_phase()) {
        if (auto loaded = optimizer.load_state(group_of(*resumed_, "optimiser")); !loaded) return loaded.error();
        if (first()) {
            if (auto restored = phase.restore(group_of(*resumed_, "generators")); !restored) return restored.error();
        }
    }
    resumed_.reset();
    Ema ema(named(vae_), named(live), 0.998);
    Phase loop;
    loop.loss = [&](double progress) { return phase.loss(progress); };
    loop.weights = named(live);
    loop.optimizer = &optimizer;
    loop.ema = &ema;
    loop.seconds = state_.plan->vae;
    loop.steps = options_.steps > 0 ? std::max<std::int64_t>(1, options_.vae_steps) : 0;
    loop.generators = [&] { return phase.state(); };
    loop.details = [&](nlohmann::json& line) { line["psnr"] = phase.psnr().item<double>(); };
    auto done = run_phase(loop);
    vae_live_ = nullptr;
    if (!done || !*done) return done;
    // The scale of the latents follows from the weights as they are exported.
    TrainVae exported(vae_config_, vae_, device_.compute);
    VaePhase measured(exported, *pool, {}, 0);
    measured.measure_latent_scale();
    vae_config_ = exported.config();
    auto shared = group_.broadcast(vae_config_.latent_mean);
    if (!shared) return shared.error();
    vae_config_.latent_mean = *shared;
    shared = group_.broadcast(vae_config_.latent_std);
    if (!shared) return shared.error();
    vae_config_.latent_std = *shared;
    return true;
}

Result<bool> TrainRun::train_dit() {
    TrainVae vae(vae_config_, vae_, device_.compute);
    WalkPlan walks;
    walks.walks_per_theme = std::max(1, options_.walks / group_.size());
    walks.latents = options_.walk_latents;
    // The same walks in every session of a run, others in every process.
    walks.seed = fnv1a64(fmt::format("{}/{}/walks", options_.seed, group_.rank()));
    const double began = session_seconds();
    auto data = make_training_data(themes_, vae, walks, data_sizes(), data_progress("drawing walks"));
    if (!data) return data.error();
    say(fmt::format("{} walks of {} latents drawn and encoded in {:.1f} s", data->latents.size(0) * group_.size(),
                    walks.latents, session_seconds() - began));
    if (first()) {
        WalkPlan held_out;
        held_out.walks_per_theme = kHeldOutWalks;
        held_out.latents = options_.clip_latents;
        held_out.seed = kHeldOutSeed;
        auto few = make_training_data(themes_, vae, held_out, data_sizes());
        if (!few) return few.error();
        held_out_ = std::move(*few);
    }
    if (auto planned = make_plan(); !planned) return planned.error();

    dit_.require_gradients(true);
    TrainDit network(dit_config_, geometry_, dit_, device_.compute);
    DitPhaseConfig config;
    config.batch = options_.batch;
    config.latents = options_.clip_latents;
    config.own_share = options_.own_share;
    config.own.walks = options_.own_walks;
    config.own.clips = options_.own_walks * kClipsPerOwnWalk;
    config.own.clip_latents = options_.clip_latents;
    config.own.lengths = {options_.clip_latents, options_.walk_latents};
    for (const int longer : {2 * options_.clip_latents, 4 * options_.clip_latents}) {
        if (longer < options_.walk_latents) config.own.lengths.push_back(longer);
    }
    config.own.walk.window = base_->world.window_latents;
    config.own.walk.sigmas = base_->world.sampler.sigmas;
    config.sigmas = base_->world.sampler.sigmas;
    config.context_noise *= options_.context_errors;
    config.low_frequency *= options_.context_errors;
    // A new network has nothing of its own to learn from at first.
    if (!base_->dit) config.own_from = 0.36;
    DitPhase phase(network, dit_mean_, *data, config, seed_for("transformer"));
    Optimizer optimizer(named(dit_), dit_weight_kind);
    if (in_phase()) {
        if (auto loaded = optimizer.load_state(group_of(*resumed_, "optimiser")); !loaded) return loaded.error();
        if (first()) {
            if (auto restored = phase.restore(group_of(*resumed_, "generators")); !restored) return restored.error();
        }
    }
    resumed_.reset();
    Ema ema(named(dit_mean_), named(dit_));
    Phase loop;
    loop.loss = [&](double progress) { return phase.loss(progress); };
    loop.weights = named(dit_);
    loop.optimizer = &optimizer;
    loop.ema = &ema;
    loop.seconds = state_.plan->dit;
    loop.steps = options_.steps;
    loop.schedule = {*options_.rate, options_.end_rate, options_.fall_from, options_.warm_up};
    loop.generators = [&] { return phase.state(); };
    loop.details = [&](nlohmann::json& line) {
        line["own_clips"] = phase.own_clips();
        line["own_seconds"] = phase.refresh_seconds();
    };
    auto done = run_phase(loop);
    dit_.clear_gradients();
    dit_.require_gradients(false);
    return done;
}

Result<bool> TrainRun::train_decoder() {
    if (options_.steps > 0 ? options_.decoder_steps == 0 : options_.decoder_share <= 0) return true;
    const double began = session_seconds();
    WalkPlan walks;
    walks.walks_per_theme = std::max(1, std::min(options_.walks, kMostPoolWalks) / group_.size());
    walks.latents = std::min(options_.walk_latents, kMostPoolLatents);
    walks.seed = seed_for("pictures");
    auto pool = make_frame_pool(themes_, walks, data_sizes(), device_.device, data_progress("drawing pictures"));
    if (!pool) return pool.error();
    if (auto planned = make_plan(); !planned) return planned.error();
    Parameters live = vae_.deep_copy();
    if (in_phase()) {
        auto loaded = Parameters::load(vae_config_.tensor_shapes(true, true), group_source(*resumed_, "vae_live"),
                                       device_.device, "autoencoder");
        if (!loaded) return loaded.error();
        live = std::move(*loaded);
    }
    TrainVae vae(vae_config_, live, device_.compute);
    const TrainingData along = encode_pool(*pool, vae);
    auto own = make_own_latents(along);
    if (!own) return own.error();
    say(fmt::format("{} walks of {} latents drawn, encoded and walked by the transformer in {:.1f} s",
                    along.latents.size(0) * group_.size(), walks.latents, session_seconds() - began));

    NamedTensors weights;
    NamedTensors mean;
    for (const auto& [name, tensor] : live.tensors()) {
        if (!DecoderPhase::trains(name)) continue;
        tensor.requires_grad_(true);
        weights.emplace_back(name, tensor);
        mean.emplace_back(name, vae_.at(name));
    }
    vae_live_ = &live;
    DecoderPhaseConfig config;
    const int longest = static_cast<int>(along.latents.size(1)) - 1;
    config.first_latents = std::min(config.first_latents, longest);
    config.middle_latents = std::min(config.middle_latents, longest);
    if (!device_.is_cuda()) config.clips = options_.batch;
    DecoderPhase phase(vae, *pool, along.latents, *own, config, seed_for("decoder"));
    phase.average_gradients([&](std::vector<at::Tensor>& leaves) {
        NamedTensors list;
        for (const at::Tensor& leaf : leaves) list.emplace_back("", leaf);
        const auto averaged = group_.average_gradients(list);
        TORCH_CHECK(averaged, averaged ? "" : averaged.error().message);
    });
    Optimizer optimizer(weights, vae_weight_kind, vae_rates());
    if (in_phase()) {
        if (auto loaded = optimizer.load_state(group_of(*resumed_, "optimiser")); !loaded) return loaded.error();
        if (!phase.discriminator().load_state(group_of(*resumed_, "discriminator")))
            return Error{ErrorCode::bad_input, "the checkpoint's discriminator is another one"};
        if (first()) {
            if (auto restored = phase.restore(group_of(*resumed_, "generators")); !restored) return restored.error();
        }
    }
    resumed_.reset();
    Ema ema(mean, weights, 0.998);
    Phase loop;
    loop.loss = [&](double progress) { return phase.loss(progress); };
    loop.weights = weights;
    loop.optimizer = &optimizer;
    loop.ema = &ema;
    loop.seconds = state_.plan->decoder;
    loop.steps = options_.steps > 0 ? options_.decoder_steps : 0;
    loop.schedule = {options_.new_vae ? kLevelOfNew : kLevelOfOld, 0, 0.4, 50};
    loop.generators = [&] { return phase.state(); };
    loop.discriminator = [&] { return phase.discriminator().state(); };
    loop.details = [&](nlohmann::json& line) { line["psnr"] = phase.psnr().item<double>(); };
    auto done = run_phase(loop);
    vae_live_ = nullptr;
    return done;
}

Result<TrainOutcome> TrainRun::go() {
    if (auto opened = open(); !opened) return opened.error();
    // Everybody begins with the same values, whatever a device makes of the same seed.
    if (auto shared = group_.broadcast(named(dit_)); !shared) return shared.error();
    std::vector<std::string> places;
    places.reserve(themes_.size());
    for (const Theme& theme : themes_)
        places.push_back(theme.name + (base_->dit && !base_->world.world_number(theme.name) ? " (new)" : ""));
    say(fmt::format("training {} on {}{}, from {}", fmt::join(places, ", "), device_.name,
                    group_.size() > 1 ? fmt::format(" and {} more", group_.size() - 1) : "",
                    options_.resume.empty() ? base_->told
                                            : fmt::format("{} at step {} of the {}", options_.resume.string(),
                                                          state_.step, phase_name(state_.phase))));
    if (first()) {
        if (auto exported = export_world(); !exported) return exported.error();
    }
    while (state_.phase != TrainPhase::done) {
        Result<bool> done = true;
        try {
            switch (state_.phase) {
                case TrainPhase::vae: done = train_vae(); break;
                case TrainPhase::dit: done = train_dit(); break;
                case TrainPhase::decoder: done = train_decoder(); break;
                case TrainPhase::done: break;
            }
        } catch (...) {
            return current_exception_as_error("training");
        }
        if (!done) return done.error();
        if (!*done)
            return TrainOutcome{false, fmt::format("stopped at step {} of the {}; go on with wander train --resume {}",
                                                   state_.step, phase_name(state_.phase), options_.out.string())};
        state_.phase = static_cast<TrainPhase>(static_cast<int>(state_.phase) + 1);
        state_.step = 0;
        state_.phase_seconds = 0;
        state_.warm_steps = 0;
        // Without this a kill would throw the whole phase away up to its last checkpoint.
        if (auto written = write_when_due(true, true); !written) return written.error();
    }
    return TrainOutcome{true, fmt::format("done in {:.1f} min: walk with wander --model {}",
                                          run_seconds() / kSecondsPerMinute, file("world").string())};
}

Result<TrainOutcome> train(const TrainOptions& options, const TrainSink& sink) {
    auto device = pick_device(options.device, options.precision, options.threads);
    if (!device) return device.error();
    // bfloat16 pays on a GPU; on a CPU the plain operations are slower in it.
    if (!device->is_cuda() && options.precision == "auto") device->compute = at::kFloat;
    set_own_thread_count(device->threads);
    auto group = WorkerGroup::join(device->device);
    if (!group) return group.error();
    try {
        return TrainRun(options, sink, std::move(*device), std::move(*group)).go();
    } catch (...) {
        return current_exception_as_error("training");
    }
}

} // namespace wander::train
