#pragma once
// Trains a world from beginning to end: walks are drawn, then (on request) the autoencoder, the transformer with own
// roll-outs, the decoder on the transformer's own latents; everything is written every few minutes and can go on from
// there. docs/training.md.
//
// One thread; torch's own threads beside it. In a group of processes each calls it (worker_processes.hpp).

#include "generator/plain/result.hpp"
#include "generator/train/train_options.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace wander::train {

struct TrainReport {
    std::string doing;       // "drawing walks", "transformer", "decoder"
    double share = 0;        // of it, 0..1
    double seconds_left = 0; // of it; 0: unknown
    std::int64_t step = 0;
    std::int64_t steps = 0; // 0: by the clock
    double loss = 0;        // mean of the last steps; 0: none yet
    double rate = 0;        // factor of the learning rates
    double steps_per_second = 0;
};

struct TrainSink {
    std::function<void(const TrainReport&)> progress;
    std::function<void(const std::string& line)> say;
};

struct TrainOutcome {
    bool finished = false; // false: stopped on request, goes on with --resume
    std::string summary;   // one line for a person
};

// Errors: wrong_use and bad_input (unknown theme, a folder that cannot be written, a run of another network),
// unavailable (no such device), out_of_memory, io (disk full), internal (the loss is no number).
Result<TrainOutcome> train(const TrainOptions& options, const TrainSink& sink);

} // namespace wander::train
