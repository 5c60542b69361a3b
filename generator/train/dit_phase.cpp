#include "generator/train/dit_phase.hpp"

#include "generator/plain/hash.hpp"
#include "generator/train/random.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>

namespace wander::train {
namespace {

at::Tensor spread(const at::Tensor& per_clip_or_latent) { // [B] or [B, L] -> dimensions of latents
    at::Tensor t = per_clip_or_latent;
    while (t.dim() < 5) t = t.unsqueeze(-1);
    return t;
}

} // namespace

DitPhase::DitPhase(TrainDit& dit, const Parameters& average, const TrainingData& data, DitPhaseConfig config,
                   std::uint64_t seed)
    : dit_(&dit), average_(&average), data_(&data), config_(std::move(config)) {
    TORCH_CHECK(
        config_.batch > 0 && config_.latents > 0 && config_.latents < data.latents.size(1) && !config_.sigmas.empty(),
        "DitPhase: a batch of clips that are shorter than the walks, and noise levels");
    const at::Device device = data.latents.device();
    host_ = make_generator(at::kCPU, splitmix64(seed));
    device_ = make_generator(device, splitmix64(seed + 1));
    own_host_ = make_generator(at::kCPU, splitmix64(seed + 2));
    own_device_ = make_generator(device, splitmix64(seed + 3));
    sigmas_ = at::tensor(config_.sigmas, at::kFloat).to(device);
    if (config_.own_share > 0) {
        config_.own.clip_latents = config_.latents;
        own_.emplace(dit.config(), dit.geometry(), config_.own, data, dit.compute());
    }
}
DitPhase::~DitPhase() = default;

at::Tensor DitPhase::uniform(const std::vector<std::int64_t>& shape) {
    return at::empty(shape, data_->latents.options().dtype(at::kFloat)).uniform_(0, 1, device_);
}

at::Tensor DitPhase::normal(at::IntArrayRef shape) {
    return at::empty(shape, data_->latents.options().dtype(at::kFloat)).normal_(0, 1, device_);
}

void DitPhase::refresh_when_due(double progress) {
    if (!own_ || progress < config_.own_from) return;
    std::int64_t times = since_refresh_ >= config_.refresh_steps ? 1 : 0;
    if (own_->clips() == 0) times = std::clamp(refreshes_, std::int64_t{1}, own_->capacity());
    if (times == 0) return;
    const auto begin = std::chrono::steady_clock::now();
    // In an empty ring there was nothing yet, or what was there before the run was stopped is to be made again.
    const bool again = own_->clips() == 0 && refreshes_ > 0;
    for (std::int64_t i = 0; i < times; ++i) own_->refresh(*average_, own_host_, own_device_);
    if (!again) ++refreshes_;
    since_refresh_ = 0;
    refresh_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// What both kinds of batches share: `context` are the clean latents as they will be seen, the truth is the target.
DitPhase::Batch DitPhase::finish(const at::Tensor& rows, const at::Tensor& starts, at::Tensor context,
                                 const at::Tensor& middle) {
    const std::int64_t batch = config_.batch, latents = config_.latents;
    const at::Tensor row = rows.unsqueeze(1);
    const at::Tensor column = starts.unsqueeze(1) + at::arange(latents, starts.options());
    const at::Tensor truth = data_->latents.index({row, column}).to(at::kFloat);
    if (!context.defined()) { // true clips: noise in their context
        const at::Tensor on = uniform({batch}).lt(config_.context_noise_share).to(at::kFloat);
        const at::Tensor weight = spread(uniform({batch}) * config_.context_noise * on);
        context = truth + weight * (normal(truth.sizes()) - truth);
    }
    add_low_frequency(context);

    Batch result;
    Clip& clip = result.clip;
    const at::Tensor sink = data_->latents.select(1, 0).index_select(0, rows).to(at::kFloat).unsqueeze(1);
    clip.context = at::cat({sink, context}, 1);
    clip.cameras = at::cat({data_->poses.select(1, 0).index_select(0, rows).unsqueeze(1), // [B, 1, 4]
                            data_->poses.index({row, column})},
                           1);
    const at::Tensor labels = data_->labels.index({row, column});
    clip.labels = at::cat({at::zeros({batch, 1}, labels.options()), labels}, 1);
    clip.worlds = data_->worlds.index_select(0, rows);
    clip.with_pose = uniform({batch}).ge(config_.without_pose).to(at::kFloat);

    const at::Tensor u = uniform({batch, latents});
    const at::Tensor between = config_.least_sigma + (1 - config_.least_sigma) * 3 * u / (1 + 2 * u);
    const at::Tensor which = (uniform({batch, latents}) * static_cast<double>(config_.sigmas.size()))
                                 .to(at::kLong)
                                 .clamp_max(static_cast<std::int64_t>(config_.sigmas.size()) - 1);
    const at::Tensor listed = sigmas_.index({which});
    clip.sigma = at::where(uniform({batch, latents}).lt(config_.listed_sigma_share), listed, between);
    clip.noisy = truth + spread(clip.sigma) * (normal(truth.sizes()) - truth);
    if (middle.defined()) {
        const at::Tensor own = uniform({batch, latents}).lt(config_.own_middle);
        const double last = config_.own.walk.sigmas.back();
        clip.noisy = at::where(spread(own), middle, clip.noisy);
        clip.sigma = at::where(own, at::full({}, last, clip.sigma.options()), clip.sigma);
    }
    result.target = (clip.noisy - truth) / spread(clip.sigma);
    return result;
}

void DitPhase::add_low_frequency(at::Tensor& context) {
    if (config_.low_frequency <= 0 || config_.low_frequency_share <= 0) return;
    const auto batch = context.size(0), channels = context.size(2), rows = context.size(3), cols = context.size(4);
    constexpr std::int64_t kFieldRows = 2, kFieldCols = 3;
    const at::Tensor on = spread(uniform({batch}).lt(config_.low_frequency_share).to(at::kFloat));
    const at::Tensor constant = normal({batch, channels, 1, 1});
    const at::Tensor field =
        at::upsample_bilinear2d(normal({batch, channels, kFieldRows, kFieldCols}), {rows, cols}, true);
    context =
        context + on * ((constant + field) * config_.low_frequency).unsqueeze(1); // alike in all latents of a clip
}

DitPhase::Batch DitPhase::true_batch() {
    const at::TensorOptions integers = data_->latents.options().dtype(at::kLong);
    const at::Tensor rows = at::randint(data_->latents.size(0), {config_.batch}, device_, integers);
    // The clip's first latent: 1 is right behind the start picture.
    const std::int64_t last = data_->latents.size(1) - config_.latents;
    const at::Tensor anywhere = at::randint(1, last + 1, {config_.batch}, device_, integers);
    const at::Tensor begins = uniform({config_.batch}).lt(config_.at_walk_start);
    return finish(rows, at::where(begins, at::ones_like(anywhere), anywhere), {}, {});
}

DitPhase::Batch DitPhase::own_batch() {
    const at::Tensor indices =
        at::randint(own_->clips(), {config_.batch}, device_, data_->latents.options().dtype(at::kLong));
    const OwnClips clips = own_->pick(indices);
    Batch batch = finish(clips.walks, clips.starts, clips.latents, clips.middle);
    batch.own = true;
    return batch;
}

DitPhase::Batch DitPhase::next_batch(double progress) {
    const c10::NoGradGuard no_gradients;
    refresh_when_due(progress);
    ++steps_;
    ++since_refresh_;
    const double drawn = at::rand({1}, host_, at::TensorOptions(at::kDouble)).item<double>();
    return own_clips() > 0 && drawn < config_.own_share ? own_batch() : true_batch();
}

at::Tensor DitPhase::loss(double progress) {
    const Batch batch = next_batch(progress);
    return (dit_->velocity(batch.clip) - batch.target).square().mean();
}

std::int64_t DitPhase::own_clips() const { return own_ ? own_->clips() : 0; }

std::map<std::string, at::Tensor> DitPhase::state() const {
    return {{"host", host_.get_state()},
            {"device", device_.get_state()},
            {"own_host", own_host_.get_state()},
            {"own_device", own_device_.get_state()},
            {"counts", at::tensor({steps_, since_refresh_, refreshes_}, at::kLong)}};
}

Result<void> DitPhase::restore(const std::map<std::string, at::Tensor>& state) {
    const auto generators = {std::pair{"host", &host_}, std::pair{"device", &device_},
                             std::pair{"own_host", &own_host_}, std::pair{"own_device", &own_device_}};
    for (const auto& [name, generator] : generators) {
        const auto found = state.find(name);
        if (found == state.end() || found->second.scalar_type() != at::kByte ||
            found->second.numel() != generator->get_state().numel()) {
            return Error{ErrorCode::bad_input, std::string("the state of the random numbers '") + name +
                                                   "' is missing or of another kind of device"};
        }
    }
    const auto counts = state.find("counts");
    if (counts == state.end() || counts->second.numel() != 3 || counts->second.scalar_type() != at::kLong)
        return Error{ErrorCode::bad_input, "the step counts of the transformer's training are missing"};
    for (const auto& [name, generator] : generators) generator->set_state(state.at(name).to(at::kCPU).contiguous());
    const at::Tensor values = counts->second.to(at::kCPU);
    steps_ = values[0].item<std::int64_t>();
    since_refresh_ = values[1].item<std::int64_t>();
    refreshes_ = values[2].item<std::int64_t>();
    return {};
}

} // namespace wander::train
