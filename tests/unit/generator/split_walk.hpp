#pragma once
// A small 8B with twelve heads, walked whole or split among ranks, on the CPU or on GPUs.

#include "generator/split/split_rollout.hpp"
#include "tests/unit/generator/small_hunyuan.hpp"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace wander::test {

inline double relative(const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor want = b.to(at::kCPU, at::kDouble);
    return ((a.to(at::kCPU, at::kDouble) - want).abs().max() / want.abs().max()).item<double>();
}

inline HunyuanConfig twelve_heads() {
    HunyuanConfig config = small_hunyuan();
    config.heads = 12;
    config.dim = config.heads * config.head_dim;
    return config;
}

struct SplitWalk {
    std::unique_ptr<WorldPlayRollout> rollout;
    std::vector<LatentCamera> cameras;

    std::span<const LatentCamera> steered() const {
        const auto first = std::max<std::int64_t>(rollout->next_latent(), 1);
        return std::span(cameras).subspan(static_cast<std::size_t>(first),
                                          static_cast<std::size_t>(rollout->steered_latents()));
    }
    void prepare() { rollout->prepare(steered()); }
    at::Tensor next() { return rollout->generate(steered()); }
};

struct SplitCase {
    using OnStep = std::function<void(std::size_t, const at::Tensor&, const at::Tensor&)>;

    explicit SplitCase(at::ScalarType type, HunyuanConfig wanted = twelve_heads(), int latent_rows = kRows,
                       int latent_cols = kCols)
        : config(wanted), compute(type), rows(latent_rows), cols(latent_cols) {
        dit = net_on(at::kCPU);
        first_text = text_of(1);
        second_text = text_of(4);
        picture = gaussian_tensor(9, {config.channels, rows, cols});
        if (type == at::kDouble) picture = picture.to(at::kDouble);
        // A path that turns away and comes back.
        std::vector<CameraMove> moves;
        for (int i = 1; i < 64; ++i) {
            moves.push_back(
                {.forward = i % 3 == 0 ? 0.0 : kLatentMove, .yaw = (i / 10 % 2 == 0 ? 1 : -1) * kLatentTurn * 2});
        }
        cameras = cameras_from_moves(moves);
    }

    std::shared_ptr<const HunyuanDit> net_on(at::Device device) const {
        const c10::DeviceGuard guard(device);
        return std::make_shared<HunyuanDit>(good(HunyuanDit::load(config, random_hunyuan_weight, device, compute)));
    }
    HunyuanTextCache text_of(std::uint64_t seed) const {
        const auto side = good(HunyuanTextSide::load(config, random_hunyuan_weight, at::kCPU, compute));
        HunyuanPrompt prompt;
        prompt.text = gaussian_tensor(seed, {5, 12});
        prompt.vision = gaussian_tensor(seed + 1, {7, 10});
        return side.encode(prompt);
    }
    std::unique_ptr<quant::KvCache> cache(at::Device device, int ranks, int rank) const {
        quant::CachePolicy policy;
        policy.keep_recent = 0;
        policy.first_head = rank * config.heads / ranks;
        const quant::CacheShape shape{config.layers, config.heads / ranks, config.head_dim, rows * cols, 4, 0, 0};
        return good(quant::KvCache::create(shape, policy, device, compute));
    }
    WorldPlayRollout::Config settings(bool fast, OnStep on_step) const {
        WorldPlayRollout::Config settings;
        settings.schedule = WorldPlaySchedule::worldplay_8b();
        settings.schedule.context = {12, 4, 4, 4}; // all its parts from the fourth chunk on
        settings.rows = rows;
        settings.cols = cols;
        settings.fast_context = fast;
        settings.on_step = std::move(on_step);
        return settings;
    }
    SplitWalk begin(std::unique_ptr<WorldPlayRollout> rollout) const {
        std::vector<quant::TextRows> text = first_text.layers;
        for (quant::TextRows& layer : text) {
            layer.keys = layer.keys.to(rollout->device());
            layer.values = layer.values.to(rollout->device());
        }
        rollout->set_text(text);
        rollout->start(cameras.front(), picture);
        return {std::move(rollout), cameras};
    }
    SplitWalk open_whole(bool fast, at::Device device = at::kCPU) const {
        return begin(std::make_unique<WorldPlayRollout>(
            std::shared_ptr<const WorldPlayNet>(device.is_cpu() ? dit : net_on(device)), cache(device, 1, 0),
            settings(fast, {}), keyed_noise(3), ViewOverlap::of_seed(4)));
    }
    SplitWalk open_split(const std::vector<at::Device>& devices, bool fast, OnStep on_step = {}) const {
        const auto splits = good(HeadSplit::open(devices));
        const int count = static_cast<int>(devices.size());
        std::vector<SplitRank> ranks;
        for (int rank = 0; rank < count; ++rank) {
            const at::Device device = devices[static_cast<std::size_t>(rank)];
            const auto& split = splits[static_cast<std::size_t>(rank)];
            const auto own = device.is_cpu() ? dit : net_on(device);
            ranks.push_back({split, std::make_shared<HunyuanDit>(own->as_rank(split)),
                             [this, device, count, rank] { return cache(device, count, rank); }});
        }
        return begin(std::make_unique<SplitRollout>(ranks, settings(fast, std::move(on_step)), keyed_noise(3),
                                                    ViewOverlap::of_seed(4)));
    }
    SplitWalk open_split(int ranks, bool fast, OnStep on_step = {}) const {
        return open_split(std::vector<at::Device>(static_cast<std::size_t>(ranks), at::kCPU), fast, std::move(on_step));
    }

    HunyuanConfig config;
    at::ScalarType compute;
    int rows, cols;
    std::shared_ptr<const HunyuanDit> dit; // on the CPU
    HunyuanTextCache first_text, second_text;
    at::Tensor picture;
    std::vector<LatentCamera> cameras;
};

} // namespace wander::test
