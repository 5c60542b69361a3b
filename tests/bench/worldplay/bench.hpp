#pragma once
// Runs of worldplay_bench: whole chunks with a full context, straight ahead, the decoder beside. Needs CUDA.

#include "generator/split/split_rollout.hpp"
#include "generator/wan/video_decoder.hpp"
#include "tests/bench/worldplay/random_model.hpp"
#include "tests/bench/worldplay/run_words.hpp"

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <span>
#include <vector>

namespace wander::bench {

class Bench {
public:
    explicit Bench(Model model);

    const Model& model() const { return model_; }

    // The run's line, as worldplay_bench.cpp says. With several GPUs the heads are split over them.
    nlohmann::json run(const Run& run, int gpus = 1);

private:
    const VideoDecoder& decoder(bool plain);
    WorldPlayRollout::Config settings(const Run& run) const;
    std::unique_ptr<quant::KvCache> cache(const Run& run, int gpus, int rank) const;
    std::unique_ptr<WorldPlayRollout> open(const Run& run) const;
    std::unique_ptr<WorldPlayRollout> open_split(const Run& run) const;
    std::unique_ptr<WorldPlayRollout> begin(std::unique_ptr<WorldPlayRollout> rollout) const;
    std::span<const LatentCamera> next(const WorldPlayRollout& rollout) const;
    static std::vector<double> behind_first(const std::vector<double>& values);
    double relative(const at::Tensor& latents, int chunk) const;

    Model model_;
    double decoder_mib_ = 0;
    std::shared_ptr<const VideoDecoder> vae_;
    bool vae_is_plain_ = false;
    std::vector<LatentCamera> cameras_;
    std::vector<at::Tensor> first_, remembered_; // latents of the first run's chunks
    bool made_first_ = false;
};

} // namespace wander::bench
