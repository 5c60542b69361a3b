#pragma once
// What a training starts from: a world that is there already, wherever it lies, and the networks of the new one.

#include "generator/plain/result.hpp"
#include "generator/train/parameters.hpp"
#include "generator/train/train_options.hpp"
#include "generator/world/embedded_world.hpp"
#include "generator/world/theme/theme.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace wander::train {

struct TrainingBase {
    EmbeddedWorld world; // sizes, cameras, sampler; its dit is the source's
    TensorSource dit;    // null: the network is new
    TensorSource vae;
    nlohmann::json facts; // of a portable checkpoint; else null
    std::string told;     // for a person: "the embedded world"

    // `from`: embedded, none, a world's folder, a portable checkpoint, or a run's folder (its portable checkpoint).
    static Result<TrainingBase> open(const std::string& from, const std::filesystem::path& assets);
};

// Sizes of the transformer to train: the base's, or of dim and layers where those are given. wrong_use for sizes that
// do not fit the weights.
Result<DitConfig> dit_to_train(const TrainingBase& base, const TrainOptions& options, int places);

// Pictures of another size, for a new network. wrong_use where that does not fit.
Result<void> resize(TrainingBase& base, int width, int height);

// Weights to begin with: places that the base knows by name keep their maps, others begin anew; everything anew without
// weights. CPU generator of `seed`.
Result<Parameters> first_dit(const TrainingBase& base, const DitConfig& config, const std::vector<Theme>& themes,
                             at::Device device, std::uint64_t seed);
Result<Parameters> first_vae(const TrainingBase& base, at::Device device);

} // namespace wander::train
