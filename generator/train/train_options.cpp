#include "generator/train/train_options.hpp"

#include <fmt/format.h>

namespace wander::train {

nlohmann::json to_json(const TrainOptions& o) {
    nlohmann::json json = {
        {"from", o.from},
        {"minutes", o.minutes},
        {"steps", o.steps},
        {"decoder_steps", o.decoder_steps},
        {"vae_steps", o.vae_steps},
        {"decoder_share", o.decoder_share},
        {"decoder_sharpness", o.decoder_sharpness},
        {"new_vae", o.new_vae},
        {"vae_share", o.vae_share},
        {"seed", o.seed},
        {"walks", o.walks},
        {"walk_latents", o.walk_latents},
        {"batch", o.batch},
        {"clip_latents", o.clip_latents},
        {"dim", o.dim},
        {"layers", o.layers},
        {"map_cells", o.map_cells},
        {"width", o.width},
        {"height", o.height},
        {"own_share", o.own_share},
        {"own_walks", o.own_walks},
        {"context_errors", o.context_errors},
        {"rate", o.rate.value_or(0)},
        {"end_rate", o.end_rate},
        {"fall_from", o.fall_from},
        {"warm_up", o.warm_up},
    };
    return json;
}

Result<TrainOptions> options_from_json(const nlohmann::json& json, const std::string& where) {
    TrainOptions o;
    try {
        json.at("from").get_to(o.from);
        json.at("minutes").get_to(o.minutes);
        json.at("steps").get_to(o.steps);
        json.at("decoder_steps").get_to(o.decoder_steps);
        json.at("vae_steps").get_to(o.vae_steps);
        json.at("decoder_share").get_to(o.decoder_share);
        o.decoder_sharpness = json.value("decoder_sharpness", 1.0);
        json.at("new_vae").get_to(o.new_vae);
        json.at("vae_share").get_to(o.vae_share);
        json.at("seed").get_to(o.seed);
        json.at("walks").get_to(o.walks);
        json.at("walk_latents").get_to(o.walk_latents);
        json.at("batch").get_to(o.batch);
        json.at("clip_latents").get_to(o.clip_latents);
        json.at("dim").get_to(o.dim);
        json.at("layers").get_to(o.layers);
        // Runs from before there were these options lack them.
        o.map_cells = json.value("map_cells", 0);
        json.at("width").get_to(o.width);
        json.at("height").get_to(o.height);
        json.at("own_share").get_to(o.own_share);
        json.at("own_walks").get_to(o.own_walks);
        json.at("context_errors").get_to(o.context_errors);
        const double rate = json.at("rate").get<double>();
        if (rate > 0) o.rate = rate;
        json.at("end_rate").get_to(o.end_rate);
        json.at("fall_from").get_to(o.fall_from);
        json.at("warm_up").get_to(o.warm_up);
    } catch (const nlohmann::json::exception& error) {
        return Error{ErrorCode::bad_input, fmt::format("{}: says too little about the run: {}", where, error.what())};
    }
    return o;
}

} // namespace wander::train
