#pragma once
// What a headless run measured, and its JSON form (docs/formats.md, "Metrics"; keys are added, never renamed). No torch
// here.

#include "generator/plain/telemetry.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace wander {

struct RunMetrics {
    std::string model;
    std::string device;
    std::string device_name;
    std::string precision;
    std::string attention = "bf16"; // as --attention takes it
    int threads = 0;
    std::uint64_t seed = 0;
    std::string start;
    std::string cache_format;      // as asked for at the start
    quant::CacheRules cache_rules; // likewise
    int width = 0;
    int height = 0;
    std::int64_t frames = 0;
    std::string frames_sha256;
    double start_ms = 0;    // from the start of the process to the first frame
    double run_seconds = 0; // wall time of the walk, loading not included
    std::int64_t peak_gpu_bytes = 0;
    std::int64_t peak_host_bytes = 0;
    std::vector<ChunkTelemetry> chunks;

    double fps() const { return run_seconds > 0 ? static_cast<double>(frames) / run_seconds : 0; }
};

std::string metrics_json(const RunMetrics& metrics);

// Nearest-rank percentile, p in 0..100; 0 for no values.
double percentile(std::vector<double> values, double p);

} // namespace wander
