#include "generator/train/own_rollouts.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace wander::train {

OwnRollouts::OwnRollouts(const DitConfig& config, const LatentGeometry& geometry, OwnRolloutsConfig rollouts,
                         const TrainingData& data, at::ScalarType compute)
    : config_(std::move(rollouts)),
      data_(&data),
      walk_(config, geometry, config_.walk, data.latents.device(), compute),
      capacity_(std::max(1, config_.clips / std::max(1, config_.walks))) {
    TORCH_CHECK(config_.walks > 0 && config_.clip_latents > 0 && !config_.lengths.empty() &&
                    config_.clip_latents < data.latents.size(1),
                "OwnRollouts: walks, and clips that are shorter than those of the data");
    const at::TensorOptions options = data.latents.options();
    const std::int64_t clips = capacity_ * config_.walks;
    std::vector<std::int64_t> shape = data.latents.sizes().vec();
    shape[0] = clips;
    shape[1] = config_.clip_latents;
    latents_ = at::empty(shape, options.dtype(at::kHalf));
    middle_ = at::empty(shape, options.dtype(at::kHalf));
    rows_ = at::zeros({clips}, options.dtype(at::kLong));
    starts_ = at::zeros({clips}, options.dtype(at::kLong));
}

void OwnRollouts::begin_walks(at::Generator& host_random, at::Generator& device_random) {
    const at::TensorOptions options = data_->latents.options();
    const auto choice =
        at::randint(static_cast<std::int64_t>(config_.lengths.size()), {1}, host_random, at::TensorOptions(at::kLong));
    end_ = config_.lengths[static_cast<std::size_t>(choice.item<std::int64_t>())];
    position_ = 1;
    current_ = at::randint(data_->latents.size(0), {config_.walks}, device_random, options.dtype(at::kLong));
    poses_ = data_->poses.index_select(0, current_);
    labels_ = data_->labels.index_select(0, current_);
    const at::Tensor with_pose =
        at::rand({config_.walks}, device_random, options.dtype(at::kFloat)).ge(config_.without_pose).to(at::kFloat);
    walk_.begin(data_->latents.select(1, 0).index_select(0, current_).to(at::kFloat), poses_.select(1, 0),
                data_->worlds.index_select(0, current_), with_pose);
}

void OwnRollouts::refresh(const Parameters& parameters, at::Generator host_random, at::Generator device_random) {
    const c10::NoGradGuard no_gradients;
    walk_.set_weights(parameters);
    const std::int64_t length = config_.clip_latents;
    // position_ - 1 latents were made since the walks began.
    if (position_ == 0 || position_ + length > data_->latents.size(1) || position_ > end_)
        begin_walks(host_random, device_random);

    const std::int64_t first = next_ * config_.walks;
    std::vector<std::int64_t> shape = data_->latents.sizes().vec();
    shape[0] = config_.walks;
    shape.erase(shape.begin() + 1);
    for (std::int64_t i = 0; i < length; ++i) {
        const at::Tensor noise =
            at::empty(shape, data_->latents.options().dtype(at::kFloat)).normal_(0, 1, device_random);
        const BatchedWalk::Chunk chunk =
            walk_.generate(noise, poses_.select(1, position_ + i), labels_.select(1, position_ + i));
        latents_.narrow(0, first, config_.walks).select(1, i).copy_(chunk.latents);
        middle_.narrow(0, first, config_.walks).select(1, i).copy_(chunk.middle);
    }
    rows_.narrow(0, first, config_.walks).copy_(current_);
    starts_.narrow(0, first, config_.walks).fill_(position_);
    position_ += length;
    next_ = (next_ + 1) % capacity_;
    filled_ = std::min(filled_ + 1, capacity_);
}

OwnClips OwnRollouts::pick(const at::Tensor& indices) const {
    const c10::NoGradGuard no_gradients;
    return {rows_.index_select(0, indices), starts_.index_select(0, indices),
            latents_.index_select(0, indices).to(at::kFloat), middle_.index_select(0, indices).to(at::kFloat)};
}

} // namespace wander::train
