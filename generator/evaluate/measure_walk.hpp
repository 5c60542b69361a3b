#pragma once
// The measurements along one walk, and along one script that comes back. One thread, in InferenceMode.

#include "generator/evaluate/evaluation_walks.hpp"
#include "generator/evaluate/model_walk.hpp"
#include "generator/evaluate/plain/picture_measures.hpp"
#include "generator/evaluate/true_pictures.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace wander::evaluate {

// Pictures of one second of one walk.
struct SecondSamples {
    std::vector<double> psnr_db;
    std::vector<double> sharpness; // over the truth's
};
using SamplesBySecond = std::map<int, SecondSamples>;
using PicturesByFrame = std::map<int, Picture>; // 0: the start picture

struct FormatSamples { // of a walk that is computed in another way
    SamplesBySecond against_truth;
    std::map<int, std::vector<double>> against_plain_db;
    double packed_ratio = 0;
    double whole_ratio = 0;
    PicturesByFrame shown; // of the contact sheet
};

struct NextChunkSamples {
    std::vector<double> history_db; // of every picture
    std::vector<double> sink_only_db;
    std::vector<double> no_pose_db;
    std::vector<double> latent_mse; // of every chunk
};

struct WalkSamples {
    SamplesBySecond free_walk;
    SamplesBySecond ceiling;
    NextChunkSamples next_chunk;
    std::vector<FormatSamples> variants; // as variants_of()
    PicturesByFrame true_shown;
    PicturesByFrame shown;
};

struct MeasureContext {
    const EvaluatedWorld* world = nullptr;
    const EvaluationOptions* options = nullptr;
    const TruePictures* truth = nullptr;
    std::vector<WalkVariant> variants;
    std::vector<int> seconds; // that are measured
    int latents_per_second = 4;
    std::uint64_t seed = 0;                // of this walk's noise
    bool keep_shown = false;               // pictures for the contact sheet
    std::function<bool(double work)> done; // work as measure_work() counts it; false: stop
};

// 1, 2, 3, 5, 10, 20 ... 60 up to `seconds`, and `seconds` itself.
std::vector<int> measured_seconds(int seconds);

// What measure_walk() and measure_revisit() report to `done`, all together: about one for each latent that is made.
double walk_work(const MeasureContext& context);
double revisit_work(const RevisitScript& script);

// unavailable when it was stopped.
Result<WalkSamples> measure_walk(const MeasureContext& context, const EvaluationWalk& walk);

struct RevisitSamples {
    double end_db = 0;
    double first_db = 0;
    double middle_db = 0;
    double true_first_db = 0;
};
Result<RevisitSamples> measure_revisit(const MeasureContext& context, int place, const RevisitScript& script);

} // namespace wander::evaluate
