#include "app/metrics.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace wander {

namespace {

using Json = nlohmann::ordered_json;

struct Stage {
    const char* name;
    double StageMs::* value;
};
constexpr Stage kStages[] = {{"denoise", &StageMs::denoise}, {"context", &StageMs::context},
                             {"encode", &StageMs::encode},   {"expand", &StageMs::expand},
                             {"decode", &StageMs::decode},   {"total", &StageMs::total},
                             {"period", &StageMs::period}};

Json cache_json(const std::string& format, const quant::CacheRules& rules, const MemoryLedger& ledger) {
    const auto both = [&](std::int64_t KindBytes::* part) { return ledger.keys.*part + ledger.values.*part; };
    return {{"format", format},
            {"bytes", ledger.bytes()},
            {"bf16_equivalent_bytes", ledger.bf16_equivalent_bytes},
            {"ratio", ledger.ratio()},
            {"codes_bytes", both(&KindBytes::codes)},
            {"scales_bytes", both(&KindBytes::scales)},
            {"codebook_bytes", both(&KindBytes::codebooks)},
            {"open_bytes", both(&KindBytes::open)},
            {"packed_ratio", ledger.packed_ratio()},
            {"peak_bytes", ledger.peak_bytes},
            {"header_bytes", both(&KindBytes::headers)},
            {"keys_bytes", ledger.keys.total()},
            {"values_bytes", ledger.values.total()},
            {"packed_bytes", ledger.packed_bytes},
            {"packed_bf16_bytes", ledger.packed_bf16_bytes},
            {"scratch_bytes", ledger.scratch_bytes},
            {"kept_row_bytes", ledger.kept_row_bytes},
            {"text_bytes", ledger.text_bytes},
            {"pages_waiting", ledger.pages_waiting},
            {"keep_recent", rules.keep_recent},
            {"keep_sink", rules.keep_sink},
            {"cache_layers", quant::layer_formats_text(rules.layer_formats)},
            {"bias_correction", rules.bias_correction}};
}

Json stages_json(const StageMs& ms) {
    Json json;
    for (const Stage& stage : kStages) json[stage.name] = ms.*stage.value;
    return json;
}

Json chunk_json(const ChunkTelemetry& chunk) {
    return {{"index", chunk.index},
            {"frames", chunk.frames},
            {"hold", chunk.hold},
            {"mouse", {chunk.mouse.yaw_rad, chunk.mouse.pitch_rad}},
            {"sticks", {chunk.sticks.forward, chunk.sticks.right, chunk.sticks.yaw, chunk.sticks.pitch}},
            {"format", chunk.format},
            {"prompt", chunk.prompt},
            {"prompt_pending", chunk.prompt_pending},
            {"prompt_note", chunk.prompt_note},
            {"rewound", chunk.rewound},
            {"contexts_made_again", chunk.contexts_made_again},
            {"device_used_bytes", chunk.device_used_bytes},
            {"forecast_cache_bytes", chunk.forecast.cache_bytes},
            {"forecast_device_bytes", chunk.forecast.device_bytes},
            {"ms", stages_json(chunk.ms)},
            {"cache_bytes", chunk.cache_bytes},
            {"bf16_equivalent_bytes", chunk.bf16_equivalent_bytes},
            {"input_age_ms", chunk.input_age_ms},
            {"pose", {{"x", chunk.pose.x}, {"z", chunk.pose.z}, {"yaw", chunk.pose.yaw}, {"pitch", chunk.pose.pitch}}}};
}

Json percentile_json(const std::vector<ChunkTelemetry>& chunks, double p) {
    StageMs ms;
    for (const Stage& stage : kStages) {
        std::vector<double> values;
        values.reserve(chunks.size());
        for (const auto& chunk : chunks) values.push_back(chunk.ms.*stage.value);
        ms.*stage.value = percentile(values, p);
    }
    return stages_json(ms);
}

} // namespace

double percentile(std::vector<double> values, double p) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const double rank = std::ceil(p / 100 * static_cast<double>(values.size()));
    return values[static_cast<std::size_t>(std::clamp(rank, 1.0, static_cast<double>(values.size()))) - 1];
}

std::string metrics_json(const RunMetrics& metrics) {
    const ChunkTelemetry last = metrics.chunks.empty() ? ChunkTelemetry{} : metrics.chunks.back();
    Json chunks = Json::array();
    for (const auto& chunk : metrics.chunks) chunks.push_back(chunk_json(chunk));
    const Json json = {
        {"model", metrics.model},
        {"device", metrics.device},
        {"device_name", metrics.device_name},
        {"precision", metrics.precision},
        {"attention", metrics.attention},
        {"threads", metrics.threads},
        {"seed", metrics.seed},
        {"start", metrics.start},
        {"cache_format", metrics.cache_format},
        {"width", metrics.width},
        {"height", metrics.height},
        {"frames", metrics.frames},
        {"fps", metrics.fps()},
        {"frames_sha256", metrics.frames_sha256},
        {"start_ms", metrics.start_ms},
        {"run_seconds", metrics.run_seconds},
        {"peak_gpu_bytes", metrics.peak_gpu_bytes},
        {"peak_host_bytes", metrics.peak_host_bytes},
        {"cache", metrics.chunks.empty() ? cache_json(metrics.cache_format, metrics.cache_rules, last.ledger)
                                         : cache_json(last.format, last.rules, last.ledger)},
        {"ms_p50", percentile_json(metrics.chunks, 50)},
        {"ms_p99", percentile_json(metrics.chunks, 99)},
        {"chunks", chunks},
        {"version", WANDER_VERSION}};
    return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace wander
