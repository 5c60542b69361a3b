#pragma once
// Measures a trained world against its truth: what its themes' own pictures show at the same poses.
//
// Protocol (tiny-world.md 6). Walks: the twelve known ones of village, winter and neon, else four random ones a place
// with fixed seeds, half of them from the place's first start. Free walk: 60 s by the model alone; at a named second
// the mean PSNR of its 16 pictures, and the median of their sharpness over truth's. Next chunk: one latent after true
// history. Revisits: scripts that come back. Ceiling: the autoencoder on true latents. Each cache format: the free
// walks again. Pictures are RGB8, as they are shown.
//
// Runs the classes that the program walks with; any thread, which need not be in InferenceMode.

#include "generator/chart/contact_sheet.hpp"
#include "generator/device.hpp"
#include "generator/evaluate/plain/evaluation_report.hpp"
#include "generator/plain/load_progress.hpp"
#include "generator/wan/dit.hpp"
#include "generator/wan/vae.hpp"
#include "generator/world/embedded_world.hpp"
#include "generator/world/theme/theme.hpp"

#include <memory>
#include <stop_token>
#include <vector>

namespace wander::evaluate {

// Everything that is measured. The trainer makes one of its own parts.
struct EvaluatedWorld {
    EmbeddedWorld world;       // sizes, sampler, names of places; maps and starts are not used
    std::vector<Theme> themes; // by number of the place: truth, free cells, first start
    std::shared_ptr<const WanDit> dit;
    std::shared_ptr<const WanDit> fp8_dit; // the same with its large matrices in E4M3; load_fp8_network()
    std::shared_ptr<const WanVae> vae;     // both halves
    ComputeDevice device;
    std::filesystem::path assets; // known walks, fonts
};

// A folder like assets/world. Themes are looked for in DIR/themes, then in assets/themes. bad_input or wrong_use with
// what is missing.
Result<EvaluatedWorld> open_evaluated_world(const std::filesystem::path& folder, const std::filesystem::path& assets,
                                            const ComputeDevice& device);

// For EvaluationOptions::fp8: real FP8 on a GPU, the same roundings emulated on the CPU. wrong_use where the world is
// not computed in bf16.
Result<void> load_fp8_network(EvaluatedWorld& world);

struct EvaluationOptions {
    int seconds = 60;                 // of the free walks; 1 to 60
    int walks_per_place = 4;          // 1 to 4
    std::vector<std::string> formats; // beside bf16, which is always measured
    bool fp8 = false;                 // the free walks with weights, attention, and both in FP8; load_fp8_network()
    bool next_chunk = true;
    bool revisits = true;
    std::uint64_t seed = 0; // of the noise
    int workers = 0;        // walks at one time; 0: one a core on the CPU, one on a GPU
    LoadProgressSink progress;
    std::stop_token stop; // asked between chunks
};

// "bf16,int2", or "all" that fit this world, as EvaluationOptions::formats: without bf16, each once. wrong_use names
// the unknown one.
Result<std::vector<std::string>> parse_formats(const std::string& text, const EvaluatedWorld& world);

struct Evaluation {
    EvaluationReport report;
    chart::ContactSheet sheet; // of every place's first walk: truth above model, by second
};

// wrong_use for an unknown format or number of seconds; unavailable when it was stopped.
Result<Evaluation> evaluate_world(const EvaluatedWorld& world, const EvaluationOptions& options);

// evaluation.md, evaluation.json, sheet.png and psnr.png into a folder, which is made.
Result<void> write_evaluation(const Evaluation& evaluation, const std::filesystem::path& folder,
                              const std::filesystem::path& assets);

} // namespace wander::evaluate
