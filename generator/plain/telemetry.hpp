#pragma once
// Numbers that the generator measures, one struct a chunk, and the state of its worker.
//
// Filled by the worker thread, copied by value to the window or the metrics file; readers only format.

#include "generator/plain/capacity_forecast.hpp"
#include "generator/plain/control_state.hpp"
#include "quant/plain/cache_rules.hpp"
#include "quant/plain/memory_ledger.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace wander {

// Milliseconds of one chunk by stage. Stages overlap (decode runs beside the next chunk's denoising).
struct StageMs {
    double denoise = 0; // all denoise passes, expansion included
    double context = 0; // the pass that makes the clean keys and values
    double encode = 0;  // packing and converting pages: within denoise and context; on a GPU while it was under way
    double expand = 0;  // expanding page slices; part of denoise and context
    double decode = 0;  // VAE and conversion to RGB
    double total = 0;   // from sampling the controls to the last decoded frame
    double period = 0;  // between finished chunks
};

struct ChunkTelemetry {
    std::int64_t index = 0;
    int frames = 0;
    std::vector<std::string> hold; // names of the actions held
    MouseTravel mouse;             // that the chunk was given
    StickPosition sticks;          // likewise
    std::string format;            // cache format for new pages
    std::string prompt;            // the text that it was made under, camera words included; empty: none
    bool prompt_pending = false;   // another text was asked for and is still being encoded
    std::string prompt_note;       // what the person should know of the newest text: cut, refused; empty: nothing
    int rewound = 0;               // chunks forgotten before it was made
    int contexts_made_again = 0;   // of this chunk: its keys chose another context than was foreseen
    quant::CacheRules rules;       // of the cache
    StageMs ms;
    std::int64_t cache_bytes = 0;
    std::int64_t bf16_equivalent_bytes = 0;
    double input_age_ms = 0; // newest input's age when the chunk sampled the controls; 0 = none
    Pose pose;               // at the chunk's last latent
    MemoryLedger ledger;
    std::vector<PageCell> pages;
    std::int64_t device_used_bytes = 0;  // of the GPU as the driver counts, every program's; 0: no GPU
    std::int64_t device_total_bytes = 0; // likewise
    CapacityForecast forecast;           // in the format for new pages
};

enum class WorkerState : std::uint8_t { empty, loading, ready, generating, paused, converting, failed, stopping };
const char* worker_state_name(WorkerState state);

} // namespace wander
