#pragma once
// What a training is asked to do: plain data, as the command line and a checkpoint have it.

#include "generator/plain/result.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace wander::train {

struct TrainOptions {
    std::vector<std::filesystem::path> themes; // files; empty with resume: as before
    std::filesystem::path out;
    std::filesystem::path resume;  // folder of a run that goes on; empty: a new run
    std::string from = "embedded"; // embedded, none, or a folder: a world, a portable checkpoint, a run
    std::filesystem::path assets;

    double minutes = 20;            // of the whole run
    double stop_after = 0;          // minutes of this session; 0: until it is done. The clock goes on with resume
    std::int64_t steps = 0;         // of the transformer instead of the clock
    std::int64_t decoder_steps = 0; // with steps
    std::int64_t vae_steps = 0;
    double decoder_share = 0.17;  // of the time after the data
    double decoder_sharpness = 1; // factor of what the discriminator says in the decoder's loss
    bool new_vae = false;
    double vae_share = 0.2; // of the time after the data, with new_vae

    std::string device = "auto";
    std::string precision = "auto";
    int threads = 0;
    int gpus = 1;
    std::uint64_t seed = 0;

    int walks = 0; // a theme; 0: by the device
    int walk_latents = 120;
    int batch = 0; // clips; 0: by the device
    int clip_latents = 24;
    int dim = 0; // of a new network; 0: as the world it starts from
    int layers = 0;
    int map_cells = 0; // along a side of a place's fine map; 0: as the world it starts from
    int width = 0;     // of the pictures, likewise
    int height = 0;
    double own_share = 0.75;    // of the steps
    double context_errors = 1;  // factor of the noise and of the smooth errors in the history that clips show
    int own_walks = 0;          // 0: by the device
    std::optional<double> rate; // level of the schedule; unset: 1 for a new network, 0.5 for one that goes on
    double end_rate = 0;
    double fall_from = 0.4;
    std::int64_t warm_up = 150;

    double save_minutes = 3; // between checkpoints
    double look_minutes = 3; // between evaluations, contact sheets and exports; 0: at the end alone
    int look_seconds = 5;    // of a walk that is looked at
    int log_steps = 20;      // between lines of training.jsonl
};

// What a resumed run takes over.
nlohmann::json to_json(const TrainOptions& options);
// bad_input where a value lacks. `where`: the file, for the message.
Result<TrainOptions> options_from_json(const nlohmann::json& json, const std::string& where);

} // namespace wander::train
