#include "generator/evaluate/evaluate_world.hpp"

#include "generator/errors.hpp"
#include "generator/evaluate/measure_walk.hpp"
#include "generator/evaluate/model_walk.hpp"
#include "generator/evaluate/plain/statistics.hpp"
#include "generator/world/plain/world_folder.hpp"
#include "quant/format.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>
#include <thread>

namespace wander::evaluate {

namespace {

constexpr int kMaxSeconds = 60;

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double mean(const std::vector<double>& values) {
    if (values.empty()) return 0;
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void append(std::vector<double>& all, const std::vector<double>& more) {
    all.insert(all.end(), more.begin(), more.end());
}

// Work done by all workers, told to one sink.
class SharedProgress {
public:
    SharedProgress(double work, const EvaluationOptions& options)
        : work_(work), options_(options), begun_(steady_seconds()) {}

    // False: stop.
    bool done(double work) {
        const std::lock_guard lock(mutex_);
        done_ += work;
        if (options_.progress) {
            const double share = std::min(1.0, done_ / work_);
            const double spent = steady_seconds() - begun_;
            options_.progress({"evaluating", share, spent * (1 - share) / share});
        }
        return !stopped_ && !options_.stop.stop_requested();
    }
    // Another worker failed.
    void stop() {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
    }

private:
    std::mutex mutex_;
    double work_;
    const EvaluationOptions& options_;
    double begun_;
    double done_ = 0;
    bool stopped_ = false;
};

struct Revisit {
    int place = 0;
    const RevisitScript* script = nullptr;
};

class Evaluator {
public:
    Evaluator(const EvaluatedWorld& world, const EvaluationOptions& options)
        : world_(world), options_(options), variants_(variants_of(options)) {}

    Result<Evaluation> run() {
        const double begun = steady_seconds();
        if (auto checked = check(); !checked) return checked.error();
        seconds_ = measured_seconds(options_.seconds);
        auto walks = evaluation_walks(world_, options_.walks_per_place, options_.seconds * latents_per_second_);
        if (!walks) return walks.error();
        walks_ = std::move(*walks);
        auto truth = TruePictures::open(world_);
        if (!truth) return truth.error();
        truth_.emplace(std::move(*truth));
        scripts_ = revisit_scripts();
        if (options_.revisits) {
            for (int place = 0; place < places(); ++place) {
                for (const RevisitScript& script : scripts_) revisits_.push_back({place, &script});
            }
        }
        if (auto done = work(); !done) return done.error();
        Evaluation evaluation{report(), sheet()};
        evaluation.report.minutes = (steady_seconds() - begun) / 60;
        return evaluation;
    }

private:
    int places() const { return static_cast<int>(world_.themes.size()); }

    Result<void> check() {
        if (options_.seconds < 1 || options_.seconds > kMaxSeconds)
            return Error{ErrorCode::wrong_use,
                         fmt::format("a free walk of {} s: 1 to {} are measured", options_.seconds, kMaxSeconds)};
        if (options_.walks_per_place < 1 || options_.walks_per_place > kWalksPerPlace)
            return Error{ErrorCode::wrong_use,
                         fmt::format("{} walks a place: there are 1 to {}", options_.walks_per_place, kWalksPerPlace)};
        latents_per_second_ = static_cast<int>(std::lround(world_.world.fps / kFramesPerLatent));
        if (latents_per_second_ < 1 || latents_per_second_ * kFramesPerLatent != world_.world.fps)
            return Error{ErrorCode::bad_input, fmt::format("{}: {} frames a second are no whole number of latents",
                                                           world_.world.folder.string(), world_.world.fps)};
        if (world_.world.camera.period != static_cast<double>(scene::kPeriod))
            return Error{ErrorCode::bad_input,
                         fmt::format("{}: its places repeat after {} units, those of themes after {}",
                                     world_.world.folder.string(), world_.world.camera.period, scene::kPeriod)};
        for (const WalkVariant& variant : variants_) {
            if (auto opened = open_rollout(world_, variant, 0); !opened) return opened.error();
        }
        return {};
    }

    MeasureContext context_of(std::size_t number, SharedProgress& progress) const {
        MeasureContext context;
        context.world = &world_;
        context.options = &options_;
        context.truth = &*truth_;
        context.variants = variants_;
        context.seconds = seconds_;
        context.latents_per_second = latents_per_second_;
        context.seed = options_.seed + number;
        context.done = [&progress](double work) { return progress.done(work); };
        return context;
    }

    Result<void> job(std::size_t number, SharedProgress& progress) {
        MeasureContext context = context_of(number, progress);
        if (number < walks_.size()) {
            context.keep_shown = is_first_of_place(number);
            auto measured = measure_walk(context, walks_[number]);
            if (!measured) return measured.error();
            walk_samples_[number] = std::move(*measured);
            return {};
        }
        const std::size_t at = number - walks_.size();
        auto measured = measure_revisit(context, revisits_[at].place, *revisits_[at].script);
        if (!measured) return measured.error();
        revisit_samples_[at] = *measured;
        return {};
    }

    bool is_first_of_place(std::size_t number) const {
        return number == 0 || walks_[number - 1].place != walks_[number].place;
    }

    // Jobs are given out one by one; what comes of each does not depend on who did it.
    Result<void> work() {
        walk_samples_.resize(walks_.size());
        revisit_samples_.resize(revisits_.size());
        const std::size_t jobs = walks_.size() + revisits_.size();
        MeasureContext sizes;
        sizes.world = &world_;
        sizes.options = &options_;
        sizes.variants = variants_;
        sizes.latents_per_second = latents_per_second_;
        double work = walk_work(sizes) * static_cast<double>(walks_.size());
        for (const Revisit& revisit : revisits_) work += revisit_work(*revisit.script);
        SharedProgress progress(work, options_);
        std::atomic<std::size_t> next{0};
        std::mutex mutex;
        std::optional<Error> error;
        const auto loop = [&](bool own_stream) {
            const c10::InferenceMode inference;
            std::optional<c10::StreamGuard> guard;
            if (own_stream)
                guard.emplace(c10::impl::VirtualGuardImpl(at::kCUDA).getStreamFromGlobalPool(world_.device.device));
            for (std::size_t number = next++; number < jobs; number = next++) {
                auto done = Result<void>();
                try {
                    done = job(number, progress);
                } catch (...) {
                    done = current_exception_as_error("evaluating");
                }
                if (done) continue;
                const std::lock_guard lock(mutex);
                if (!error) error = done.error();
                progress.stop();
                return;
            }
        };
        run_workers(std::min(worker_count(), jobs), loop);
        if (error) return *error;
        return {};
    }

    std::size_t worker_count() const {
        if (options_.workers > 0) return static_cast<std::size_t>(options_.workers);
        return world_.device.is_cuda() ? 1 : static_cast<std::size_t>(std::max(1, world_.device.threads));
    }

    template <typename Loop>
    void run_workers(std::size_t count, const Loop& loop) const {
        if (world_.device.is_cuda() && count == 1) return loop(false);
        // What was loaded in this thread's stream is there before others read it.
        if (world_.device.is_cuda())
            c10::impl::VirtualGuardImpl(at::kCUDA).getStream(world_.device.device).synchronize();
        const int threads = world_.device.is_cuda() ? 1 : std::max(1, world_.device.threads / static_cast<int>(count));
        std::vector<std::jthread> workers;
        workers.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            workers.emplace_back([&, threads] {
                set_own_thread_count(threads);
                loop(world_.device.is_cuda());
            });
        }
    }

    // All walks of a place, or of all places (-1).
    template <typename Get>
    std::vector<SecondFigures> seconds_of(int place, const Get& get) const {
        std::vector<SecondFigures> figures;
        for (const int second : seconds_) {
            SecondSamples all;
            for (std::size_t i = 0; i < walks_.size(); ++i) {
                if (place >= 0 && walks_[i].place != place) continue;
                const SamplesBySecond& samples = get(walk_samples_[i]);
                if (const auto found = samples.find(second); found != samples.end()) {
                    append(all.psnr_db, found->second.psnr_db);
                    append(all.sharpness, found->second.sharpness);
                }
            }
            if (!all.psnr_db.empty()) figures.push_back({second, mean(all.psnr_db), median(all.sharpness)});
        }
        return figures;
    }

    PlaceFigures figures_of(int place) const {
        PlaceFigures figures;
        figures.name = place < 0 ? "all" : world_.themes[static_cast<std::size_t>(place)].name;
        figures.title = place < 0 ? "all places" : world_.themes[static_cast<std::size_t>(place)].title;
        figures.free_walk =
            seconds_of(place, [](const WalkSamples& s) -> const SamplesBySecond& { return s.free_walk; });
        figures.known_walks = true;
        figures.worst_second_db = std::numeric_limits<double>::infinity();
        NextChunkSamples chunks;
        SecondSamples ceiling;
        for (std::size_t i = 0; i < walks_.size(); ++i) {
            if (place >= 0 && walks_[i].place != place) continue;
            ++figures.walks;
            figures.known_walks = figures.known_walks && walks_[i].known;
            const WalkSamples& samples = walk_samples_[i];
            for (const auto& [second, of_second] : samples.free_walk)
                figures.worst_second_db = std::min(figures.worst_second_db, mean(of_second.psnr_db));
            append(chunks.history_db, samples.next_chunk.history_db);
            append(chunks.sink_only_db, samples.next_chunk.sink_only_db);
            append(chunks.no_pose_db, samples.next_chunk.no_pose_db);
            append(chunks.latent_mse, samples.next_chunk.latent_mse);
            for (const auto& [second, of_second] : samples.ceiling) {
                append(ceiling.psnr_db, of_second.psnr_db);
                append(ceiling.sharpness, of_second.sharpness);
            }
        }
        figures.next_chunk = {mean(chunks.history_db), mean(chunks.sink_only_db), mean(chunks.no_pose_db),
                              mean(chunks.latent_mse), static_cast<int>(chunks.latent_mse.size())};
        figures.ceiling = {mean(ceiling.psnr_db), median(ceiling.sharpness)};
        figures.revisits = revisits_of(place);
        return figures;
    }

    std::vector<RevisitFigures> revisits_of(int place) const {
        std::vector<RevisitFigures> figures;
        for (const RevisitScript& script : scripts_) {
            RevisitFigures sum;
            sum.name = script.name;
            double count = 0;
            for (std::size_t i = 0; i < revisits_.size(); ++i) {
                if (revisits_[i].script != &script || (place >= 0 && revisits_[i].place != place)) continue;
                const RevisitSamples& samples = revisit_samples_[i];
                sum.end_db += samples.end_db;
                sum.first_db += samples.first_db;
                sum.middle_db += samples.middle_db;
                sum.true_first_db += samples.true_first_db;
                ++count;
            }
            if (count == 0) continue;
            for (double* figure : {&sum.end_db, &sum.first_db, &sum.middle_db, &sum.true_first_db}) *figure /= count;
            figures.push_back(sum);
        }
        return figures;
    }

    FormatFigures format_figures(std::size_t number) const {
        FormatFigures figures;
        figures.format = variants_[number].name;
        figures.free_walk = seconds_of(
            -1, [number](const WalkSamples& s) -> const SamplesBySecond& { return s.variants[number].against_truth; });
        for (const int second : seconds_) {
            std::vector<double> all;
            for (const WalkSamples& samples : walk_samples_)
                append(all, samples.variants[number].against_plain_db.at(second));
            figures.plain_db.push_back(mean(all));
        }
        const auto walks = static_cast<double>(walk_samples_.size());
        for (const WalkSamples& samples : walk_samples_) {
            figures.packed_ratio += samples.variants[number].packed_ratio / walks;
            figures.whole_ratio += samples.variants[number].whole_ratio / walks;
        }
        return figures;
    }

    std::string world_name() const {
        const EmbeddedWorld& w = world_.world;
        return w.folder == world_.assets / "world" ? w.name : shown_world_name(w.name, w.folder);
    }

    EvaluationReport report() const {
        EvaluationReport report;
        report.folder = world_.world.folder.string();
        report.world = world_name();
        report.device_name = world_.device.name;
        report.precision = world_.device.precision();
        report.seed = options_.seed;
        report.seconds = options_.seconds;
        report.all = figures_of(-1);
        for (int place = 0; place < places(); ++place) report.places.push_back(figures_of(place));
        for (std::size_t i = 0; i < variants_.size(); ++i)
            (i < options_.formats.size() ? report.formats : report.fp8).push_back(format_figures(i));
        report.fp8_weights_emulated = options_.fp8 && !world_.device.is_cuda();
        return report;
    }

    std::vector<std::vector<std::uint8_t>> sheet_row(const PicturesByFrame& pictures) const {
        std::vector<std::vector<std::uint8_t>> row;
        const int rate = latents_per_second_ * kFramesPerLatent;
        row.push_back(pictures.at(0));
        for (const int second : seconds_) row.push_back(pictures.at(second * rate));
        return row;
    }

    chart::ContactSheet sheet() const {
        chart::ContactSheet sheet;
        sheet.title = fmt::format("{}: truth above model, one walk of each place", world_name());
        sheet.width = world_.world.width;
        sheet.height = world_.world.height;
        sheet.columns.emplace_back("start");
        for (const int second : seconds_) sheet.columns.push_back(fmt::format("{} s", second));
        for (std::size_t i = 0; i < walks_.size(); ++i) {
            if (!is_first_of_place(i)) continue;
            const WalkSamples& samples = walk_samples_[i];
            const std::string& name = world_.themes[static_cast<std::size_t>(walks_[i].place)].name;
            sheet.rows.push_back({name, sheet_row(samples.true_shown), i > 0});
            sheet.rows.push_back({"model", sheet_row(samples.shown), false});
            for (std::size_t f = 0; f < variants_.size(); ++f)
                sheet.rows.push_back({variants_[f].name, sheet_row(samples.variants[f].shown), false});
        }
        return sheet;
    }

    const EvaluatedWorld& world_;
    const EvaluationOptions& options_;
    std::vector<WalkVariant> variants_;
    int latents_per_second_ = 4;
    std::vector<int> seconds_;
    std::vector<EvaluationWalk> walks_;
    std::vector<RevisitScript> scripts_;
    std::vector<Revisit> revisits_;
    std::optional<TruePictures> truth_;
    std::vector<WalkSamples> walk_samples_;
    std::vector<RevisitSamples> revisit_samples_;
};

} // namespace

Result<std::vector<std::string>> parse_formats(const std::string& text, const EvaluatedWorld& world) {
    std::vector<std::string> names;
    const quant::FormatRegistry& registry = quant::FormatRegistry::instance();
    const auto add = [&](const std::string& name) {
        if (name != "bf16" && std::ranges::find(names, name) == names.end()) names.push_back(name);
    };
    if (text == "all") {
        for (const quant::PageFormat* format : registry.formats()) {
            const std::string known(format->name());
            if (open_rollout(world, {.name = known, .format = known}, 0)) add(known);
        }
        return names;
    }
    std::string name;
    for (const char c : text + ",") {
        if (c != ',') {
            name += c;
            continue;
        }
        if (name.empty()) continue;
        const quant::PageFormat* format = registry.find(name);
        if (!format) {
            return Error{ErrorCode::wrong_use,
                         fmt::format("--formats: there is no cache format {}; there are {}", name, registry.names())};
        }
        add(std::string(format->name()));
        name.clear();
    }
    return names;
}

Result<Evaluation> evaluate_world(const EvaluatedWorld& world, const EvaluationOptions& options) {
    try {
        const c10::InferenceMode inference;
        return Evaluator(world, options).run();
    } catch (...) {
        return current_exception_as_error("evaluating");
    }
}

} // namespace wander::evaluate
