#include "tests/bench/cache_quality/report.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace wander::bench {

namespace {

using Json = nlohmann::ordered_json;

template <class Get>
std::vector<double> gather(const VariantMeasures& measured, Get get) {
    std::vector<double> values;
    for (const ScriptMeasures& script : measured.scripts) {
        if (script.error.empty()) values.push_back(get(script));
    }
    return values;
}

template <class Get>
Json estimate_json(const VariantMeasures& measured, Get get) {
    const Estimate e = estimate(gather(measured, get));
    return {{"mean", e.mean}, {"interval95", e.half_width}};
}

Json script_json(const ScriptMeasures& script) {
    Json json = {{"script", script.script}, {"start", script.start}, {"revisit", script.revisit}};
    if (!script.error.empty()) {
        json["error"] = script.error;
        return json;
    }
    json["first_chunk"] = script.first_chunk ? Json(*script.first_chunk) : Json();
    json["divergence_chunk"] = script.divergence ? Json(*script.divergence) : Json();
    for (std::size_t i = 0; i < kWindowNames.size(); ++i) {
        const WindowMeasures& w = script.windows[i];
        json[kWindowNames[i]] = {{"frames", w.frames},
                                 {"equal_frames", w.equal_frames},
                                 {"psnr_db", w.psnr_db},
                                 {"capped_psnr_db", w.capped_psnr_db},
                                 {"ssim", w.ssim}};
    }
    json["chunk_psnr_db"] = script.chunk_psnr_db;
    json["drift"] = {{"luma", script.drift.luma},
                     {"saturation", script.drift.saturation},
                     {"laplacian_variance", script.drift.laplacian_variance}};
    json["chunk_ms"] = script.chunk_ms;
    return json;
}

int diverged(const VariantMeasures& measured) {
    return static_cast<int>(std::count_if(measured.scripts.begin(), measured.scripts.end(),
                                          [](const ScriptMeasures& s) { return s.divergence.has_value(); }));
}

// The earliest over the scripts.
std::optional<std::int64_t> first_divergence(const VariantMeasures& measured) {
    std::optional<std::int64_t> first;
    for (const ScriptMeasures& script : measured.scripts) {
        if (script.divergence) first = std::min(first.value_or(*script.divergence), *script.divergence);
    }
    return first;
}

Json variant_json(const VariantMeasures& measured) {
    Json json = {{"name", measured.variant.name},
                 {"label", measured.variant.label},
                 {"format", measured.variant.format},
                 {"code_bits", measured.variant.code_bits},
                 {"keep_recent", measured.variant.rules.keep_recent},
                 {"keep_sink", measured.variant.rules.keep_sink},
                 {"cache_layers", quant::layer_formats_text(measured.variant.rules.layer_formats)},
                 {"bias_correction", measured.variant.rules.bias_correction}};
    json["effective_bits"] = estimate(gather(measured, [](const auto& s) { return s.effective_bits; })).mean;
    json["packed_ratio"] = estimate(gather(measured, [](const auto& s) { return s.packed_ratio; })).mean;
    json["whole_ratio"] = estimate(gather(measured, [](const auto& s) { return s.whole_ratio; })).mean;
    for (std::size_t i = 0; i < kWindowNames.size(); ++i) {
        json[kWindowNames[i]] = {
            {"psnr_db", estimate_json(measured, [i](const auto& s) { return s.windows[i].psnr_db; })},
            {"capped_psnr_db", estimate_json(measured, [i](const auto& s) { return s.windows[i].capped_psnr_db; })},
            {"ssim", estimate_json(measured, [i](const auto& s) { return s.windows[i].ssim; })}};
    }
    json["drift"] = {
        {"luma", estimate_json(measured, [](const auto& s) { return s.drift.luma; })},
        {"saturation", estimate_json(measured, [](const auto& s) { return s.drift.saturation; })},
        {"laplacian_variance", estimate_json(measured, [](const auto& s) { return s.drift.laplacian_variance; })}};
    const auto first = first_divergence(measured);
    json["diverged_scripts"] = diverged(measured);
    json["first_divergence_chunk"] = first ? Json(*first) : Json();
    json["chunk_ms"] = median(gather(measured, [](const auto& s) { return s.chunk_ms; }));
    json["pack_ms"] = median(gather(measured, [](const auto& s) { return s.pack_ms; }));
    json["expand_ms"] = median(gather(measured, [](const auto& s) { return s.expand_ms; }));
    json["repeatable"] = measured.repeatable ? Json(*measured.repeatable) : Json();
    Json scripts = Json::array();
    for (const ScriptMeasures& script : measured.scripts) scripts.push_back(script_json(script));
    json["scripts"] = scripts;
    return json;
}

std::string db(const VariantMeasures& measured, Window window) {
    const Estimate e = estimate(
        gather(measured, [window](const auto& s) { return s.windows[static_cast<std::size_t>(window)].psnr_db; }));
    return fmt::format("{:.1f} ± {:.1f}", e.mean, e.half_width);
}

double mean_ssim(const VariantMeasures& measured, Window window) {
    return estimate(
               gather(measured, [window](const auto& s) { return s.windows[static_cast<std::size_t>(window)].ssim; }))
        .mean;
}

std::string divergence_text(const VariantMeasures& measured) {
    const auto first = first_divergence(measured);
    return first ? fmt::format("{} of {}, chunk {}", diverged(measured), measured.scripts.size(), *first) : "none";
}

std::string row(const VariantMeasures& measured, bool packed) {
    const auto mean = [&](auto get) { return estimate(gather(measured, get)).mean; };
    const std::string sizes =
        packed ? fmt::format("{:.2f} | {:.2f} | {:.2f}", mean([](const auto& s) { return s.effective_bits; }),
                             mean([](const auto& s) { return s.packed_ratio; }),
                             mean([](const auto& s) { return s.whole_ratio; }))
               : std::string("16 | 1 | 1");
    const std::string name =
        packed ? fmt::format("{} (`{}`)", measured.variant.label, measured.variant.name) : measured.variant.label;
    return fmt::format(
        "| {} | {} | {} | {:.4f} | {} | {:.4f} | {} | {:.4f} | {} | {:+.2f} / {:+.4f} / {:+.1f} | {:.0f} |\n", name,
        sizes, db(measured, Window::first), mean_ssim(measured, Window::first), db(measured, Window::next),
        mean_ssim(measured, Window::next), db(measured, Window::rest), mean_ssim(measured, Window::rest),
        divergence_text(measured), mean([](const auto& s) { return s.drift.luma; }),
        mean([](const auto& s) { return s.drift.saturation; }),
        mean([](const auto& s) { return s.drift.laplacian_variance; }),
        median(gather(measured, [](const auto& s) { return s.chunk_ms; })));
}

} // namespace

std::string report_json(const Report& report) {
    Json floors = Json::array();
    for (const VariantMeasures& floor : report.floors) floors.push_back(variant_json(floor));
    Json variants = Json::array();
    for (const VariantMeasures& measured : report.variants) variants.push_back(variant_json(measured));
    Json refused = Json::array();
    for (const FormatInfo& format : report.info.formats) {
        if (!format.usable()) refused.push_back({{"format", format.name}, {"reason", format.refusal}});
    }
    const Json json = {
        {"kind", "wander-cache-quality"},
        {"version", 1},
        {"program", WANDER_VERSION},
        {"model", report.info.model},
        {"device", report.info.device},
        {"device_name", report.info.device_name},
        {"precision", report.info.precision},
        {"threads", report.info.threads},
        {"seed", report.seed},
        {"chunks", report.chunks},
        {"scripts", report.reference.scripts.size()},
        {"lpips", nullptr},
        {"reference_chunk_ms", median(gather(report.reference, [](const auto& s) { return s.chunk_ms; }))},
        {"floors", floors},
        {"variants", variants},
        {"refused", refused}};
    return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string report_markdown(const Report& report) {
    const WalkInfo& info = report.info;
    std::string text =
        fmt::format("{} scripts of {} chunks, seed {}, {} ({}), {}; bf16 takes {:.0f} ms a chunk.\n\n",
                    report.reference.scripts.size(), report.chunks, report.seed, info.device, info.device_name,
                    info.precision, median(gather(report.reference, [](const auto& s) { return s.chunk_ms; })));
    text +=
        "| format | bits | pages | cache | W0 dB | SSIM | W1 dB | SSIM | rest dB | SSIM | below 20 dB | drift | ms |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for (const VariantMeasures& floor : report.floors) text += row(floor, false);
    for (const VariantMeasures& measured : report.variants) text += row(measured, true);
    for (const FormatInfo& format : info.formats) {
        if (!format.usable()) text += fmt::format("\nRefused: {}: {}\n", format.label, format.refusal);
    }
    return text;
}

} // namespace wander::bench
