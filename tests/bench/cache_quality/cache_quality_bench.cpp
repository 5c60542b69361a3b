// What every cache format does to the pictures of the embedded world: PSNR and SSIM against the uncompressed walk,
// divergence, drift, bits, ratios and time, over a dozen scripts. Real walks with the same noise: an error feeds back
// into everything that follows ("free" runs).
//
//     cache_quality_bench [--formats int8,int2+bias,...] [--seed N] [--device cuda] [--json FILE] [--markdown FILE]
//
// Windows: W0 is the first chunk that reads a packed page, W1 the three after it, rest what follows. The floor is the
// uncompressed walk with its sums in another order (attention cut into other slices) and, on its own line, with the
// other arithmetic; nothing can be judged above the first.
#include "tests/bench/cache_quality/report.hpp"
#include "tests/bench/cache_quality/scripts.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <memory>

namespace wander::bench {
namespace {

constexpr std::size_t kDriftFrames = 16;
constexpr int kFramesAChunk = 4;
constexpr int kTwinTileTokens = 28;
constexpr std::int64_t kTwinSliceBytes = 1 << 20;

struct Settings {
    std::vector<std::string> variants;
    std::int64_t chunks = 24;
    int scripts = 10;
    bool floors = true;
    WalkOptions walk;
    std::string json;
    std::string markdown;
};

struct Walked {
    std::vector<Picture> frames; // the start picture, then kFramesAChunk a chunk
    std::vector<ChunkTelemetry> chunks;
    std::string error;
};

Walked walk(Walk& walker, const BenchScript& script, const Variant& variant, std::int64_t chunks) {
    Walked walked;
    if (auto restarted = walker.restart(script.start); !restarted) {
        walked.error = restarted.error().message;
        return walked;
    }
    testing::FrameKeeper keeper(walker.info().width, walker.info().height);
    auto source = testing::control_source(script.walk, chunks);
    const auto with_cache = [&](std::int64_t index, const std::stop_token& stop) {
        ChunkControls controls = source(index, stop);
        if (index == 0) { // everything, whatever an earlier walk chose; no page has been packed yet
            const quant::CacheRules& rules = variant.rules;
            controls.cache_format = variant.format;
            controls.cache_rules = {rules.layer_formats, rules.keep_recent, rules.keep_sink, rules.bias_correction};
        }
        return controls;
    };
    auto done = walker.run(with_cache, keeper, [&](const ChunkTelemetry& t) { walked.chunks.push_back(t); }, {});
    if (!done) walked.error = done.error().message;
    walked.frames = std::move(keeper.frames);
    return walked;
}

std::span<const Picture> frames_of(const Walked& walked, std::int64_t first_chunk, std::int64_t end_chunk) {
    const auto begin = static_cast<std::size_t>(1 + kFramesAChunk * first_chunk);
    const auto end = static_cast<std::size_t>(1 + kFramesAChunk * end_chunk);
    return std::span(walked.frames).subspan(begin, end - begin);
}

WindowMeasures compare(std::span<const Picture> reference, std::span<const Picture> walked, const WalkInfo& info) {
    WindowMeasures measures;
    measures.frames = static_cast<int>(reference.size());
    if (reference.empty()) return measures;
    double mse_sum = 0;
    const auto count = static_cast<double>(reference.size());
    for (std::size_t i = 0; i < reference.size(); ++i) {
        const double mse = mean_squared_error(reference[i], walked[i]);
        mse_sum += mse;
        measures.equal_frames += mse == 0 ? 1 : 0;
        measures.capped_psnr_db += std::min(psnr_db(mse), kFrameCapDb) / count;
        measures.ssim += ssim(reference[i], walked[i], info.width, info.height) / count;
    }
    measures.psnr_db = psnr_db(mse_sum / count);
    return measures;
}

// The first chunk that finds packed pages, as the chunk before has left them.
std::optional<std::int64_t> first_reader(const std::vector<ChunkTelemetry>& chunks) {
    for (const ChunkTelemetry& chunk : chunks) {
        if (chunk.ledger.packed_bytes > 0) return chunk.index + 1;
    }
    return std::nullopt;
}

void measure_times(const std::vector<ChunkTelemetry>& chunks, ScriptMeasures& measures) {
    std::vector<double> period;
    std::vector<double> pack;
    std::vector<double> expand;
    for (const ChunkTelemetry& chunk : chunks) {
        if (chunk.index < 3) continue; // warming up
        period.push_back(chunk.ms.period);
        expand.push_back(chunk.ms.expand);
        if (chunk.ledger.packed_bytes > 0 && chunk.ms.encode > 0) pack.push_back(chunk.ms.encode);
    }
    measures.chunk_ms = median(period);
    // Most chunks pack nothing; those that do take far longer than the others.
    std::sort(pack.begin(), pack.end());
    pack.erase(pack.begin(), pack.begin() + static_cast<std::ptrdiff_t>(pack.size() * 3 / 4));
    measures.pack_ms = median(pack);
    measures.expand_ms = median(expand);
}

// A floor is compared in the windows of the formats: its chunks from `window_start` on.
ScriptMeasures measure(const BenchScript& script, const Walked& reference, const Walked& walked, const WalkInfo& info,
                       std::optional<std::int64_t> window_start) {
    ScriptMeasures measures;
    measures.script = script.walk.name;
    measures.start = script.start;
    measures.revisit = script.revisit;
    measures.error = walked.error;
    if (walked.error.empty() && walked.frames.size() != reference.frames.size()) measures.error = "frames are missing";
    if (!measures.error.empty()) return measures;

    const auto chunks = static_cast<std::int64_t>(walked.chunks.size());
    measures.first_chunk = first_reader(walked.chunks);
    const std::int64_t w0 = std::min(window_start.value_or(measures.first_chunk.value_or(chunks)), chunks);
    const std::int64_t borders[] = {w0, std::min(w0 + 1, chunks), std::min(w0 + 4, chunks), chunks};
    for (std::size_t i = 0; i < measures.windows.size(); ++i) {
        measures.windows[i] = compare(frames_of(reference, borders[i], borders[i + 1]),
                                      frames_of(walked, borders[i], borders[i + 1]), info);
    }
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        const auto a = frames_of(reference, chunk, chunk + 1);
        const auto b = frames_of(walked, chunk, chunk + 1);
        double mean = 0;
        for (std::size_t i = 0; i < a.size(); ++i)
            mean += psnr_db(mean_squared_error(a[i], b[i])) / static_cast<double>(a.size());
        measures.chunk_psnr_db.push_back(mean);
        if (mean < kDivergedDb && !measures.divergence) measures.divergence = chunk;
    }
    const auto last = [&](const Walked& w) {
        return mean_look(std::span(w.frames).last(std::min(kDriftFrames, w.frames.size())), info.width, info.height);
    };
    const Look plain = last(reference);
    const Look look = last(walked);
    measures.drift = {look.luma - plain.luma, look.saturation - plain.saturation,
                      look.laplacian_variance - plain.laplacian_variance};
    const MemoryLedger& ledger = walked.chunks.back().ledger;
    measures.packed_ratio = ledger.packed_ratio();
    measures.whole_ratio = ledger.ratio();
    // Two bytes of BF16 are one value.
    if (ledger.packed_bf16_bytes > 0)
        measures.effective_bits =
            16.0 * static_cast<double>(ledger.packed_bytes) / static_cast<double>(ledger.packed_bf16_bytes);
    measure_times(walked.chunks, measures);
    return measures;
}

Result<std::unique_ptr<Walk>> open_twin(WalkOptions options, bool other_arithmetic, const WalkInfo& info) {
    if (other_arithmetic) {
        options.precision = info.precision == "bf16" ? "fp32" : "bf16";
    } else {
        options.twin_tile_tokens = kTwinTileTokens;
        options.twin_slice_bytes = kTwinSliceBytes;
    }
    return Walk::open(options);
}

class Bench {
public:
    Bench(Settings settings, std::unique_ptr<Walk> walker)
        : settings_(std::move(settings)), walker_(std::move(walker)) {
        report_.info = walker_->info();
        report_.seed = settings_.walk.seed;
        report_.chunks = settings_.chunks;
        report_.reference.variant = uncompressed("bf16");
    }

    Result<void> run() {
        if (auto prepared = prepare(); !prepared) return prepared;
        auto scripts = bench_scripts();
        scripts.resize(std::min(scripts.size(), static_cast<std::size_t>(std::max(1, settings_.scripts))));
        for (std::size_t i = 0; i < scripts.size(); ++i) {
            std::fprintf(stderr, "script %zu of %zu: %s, %s\n", i + 1, scripts.size(), scripts[i].start.c_str(),
                         scripts[i].walk.name.c_str());
            if (auto done = run_script(scripts[i], i == 0); !done) return done;
        }
        return {};
    }

    const Report& report() const { return report_; }

private:
    static Variant uncompressed(const std::string& label) {
        Variant variant;
        variant.name = variant.label = label;
        variant.format = "bf16";
        return variant;
    }

    Result<void> prepare() {
        for (const std::string& text :
             settings_.variants.empty() ? default_variants(report_.info) : settings_.variants) {
            auto variant = parse_variant(text, report_.info);
            if (!variant) return variant.error();
            if (auto opened = open_for(*variant); !opened) return opened;
            report_.variants.push_back({*variant, {}, {}});
        }
        if (!settings_.floors) return {};
        for (const bool other_arithmetic : {false, true}) {
            auto twin = open_twin(settings_.walk, other_arithmetic, report_.info);
            if (!twin) return twin.error();
            const std::string label = other_arithmetic ? "floor: " + (*twin)->info().precision + " arithmetic"
                                                       : "floor: sums in another order";
            report_.floors.push_back({uncompressed(label), {}, {}});
            twins_.push_back(std::move(*twin));
        }
        return {};
    }

    // How many centroids a page has is chosen when a walk is opened.
    Result<void> open_for(const Variant& variant) {
        if (variant.centroids == 0 || of_centroids_.contains(variant.centroids)) return {};
        WalkOptions options = settings_.walk;
        options.cache_centroids = variant.centroids;
        auto opened = Walk::open(options);
        if (!opened) return opened.error();
        of_centroids_[variant.centroids] = std::move(*opened);
        return {};
    }

    Result<void> run_script(const BenchScript& script, bool twice) {
        const Walked reference = walk(*walker_, script, report_.reference.variant, settings_.chunks);
        if (!reference.error.empty()) return Error{ErrorCode::internal, "the uncompressed walk: " + reference.error};
        report_.reference.scripts.push_back(measure(script, reference, reference, report_.info, {}));
        std::optional<std::int64_t> window_start;
        for (VariantMeasures& measured : report_.variants) {
            Walk& walker = measured.variant.centroids > 0 ? *of_centroids_.at(measured.variant.centroids) : *walker_;
            const Walked walked = walk(walker, script, measured.variant, settings_.chunks);
            measured.scripts.push_back(measure(script, reference, walked, report_.info, {}));
            const ScriptMeasures& newest = measured.scripts.back();
            if (!window_start) window_start = newest.first_chunk;
            if (twice) {
                measured.repeatable = walk(walker, script, measured.variant, settings_.chunks).frames == walked.frames;
            }
            say(measured, newest);
        }
        for (std::size_t i = 0; i < twins_.size(); ++i) {
            VariantMeasures& floor = report_.floors[i];
            const Walked walked = walk(*twins_[i], script, floor.variant, settings_.chunks);
            floor.scripts.push_back(measure(script, reference, walked, report_.info, window_start));
            say(floor, floor.scripts.back());
        }
        return {};
    }

    static void say(const VariantMeasures& measured, const ScriptMeasures& script) {
        if (!script.error.empty()) {
            std::fprintf(stderr, "  %-32s FAILED: %s\n", measured.variant.name.c_str(), script.error.c_str());
            return;
        }
        std::fprintf(stderr, "  %-32s W0 %5.1f W1 %5.1f rest %5.1f dB, %5.2f bits, %4.0f ms%s\n",
                     measured.variant.name.c_str(), script.windows[0].psnr_db, script.windows[1].psnr_db,
                     script.windows[2].psnr_db, script.effective_bits, script.chunk_ms,
                     measured.repeatable == false ? ", NOT REPEATABLE" : "");
    }

    Settings settings_;
    std::unique_ptr<Walk> walker_;
    std::map<int, std::unique_ptr<Walk>> of_centroids_;
    std::vector<std::unique_ptr<Walk>> twins_;
    Report report_;
};

bool write(const std::string& file, const std::string& text) {
    if (file.empty()) return true;
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << text;
    out.close();
    if (!out) std::fprintf(stderr, "cache_quality_bench: cannot write %s\n", file.c_str());
    return static_cast<bool>(out);
}

bool healthy(const Report& report) {
    return std::all_of(report.variants.begin(), report.variants.end(), [](const VariantMeasures& measured) {
        const auto failed = [](const ScriptMeasures& script) { return !script.error.empty(); };
        return measured.repeatable != false && std::none_of(measured.scripts.begin(), measured.scripts.end(), failed);
    });
}

int main_with(Settings settings) {
    auto walker = Walk::open(settings.walk);
    if (!walker) {
        std::fprintf(stderr, "cache_quality_bench: %s\n", walker.error().message.c_str());
        return 2;
    }
    const std::string json = settings.json;
    const std::string markdown = settings.markdown;
    Bench bench(std::move(settings), std::move(*walker));
    if (auto done = bench.run(); !done) {
        std::fprintf(stderr, "cache_quality_bench: %s\n", done.error().message.c_str());
        return 2;
    }
    const std::string table = report_markdown(bench.report());
    std::fputs(table.c_str(), stdout);
    if (!write(json, report_json(bench.report())) || !write(markdown, table)) return 2;
    return healthy(bench.report()) ? 0 : 1;
}

} // namespace
} // namespace wander::bench

int main(int argc, char** argv) {
    wander::bench::Settings settings;
    settings.walk.assets = WANDER_ASSETS_DIR;
    settings.walk.seed = 7;
    CLI::App app("What every cache format does to the pictures of the embedded world.", "cache_quality_bench");
    std::string assets;
    app.add_option(
           "--formats", settings.variants,
           "FORMAT[+bias][+recentN][+nosink][+centroidsN][+layers=0-1:int8;5:bf16], several with commas; default: all")
        ->delimiter(',');
    app.add_option("--chunks", settings.chunks, "Chunks of a walk")->check(CLI::Range(12, 10000));
    app.add_option("--scripts", settings.scripts, "How many of the dozen scripts")->check(CLI::Range(1, 12));
    app.add_option("--device", settings.walk.device, "auto, cpu or cuda");
    app.add_option("--precision", settings.walk.precision, "auto, fp32 or bf16");
    app.add_option("--threads", settings.walk.threads, "CPU threads; 0: all cores");
    app.add_flag("!--no-floors", settings.floors, "Leave out the uncompressed walk's numerical twins");
    app.add_option("--seed", settings.walk.seed, "Seed of the noise");
    app.add_option("--assets", assets, "Folder that holds world/");
    app.add_option("--json", settings.json, "Write everything that was measured");
    app.add_option("--markdown", settings.markdown, "Write the table, which is printed as well");
    CLI11_PARSE(app, argc, argv);
    if (!assets.empty()) settings.walk.assets = assets;
    return wander::bench::main_with(std::move(settings));
}
